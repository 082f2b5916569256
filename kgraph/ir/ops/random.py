"""Random bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Value
from kgraph.ir.ops.pointwise import COSTLY, Elementwise
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))
_PARITY = np.uint32(0x1BD11BDA)


class Threefry(Elementwise):
    """Two words of random bits for each key (k0, k1) and counter (x0, x1), all uint32.

    Threefry-2x32 of 20 rounds: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, Parallel
    Random Numbers: As Easy as 1, 2, 3 (SC 2011). With x0, x1 the high and low word of an element's
    linear index, `word0 xor word1` are the 32 random bits that JAX's partitionable generator gives
    that element.

    C1  The operands are uint32 of one shape.
    """

    facts = COSTLY
    k0: Value
    k1: Value
    x0: Value
    x1: Value

    def infer(self) -> tuple[TensorType, ...]:
        types = [v.type for v in (self.k0, self.k1, self.x0, self.x1)]
        if types[0].dtype != "uint32" or any(t is not types[0] for t in types):
            raise self.error("C1", f"the operands must be uint32 of one shape; got {types}")
        return types[0], types[0]

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        k0, k1, x0, x1 = arrays
        keys = (k0, k1, k0 ^ k1 ^ _PARITY)
        x0, x1 = x0 + k0, x1 + k1  # from here on in place: large weights are drawn by this
        for i in range(5):
            for r in _ROTATIONS[i % 2]:
                x0 += x1
                low = x1 >> np.uint32(32 - r)
                x1 <<= np.uint32(r)
                x1 |= low
                x1 ^= x0
            x0 += keys[(i + 1) % 3]
            x1 += keys[(i + 2) % 3]
            x1 += np.uint32(i + 1)
        return x0, x1

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return None, None, None, None
