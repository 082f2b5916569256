"""The driver and the disk cache, with a compiler that gives an image written by hand."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from kgraph import runtime
from kgraph.codegen import NativeImage, Options, llvm
from kgraph.ir import Builder, Function, TensorType, to_text
from kgraph.runtime.functions import pool_code
from tests.runtime.native import ROWS, WEIGHTS, prepared_image, step_image

# What another process does with the same graph: it must find the program on disk.
SECOND = """
import sys
import numpy as np
from kgraph import runtime
from kgraph.codegen import Options, llvm
from kgraph.ir import parse

def compile(*_, **__):
    raise AssertionError("the compiler was asked")

llvm.compile = compile
fn = parse(open(sys.argv[1]).read())
program = runtime.compile(fn, state=1, options=Options())
total, twice = program(np.ones(4, np.float32), np.ones((3, 4), np.float32))
assert (total == 2).all() and (twice == 2).all(), (total, twice)
slow = ("llvmlite.binding", "importlib.metadata", "networkx", "jax", "kgraph.passes")
loaded = [name for name in slow if name in sys.modules]
print(loaded)
"""


def function() -> Function:
    """Something of the type of the images; what it computes is not asked here."""
    b = Builder()
    w, x = b.param("dense/kernel", WEIGHTS), b.param("x", ROWS)
    return b.function(b.negate(w), b.negate(x))


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[Function]:
    made: list[Function] = []

    def compile_(
        fn: Function, *, state: int, donate: Mapping[int, int], options: Options, **_: object
    ) -> NativeImage:
        made.append(fn)
        return prepared_image() if state and not donate else step_image()

    monkeypatch.setattr(llvm, "compile", compile_, raising=False)
    return made


def test_memory_then_disk_then_compiler(compiled: list[Function]) -> None:
    x = np.ones((3, 4), np.float32)
    for expected in (1, 1):
        total, _ = runtime.compile(function())(np.ones(4, np.float32), x)
        np.testing.assert_array_equal(total, np.full(4, 4))
        assert len(compiled) == expected
    runtime.clear_memory_cache()
    total, _ = runtime.compile(function())(np.ones(4, np.float32), x)
    np.testing.assert_array_equal(total, np.full(4, 4))
    assert len(compiled) == 1
    runtime.clear_memory_cache()
    runtime.disk_cache().clear()
    runtime.compile(function())
    assert len(compiled) == 2


def test_donation_and_options_are_other_programs(compiled: list[Function]) -> None:
    w, x = np.ones(4, np.float32), np.ones((3, 4), np.float32)
    program = runtime.compile(function(), state=1, donate={0: 0})
    assert program.run([w], [x])[0] is w
    runtime.compile(function(), state=1)
    runtime.compile(function(), state=1, options=Options(exact=True))
    assert len(compiled) == 3
    assert len(runtime.disk_cache().entries()) >= 3


def test_a_damaged_entry_is_compiled_again(compiled: list[Function], cache_folder: Path) -> None:
    runtime.compile(function(), name="mlp")
    runtime.clear_memory_cache()
    for path in cache_folder.glob("*.kgc"):
        path.write_bytes(path.read_bytes()[:-1])
    runtime.compile(function(), name="mlp")
    assert len(compiled) == 2
    assert "mlp" in [entry.name for entry in runtime.disk_cache().entries()]


def test_an_entry_that_cannot_be_loaded_is_compiled_again(compiled: list[Function]) -> None:
    runtime.compile(function())
    runtime.clear_memory_cache()
    cache = runtime.disk_cache()
    (entry,) = cache.entries()
    key = runtime.Key(entry.parts)
    good = cache.get(key)
    assert good is not None
    for bad in (b"", b"{}\n", good[0][:-500], good[0].replace(b"\x7fELF", b"\x7fELG")):
        cache.put(key, [bad])
        before = len(compiled)
        total, _ = runtime.compile(function())(np.ones(4, np.float32), np.ones((3, 4), np.float32))
        np.testing.assert_array_equal(total, np.full(4, 4))
        assert len(compiled) == before + 1
        runtime.clear_memory_cache()


def test_a_second_process_runs_no_compiler(
    compiled: list[Function], tmp_path: Path, cache_folder: Path
) -> None:
    fn = function()
    first = runtime.compile(fn, state=1, options=Options())
    first(np.ones(4, np.float32), np.ones((3, 4), np.float32))
    pool_code()
    path = tmp_path / "step.kg"

    path.write_text(to_text(fn, labels=False))
    done = subprocess.run(
        [sys.executable, "-c", SECOND, str(path)], env={**os.environ, "KGRAPH_VERIFY": "0"},
        timeout=120, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"


def test_signature_types_of_a_rank_0_result() -> None:
    b = Builder()
    x = b.param("x", TensorType((), "float32"))
    program = runtime.compile(b.function(b.negate(x)), options=Options(backend="reference"))
    (y,) = program(np.float32(3))
    assert y.shape == ()
    assert y == -3
