"""Ops that make, view or move elements and compute nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from kgraph.ir.graph import Array, Fact, Op, Value
from kgraph.ir.literal import Literal
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Constant(Op):
    """The array `value`."""

    facts = frozenset({Fact.CHEAP})
    value: Literal

    def infer(self) -> TensorType:
        return TensorType(self.value.shape, self.value.dtype)

    def reference(self) -> Array:
        return self.value.array


class Transpose(Op):
    """Permutes dims: `result.shape[k] = x.shape[perm[k]]`.

    C1  `perm` is a permutation of `0 .. rank(x) - 1`.
    """

    facts: ClassVar[frozenset[Fact]] = frozenset({Fact.MOVES, Fact.LINEAR})
    x: Value
    perm: tuple[int, ...]

    def infer(self) -> TensorType:
        t = self.x.type
        if sorted(self.perm) != list(range(t.rank)):
            raise self.error("C1", f"`perm` must permute the {t.rank} dims of x: {t}, got perm={self.perm}")
        return TensorType(tuple(t.shape[p] for p in self.perm), t.dtype)

    def reference(self, x: Array) -> Array:
        return np.transpose(x, self.perm)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        return (b.transpose(g, tuple(int(p) for p in np.argsort(self.perm))),)
