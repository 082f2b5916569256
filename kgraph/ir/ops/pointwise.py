"""What the elementwise ops share: dtype rules, the precision of the reference, locality."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from kgraph.ir.graph import Array, Fact, Op, Value
from kgraph.ir.locality import All, Locality, Rows
from kgraph.ir.types import DTYPES, FLOATS, INTEGERS, SIGNED, TensorType, is_float, numpy_dtype

NUMBERS = INTEGERS + FLOATS
SIGNED_NUMBERS = SIGNED + FLOATS
BITS = ("bool", *INTEGERS)

CHEAP = frozenset({Fact.ELEMENTWISE, Fact.CHEAP})
COSTLY = frozenset({Fact.ELEMENTWISE, Fact.TRANSCENDENTAL})

_NAMES = {
    DTYPES: "any dtype",
    FLOATS: "floats",
    NUMBERS: "numbers",
    SIGNED_NUMBERS: "signed numbers",
    INTEGERS: "integers",
    BITS: "bools or integers",
}


class Elementwise(Op, abstract=True):
    """Base of the ops whose results have, at each index, what the operands have there.

    `compute` is the meaning, on arrays of the dtype that the reference works in: 16-bit floats are
    widened to float32, and every float to float64 where numpy does not round correctly (`exact` is
    False); the result is rounded once.
    """

    facts = CHEAP
    takes: ClassVar[tuple[str, ...]] = DTYPES
    exact: ClassVar[bool] = True
    compute: ClassVar[Callable[..., Array]]

    def reference(self, *arrays: Array) -> Array | tuple[Array, ...]:
        """`compute` on the widened arrays, rounded to the dtype of the result."""
        dtype = self.operands[0].dtype
        if is_float(dtype):
            wide = np.float32 if self.exact and dtype != "float64" else np.float64
            y = type(self).compute(*[a.astype(wide, copy=False) for a in arrays])
            return np.asarray(y).astype(numpy_dtype(self.results[0].dtype), copy=False)
        return type(self).compute(*arrays)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        """The samples stay in their dim; an operand that does not carry them is of rank 0."""
        dims = {d for d in carried if d is not None}
        if len(dims) > 1:
            return None
        one: Locality = Rows(dims.pop()) if dims else All()
        return (one,) * len(self.results)


class Unary(Elementwise, abstract=True):
    """Base of the ops of one operand."""

    x: Value

    def infer(self) -> TensorType:
        if self.x.dtype not in self.takes:
            raise self.error("C1", f"x must be of {_NAMES[self.takes]}; got {self.x.type}")
        return self.x.type


class UnaryFunction(Unary, abstract=True):
    """Base of the functions of one float that take tens of instructions."""

    facts = COSTLY
    takes = FLOATS
    exact = False


class Binary(Elementwise, abstract=True):
    """Base of the ops of two operands."""

    x: Value
    y: Value

    def infer(self) -> TensorType:
        t = self.x.type
        if t is not self.y.type:
            raise self.error("C1", f"x and y must have one type; got {t} and {self.y.type}")
        if t.dtype not in self.takes:
            raise self.error("C2", f"x and y must be of {_NAMES[self.takes]}; got {t}")
        return t


def unsigned(x: Array) -> Array:
    """The bits of an integer array as unsigned integers."""
    return x.view(np.dtype(f"uint{8 * x.dtype.itemsize}"))


def signed(x: Array) -> Array:
    """The bits of an integer array as signed integers."""
    return x.view(np.dtype(f"int{8 * x.dtype.itemsize}"))
