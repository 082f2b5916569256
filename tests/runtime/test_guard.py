"""Guarded memory: where it ends, that nobody gets past it, and that programs run on it."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

from kgraph import runtime
from kgraph.codegen import Options
from kgraph.ir import parse
from kgraph.runtime.buffers import address
from kgraph.runtime.guard import PAGE, Guarded, GuardedRunner, guarded_copy, guarded_empty
from tests.runtime.native import step_image

SIZES = {"batch": 7}

# Touches a byte of guarded memory in a child of its own each, and prints how those end.
TOUCH = """
import ctypes, os, sys
from kgraph.runtime.guard import Guarded

def touch(offset, piece=0, at_start=False, freeze=False, write=False):
    memory = Guarded(100, 3, at_start)
    if freeze:
        memory.freeze()
    place = (ctypes.c_char * 1).from_address(memory.address + piece * memory.stride + offset)
    child = os.fork()
    if child == 0:
        if write:
            place[0] = b"x"
        else:
            place[0]
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

touch(99, piece=2, write=True)
touch(100)
touch(100, piece=1, write=True)
touch(-1, at_start=True)
touch(5, freeze=True)
touch(5, freeze=True, write=True)
"""


def test_where_memory_ends() -> None:
    for size in (1, 100, PAGE, PAGE + 8):
        memory = Guarded(size, 3, at_start=False)
        assert (memory.address + size) % PAGE == 0
        memory.fill(7)
        assert Guarded(size, 2, at_start=True).address % PAGE == 0


def test_outside_is_death() -> None:
    found = subprocess.run(
        [sys.executable, "-c", TOUCH], capture_output=True, text=True, check=True, timeout=60
    )
    dead = -signal.SIGSEGV
    assert [int(line) for line in found.stdout.split()] == [0, dead, dead, dead, 0, dead]


@pytest.mark.parametrize("at_start", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "int8", "bool"])
@pytest.mark.parametrize("shape", [(), (3, 5), (0, 4), (2000,)])
def test_arrays(shape: tuple[int, ...], dtype: str, at_start: bool) -> None:
    source = np.ones(shape, dtype)
    copy = guarded_copy(source, at_start)
    np.testing.assert_array_equal(copy, source)
    assert not copy.flags.writeable
    empty = guarded_empty(shape, np.dtype(dtype), at_start)
    assert (empty.shape, empty.dtype) == (shape, source.dtype)
    empty[...] = 1
    edge = address(empty) + (0 if at_start else empty.nbytes)
    assert edge % PAGE == 0


@pytest.mark.parametrize("at_start", [False, True])
def test_a_program_and_its_state(at_start: bool) -> None:
    runner = GuardedRunner(step_image(), {0: 0}, poisoned=True, at_start=at_start)
    x = np.arange(28, dtype=np.float32).reshape(7, 4)
    w = np.ones(4, np.float32)
    first, twice = runner.run([w], [x], SIZES, True)
    np.testing.assert_array_equal(w, np.ones(4))  # not memory of ours
    np.testing.assert_array_equal(first, 1 + x.sum(0))
    np.testing.assert_array_equal(twice, 2 * x)
    second, _ = runner.run([first], [x], SIZES, True)
    assert second is first
    np.testing.assert_array_equal(second, 1 + 2 * x.sum(0))


@pytest.mark.parametrize("guard", ["end", "start"])
def test_the_option(guard: str) -> None:
    fn = parse("fn(%x: f32[batch,3])\n  %0: f32[batch,3] = tanh %x\n  return %0\n")
    program = runtime.compile(fn, options=Options(guard=guard, poison=True))
    assert isinstance(program.runner, GuardedRunner)
    x = np.linspace(-2, 2, 21, dtype=np.float32).reshape(7, 3)
    np.testing.assert_allclose(program(x)[0], np.tanh(x), rtol=1e-6)
