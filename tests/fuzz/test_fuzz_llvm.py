"""Random graphs as native code: pipeline with small blocks, poisoned memory, several batches."""

from __future__ import annotations

import os

import pytest

from kgraph.ir import Function, evaluate
from kgraph.passes.base import run_passes
from kgraph.passes.decompose import Decompose
from tests.codegen.llvm.lowered import native, run
from tests.fuzz.generate import arguments, random_function
from tests.fuzz.properties import close, steps, with_gradients
from tests.fuzz.shrink import report

FIRST = int(os.environ.get("KGRAPH_FUZZ_SEED", "0"))
BATCHES = (1, 3, 9, 40)


def agrees(fn: Function) -> bool:
    """Does native code, of the ops as they are and of the pipeline's kernels, give the answers?"""
    for scheduled in (Decompose().run(fn), run_passes(fn, steps())):
        runner = native(scheduled)
        for n in BATCHES:
            arrays = arguments(fn, n)
            if not close(list(run(runner, fn, arrays)), evaluate(fn, arrays)):
                return False
    return True


def check(seed: int, size: int) -> None:
    plain = random_function(seed, size)
    for what, fn in (("native code", plain), ("native code of gradients", with_gradients(plain))):
        try:
            good = agrees(fn)
        except Exception as e:
            good, what = False, f"{what}: {e!r}"
        if not good:
            pytest.fail(report(seed, what, fn, _fails))


def _fails(fn: Function) -> bool:
    try:
        for n in BATCHES:
            evaluate(fn, arguments(fn, n))
    except Exception:
        return False  # what shrinking made is no graph of this kind
    try:
        return not agrees(fn)
    except Exception:
        return True


@pytest.mark.parametrize("seed", range(6))
def test_small_graphs(seed: int) -> None:
    check(seed, 15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(FIRST + 100, FIRST + 300))
def test_many_graphs(seed: int) -> None:
    check(seed, 10 + seed % 40)
