"""The lowerings to `jax.lax`, against the interpreter: the table of op cases, op by op."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from kgraph.codegen.jax import lowering
from kgraph.ir import FLOATS, Array, Function, bind, evaluate
from kgraph.passes.decompose import Decompose
from tests.ops.cases import CASES
from tests.ops.row import SIZES, Case

SMALLEST = {"float16": 2.0**-14, "bfloat16": 2.0**-126, "float32": 2.0**-126, "float64": 2.0**-1022}


def run(fn: Function, arrays: list[Array]) -> list[Array]:
    """Each op by itself, not jitted: XLA compiles a small program per op and type, and once."""
    fn = Decompose(keep=tuple(lowering.lower)).run(fn)
    with jax.enable_x64(True):
        found = lowering.run(fn, [jnp.asarray(a) for a in arrays])
        return [np.asarray(a) for a in found]


def flushed(a: Array) -> Array:
    """Zeros of the same sign in place of subnormal numbers, as XLA has it on CPUs."""
    if str(a.dtype) not in FLOATS:
        return a
    smallest = SMALLEST[str(a.dtype)]
    return np.where(np.abs(a.astype(np.float64)) < smallest, np.copysign(0, a), a).astype(a.dtype)


@cache
def quick() -> frozenset[str]:
    """One case per op and dtype, and those with odd numbers: each costs a compilation."""
    first: dict[tuple[str, str, bool], str] = {}
    for case in CASES:
        first.setdefault((case.op, case.dtype, case.special), str(case))
    return frozenset(first.values())


def cases() -> list[Any]:
    return [
        pytest.param(case, id=str(case), marks=[] if str(case) in quick() else [pytest.mark.slow])
        for case in CASES
        if case.op not in lowering.NEVER
    ]


@pytest.mark.parametrize("case", cases())
def test_case(case: Case) -> None:
    arrays = [flushed(a) for a in case.arrays()]
    fn = bind(case.function(), SIZES)
    got, want = run(fn, arrays), evaluate(fn, arrays)
    case.assert_close([flushed(a) for a in got], [flushed(a) for a in want])


def test_every_op_has_a_lowering() -> None:
    assert lowering.missing() == []
