"""The set of exact rules, and what they ask of values.

Exact means the same bits for every input, NaN, inf and signed zeros included; the order of a sum is
no part of its meaning.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from kgraph.ir import Value
from kgraph.ir.ops.shape import BroadcastInDim, Constant, Reshape
from kgraph.passes.rewrite import RuleSet

exact = RuleSet("exact")


def splat_of(v: Value) -> np.generic | None:
    """The number that every element of `v` is, if it is a broadcast constant."""
    while isinstance(v.op, BroadcastInDim | Reshape):
        v = v.op.x
    if isinstance(v.op, Constant) and v.op.value.shape in ((), (1,)):
        return cast("np.generic", v.op.value.array.reshape(())[()])
    return None


def is_number(v: Value, number: float) -> bool:
    """Is `v` that number everywhere, with its sign?"""
    found = splat_of(v)
    return (
        found is not None
        and bool(found == number)
        and bool(np.signbit(float(found)) == np.signbit(number))
    )
