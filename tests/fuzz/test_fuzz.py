"""Random graphs: a short run with fixed seeds, and a long one that is slow.

`KGRAPH_FUZZ_SEED=1000 pytest -m slow tests/fuzz` runs other seeds. A failure prints its seed and a
small function that fails.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial

import pytest

from kgraph.ir import Function
from tests.fuzz.generate import random_function
from tests.fuzz.properties import (
    broken_step,
    gradients_are_slopes,
    text_is_complete,
    with_gradients,
)
from tests.fuzz.shrink import report

FIRST = int(os.environ.get("KGRAPH_FUZZ_SEED", "0"))
SHORT = range(12)
LONG = range(FIRST + 100, FIRST + 500)


def holds(fn: Function) -> dict[str, Callable[[Function], bool]]:
    return {
        "print and parse": text_is_complete,
        "the pipeline": lambda fn: not broken_step(fn),
        "the pipeline, of gradients": lambda fn: not broken_step(with_gradients(fn)),
        "gradients": gradients_are_slopes,
    }


def check(seed: int, size: int) -> None:
    fn = random_function(seed, size, integers=bool(seed % 2))
    for what, property_ in holds(fn).items():
        failure = failed(property_, fn)
        if failure:
            same = partial(fails_like, property_, failure)
            pytest.fail(report(seed, f"{what} {failure}", fn, same))


def failed(property_: Callable[[Function], bool], fn: Function) -> str:
    """How the property fails: it does not hold, or it cannot be computed."""
    try:
        return "" if property_(fn) else "does not hold"
    except Exception as e:
        return f"ends with {type(e).__name__}"


def fails_like(property_: Callable[[Function], bool], failure: str, fn: Function) -> bool:
    return failed(property_, fn) == failure


@pytest.mark.parametrize("seed", SHORT)
def test_small_graphs(seed: int) -> None:
    check(seed, 15)


@pytest.mark.slow
@pytest.mark.parametrize("seed", LONG)
def test_graphs(seed: int) -> None:
    check(seed, 10 + seed % 50)


def test_the_shrinker_finds_what_is_wrong() -> None:
    fn = random_function(3, 40)
    small = report(3, "has a sine", fn, lambda f: any(op.name == "sine" for op in f.ops))
    lines = [line for line in small.splitlines() if " = " in line]
    assert len(lines) == 1, small
    assert " = sine " in lines[0]
