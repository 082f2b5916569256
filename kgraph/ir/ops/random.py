"""Random bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Fact, Op, Value
from kgraph.ir.locality import Locality
from kgraph.ir.ops.unary import same_rows
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


class Threefry(Op):
    """Two 32-bit words of random bits for a key and a counter of two words each, element by element.

    Threefry-2x32 with 20 rounds: Salmon, Moraes, Dror and Shaw, Parallel random numbers: as easy as 1, 2, 3 (SC 2011).

    C1  all operands are uint32 of one shape.
    """

    facts = frozenset({Fact.ELEMENTWISE, Fact.TRANSCENDENTAL})
    k0: Value
    k1: Value
    x0: Value
    x1: Value

    def infer(self) -> tuple[TensorType, ...]:
        t = self.k0.type
        if t.dtype != "uint32" or any(v.type is not t for v in (self.k1, self.x0, self.x1)):
            raise self.error("C1", f"expected uint32 operands of one shape; got {[v.type for v in (self.k0, self.k1, self.x0, self.x1)]}")
        return t, t

    def reference(self, k0: Array, k1: Array, x0: Array, x1: Array) -> tuple[Array, ...]:
        keys = (k0, k1, k0 ^ k1 ^ _PARITY)
        x0, x1 = x0 + k0, x1 + k1
        for i in range(5):
            for r in _ROTATIONS[i % 2]:
                x0 = x0 + x1
                x1 = ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r))) ^ x0
            x0 = x0 + keys[(i + 1) % 3]
            x1 = x1 + keys[(i + 2) % 3] + np.uint32(i + 1)
        return x0, x1

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return None, None, None, None

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        rows = same_rows(carried)
        return None if rows is None else (rows, rows)
