"""Ops on single elements."""

from __future__ import annotations

from kgraph.ir.graph import Array, Fact, Op, Value
from kgraph.ir.types import TensorType


class Unary(Op, abstract=True):
    """Base of the ops of one operand."""

    facts = frozenset({Fact.ELEMENTWISE, Fact.CHEAP})
    x: Value

    def infer(self) -> TensorType:
        return self.x.type


class Negate(Unary):
    """`-x`; an integer wraps around."""

    def reference(self, x: Array) -> Array:
        return -x
