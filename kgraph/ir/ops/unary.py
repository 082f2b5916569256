"""Ops on single elements other than functions: signs, roots, rounding, bits, conversions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Fact, Value
from kgraph.ir.ops.pointwise import (
    BITS,
    CHEAP,
    NUMBERS,
    SIGNED_NUMBERS,
    Unary,
    UnaryFunction,
    unsigned,
)
from kgraph.ir.types import DTYPES, FLOATS, INTEGERS, TensorType, is_float, numpy_dtype

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Abs(Unary):
    """`|x|`; the smallest integer is its own. The slope at 0 is 1, as JAX has it.

    C1  x is of signed integers or floats.
    """

    takes = SIGNED_NUMBERS
    compute = np.abs

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        ascends = b.compare(self.x, b.splat(0, self.x.type), "GE")
        return (b.select(ascends, grads[0], b.negate(grads[0])),)


class Negate(Unary):
    """`-x`; an integer wraps around.

    C1  x is of integers or floats.
    """

    facts = CHEAP | {Fact.LINEAR}
    takes = NUMBERS
    compute = np.negative

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.negate(grads[0]),)


def _sign(x: Array) -> Array:
    return np.where(x == 0, x, np.sign(x))


class Sign(Unary):
    """-1, 0 or 1; a zero keeps its sign and NaN stays NaN.

    C1  x is of signed integers or floats.
    """

    takes = SIGNED_NUMBERS
    compute = _sign

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)


class Sqrt(Unary):
    """The square root; NaN below 0, and -0.0 of -0.0.

    C1  x is of floats.
    """

    takes = FLOATS
    compute = np.sqrt

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        y = self.result
        return (b.multiply(grads[0], b.divide(b.splat(0.5, y.type), y)),)


def _rsqrt(x: Array) -> Array:
    return 1 / np.sqrt(x)


class Rsqrt(UnaryFunction):
    """`1 / sqrt(x)`; inf of 0.0, -inf of -0.0, NaN below 0.

    C1  x is of floats.
    """

    facts = CHEAP
    compute = _rsqrt

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        y = self.result
        slope = b.multiply(b.splat(-0.5, y.type), b.divide(y, self.x))
        return (b.multiply(grads[0], slope),)


class Cbrt(UnaryFunction):
    """The cube root, of negative numbers too; its gradient at 0 is inf.

    C1  x is of floats.
    """

    compute = np.cbrt

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        y = self.result
        slope = b.divide(b.splat(1 / 3, y.type), b.multiply(y, y))
        return (b.multiply(grads[0], slope),)


# ---- rounding ----


class _Step(Unary, abstract=True):
    """Constant but for its jumps."""

    takes = FLOATS

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)


class Floor(_Step):
    """The largest whole number that is not above x.

    C1  x is of floats.
    """

    compute = np.floor


class Ceil(_Step):
    """The smallest whole number that is not below x.

    C1  x is of floats.
    """

    compute = np.ceil


class RoundNearestEven(_Step):
    """The nearest whole number; halves go to the even one.

    C1  x is of floats.
    """

    compute = np.rint


def _round_away(x: Array) -> Array:
    whole = np.trunc(x)
    return np.where(np.abs(x - whole) >= 0.5, whole + np.copysign(1, x).astype(x.dtype), whole)


class RoundNearestAfz(_Step):
    """The nearest whole number; halves go away from zero.

    C1  x is of floats.
    """

    compute = _round_away


class IsFinite(_Step):
    """Is x neither NaN nor infinite? A bool.

    C1  x is of floats.
    """

    compute = np.isfinite

    def infer(self) -> TensorType:
        return super().infer().with_dtype("bool")


# ---- bits ----


class Not(Unary):
    """Every bit flipped; the other bool.

    C1  x is of bools or integers.
    """

    takes = BITS
    compute = np.invert


def _popcnt(x: Array) -> Array:
    return np.bitwise_count(unsigned(x)).astype(x.dtype)


class Popcnt(Unary):
    """How many bits are 1.

    C1  x is of integers.
    """

    takes = INTEGERS
    compute = _popcnt


def _leading_zeros(x: Array) -> Array:
    bits, width = unsigned(x), 8 * x.dtype.itemsize
    for shift in (1, 2, 4, 8, 16, 32):  # fills with ones what lies below the first one
        if shift < width:
            bits = bits | bits >> bits.dtype.type(shift)
    return (width - np.bitwise_count(bits).astype(np.int64)).astype(x.dtype)


class CountLeadingZeros(Unary):
    """How many bits are 0 before the first 1; of 0, all.

    C1  x is of integers.
    """

    takes = INTEGERS
    compute = _leading_zeros


# ---- identities and conversions ----


def _same(x: Array) -> Array:
    return x


class StopGradient(Unary):
    """x, through which no gradient flows."""

    facts = CHEAP | {Fact.LINEAR}
    compute = _same

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)


class Convert(Unary):
    """x in another dtype.

    To bool: is it not 0? NaN is not. From float to integer: towards zero, what is out of range
    becomes the nearest integer that there is, and NaN becomes 0. Between integers: the low bits.
    To floats: the nearest, halves to even; to a 16-bit float always by way of float32.

    C1  `dtype` is one of the dtypes.
    """

    dtype: str

    def infer(self) -> TensorType:
        if self.dtype not in DTYPES:
            raise self.error("C1", f"`dtype` must be one of {DTYPES}; got {self.dtype!r}")
        return self.x.type.with_dtype(self.dtype)

    def reference(self, x: Array) -> Array:  # type: ignore[override]  # one operand
        target = numpy_dtype(self.dtype)
        if self.dtype == "bool":
            return np.not_equal(x, 0)
        if is_float(self.dtype):
            return (x.astype(np.float32) if target.itemsize == 2 else x).astype(target)
        if is_float(self.x.dtype):
            return _saturated(x if x.dtype == np.float64 else x.astype(np.float32), target)
        return x.astype(target)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.convert(grads[0], self.x.dtype) if is_float(self.x.dtype) else None,)


def _saturated(x: Array, dtype: np.dtype[np.generic]) -> Array:
    limits = np.iinfo(dtype.name)
    low, behind = float(limits.min), float(limits.max + 1)  # powers of two: exact in any float
    whole = np.trunc(x)
    inside = (whole >= low) & (whole < behind)
    edge = np.where(whole >= behind, limits.max, np.where(whole < low, limits.min, 0))
    return np.where(inside, np.where(inside, whole, 0).astype(dtype), edge.astype(dtype))


class BitcastConvert(Unary):
    """The same bits as another dtype.

    C1  Both dtypes have equally many bits, and neither is bool.
    """

    dtype: str

    def infer(self) -> TensorType:
        bits = [numpy_dtype(d).itemsize for d in (self.x.dtype, self.dtype) if d in DTYPES[1:]]
        if len(bits) < 2 or bits[0] != bits[1]:
            raise self.error("C1", f"the bits of x: {self.x.type} are no {self.dtype!r}")
        return self.x.type.with_dtype(self.dtype)

    def reference(self, x: Array) -> Array:  # type: ignore[override]  # one operand
        return np.ascontiguousarray(x).view(numpy_dtype(self.dtype)).reshape(x.shape)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)
