"""Ops on the elements of three tensors, of which some may be scalars."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Value
from kgraph.ir.ops.binary import larger, smaller
from kgraph.ir.ops.pointwise import Elementwise
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Select(Elementwise):
    """`on_true` where `pred` holds, else `on_false`; what is not taken has no effect, not even NaN.

    C1  on_true and on_false have one type.
    C2  pred is of bools, and has their shape or rank 0.
    """

    pred: Value
    on_true: Value
    on_false: Value

    def infer(self) -> TensorType:
        t, p = self.on_true.type, self.pred.type
        if t is not self.on_false.type:
            raise self.error(
                "C1", f"on_true and on_false must have one type; got {t} and {self.on_false.type}"
            )
        if p.dtype != "bool" or (p.rank and p.shape != t.shape):
            raise self.error("C2", f"pred must be {t.with_dtype('bool')} or bool[]; got {p}")
        return t

    def reference(self, *arrays: Array) -> Array:
        return np.where(*arrays)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        zero = b.splat(0, self.on_true.type)
        return None, b.select(self.pred, grads[0], zero), b.select(self.pred, zero, grads[0])


class Clamp(Elementwise):
    """`minimum(maximum(x, low), high)`: high where low is above it, NaN where one of them is NaN.

    C1  low and high have the type of x, or its dtype and rank 0.
    C2  They are of integers or floats.
    """

    low: Value
    x: Value
    high: Value

    def infer(self) -> TensorType:
        t = self.x.type
        for bound in (self.low.type, self.high.type):
            if bound is not t and bound is not TensorType((), t.dtype):
                raise self.error("C1", f"low and high must be {t}, or scalars of it; got {bound}")
        if t.dtype == "bool":
            raise self.error("C2", f"low, x and high must be of numbers; got {t}")
        return t

    @staticmethod
    def compute(low: Array, x: Array, high: Array) -> Array:
        """The meaning, on widened arrays."""
        return smaller(larger(x, low), high)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """To x strictly between the bounds, to a bound where x lies strictly beyond it."""
        g, x, t = grads[0], self.x, self.x.type
        low, high = b.broadcast(self.low, t.shape), b.broadcast(self.high, t.shape)
        zero = b.splat(0, t)
        inside = b.and_(b.compare(x, low, "GT"), b.compare(x, high, "LT"))
        below = b.and_(b.compare(low, x, "GT"), b.compare(low, high, "LT"))
        gs = [b.select(where, g, zero) for where in (below, inside, b.compare(high, x, "LT"))]
        if self.low.type is not t:
            gs[0] = b.reduce(gs[0], "sum", tuple(range(t.rank)))
        if self.high.type is not t:
            gs[2] = b.reduce(gs[2], "sum", tuple(range(t.rank)))
        return tuple(gs)
