"""Ops of one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from kgraph.ir.graph import Array, Fact, Op, Value
from kgraph.ir.locality import All, Locality, Rows
from kgraph.ir.ops.common import zeros
from kgraph.ir.types import FLOATS, INTEGERS, SIGNED, TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

_CHEAP = frozenset({Fact.ELEMENTWISE, Fact.CHEAP})
_COSTLY = frozenset({Fact.ELEMENTWISE, Fact.TRANSCENDENTAL})


def in_float32(function: Callable[..., Any], *arrays: Array) -> Array:
    """A function of floats; 16-bit ones are computed in float32 and rounded once."""
    dtype = arrays[0].dtype
    if dtype.itemsize > 2:
        return np.asarray(function(*arrays)).astype(dtype)
    return np.asarray(function(*[a.astype(np.float32) for a in arrays])).astype(dtype)


def same_rows(carried: tuple[int | None, ...]) -> Locality | None:
    """The locality of an elementwise op: all operands that carry samples carry them in one dim."""
    dims = {d for d in carried if d is not None}
    if len(dims) > 1:
        return None
    return Rows(dims.pop()) if dims else All()


class Elementwise(Op, abstract=True):
    """Base of the ops with one elementwise result."""

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        rows = same_rows(carried)
        return None if rows is None else (rows,)


class Unary(Elementwise, abstract=True):
    """Base of the ops of one operand.

    C1  the dtype is one of those that the op takes.
    """

    facts = _CHEAP
    x: Value

    def takes(self) -> tuple[str, ...]:
        """The dtypes that the op takes."""
        return FLOATS

    def infer(self) -> TensorType:
        if self.x.dtype not in self.takes():
            raise self.error("C1", f"expected a dtype of {', '.join(self.takes())}; got {self.x.type}")
        return self.x.type


class Abs(Unary):
    """The absolute value; the smallest integer stays."""

    def takes(self) -> tuple[str, ...]:
        return FLOATS + SIGNED

    def reference(self, x: Array) -> Array:
        return np.abs(x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.multiply(grads[0], b.sign(self.x)),)


class Negate(Unary):
    """`-x`; an integer wraps around."""

    facts = _CHEAP | {Fact.LINEAR}

    def takes(self) -> tuple[str, ...]:
        return FLOATS + INTEGERS

    def reference(self, x: Array) -> Array:
        return np.negative(x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.negate(grads[0]),)


class Sign(Unary):
    """-1, 0 or 1; of a zero the zero, of NaN NaN."""

    def takes(self) -> tuple[str, ...]:
        return FLOATS + SIGNED

    def reference(self, x: Array) -> Array:
        return np.where(x == 0, x, np.sign(x)).astype(x.dtype)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (zeros(b, self.x),)


class Not(Unary):
    """All bits turned; bools: logical not."""

    def takes(self) -> tuple[str, ...]:
        return ("bool", *INTEGERS)

    def reference(self, x: Array) -> Array:
        return np.invert(x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)


class Popcnt(Unary):
    """The number of bits that are 1."""

    def takes(self) -> tuple[str, ...]:
        return INTEGERS

    def reference(self, x: Array) -> Array:
        bits = np.unpackbits(np.ascontiguousarray(x).reshape(-1).view(np.uint8)).reshape(-1, x.itemsize * 8)
        return bits.sum(-1).astype(x.dtype).reshape(x.shape)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)


class CountLeadingZeros(Unary):
    """The number of bits above the highest 1; the width for 0."""

    def takes(self) -> tuple[str, ...]:
        return INTEGERS

    def reference(self, x: Array) -> Array:
        width = x.itemsize * 8
        big_endian = np.ascontiguousarray(x).reshape(-1).astype(x.dtype.newbyteorder(">"))
        bits = np.unpackbits(big_endian.view(np.uint8)).reshape(-1, width)
        count = np.where(bits.any(-1), bits.argmax(-1), width)
        return count.astype(x.dtype).reshape(x.shape)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)


class IsFinite(Unary):
    """Is it neither infinite nor NaN?"""

    def infer(self) -> TensorType:
        return super().infer().with_dtype("bool")

    def reference(self, x: Array) -> Array:
        return np.asarray(np.isfinite(x))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)


class StopGradient(Unary):
    """`x`, as a constant for derivatives."""

    def takes(self) -> tuple[str, ...]:
        return (*FLOATS, *INTEGERS, "bool")

    def reference(self, x: Array) -> Array:
        return x

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)


class _Rounding(Unary, abstract=True):
    """Base of the roundings, whose derivative is 0."""

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (zeros(b, self.x),)


class Floor(_Rounding):
    """The greatest integer not above x."""

    def reference(self, x: Array) -> Array:
        return in_float32(np.floor, x)


class Ceil(_Rounding):
    """The smallest integer not below x."""

    def reference(self, x: Array) -> Array:
        return in_float32(np.ceil, x)


class RoundNearestEven(_Rounding):
    """The nearest integer, of two the even one."""

    def reference(self, x: Array) -> Array:
        return in_float32(np.rint, x)


class RoundNearestAfz(_Rounding):
    """The nearest integer, of two the one away from zero."""

    def reference(self, x: Array) -> Array:
        def rounded(a: Array) -> Array:
            whole = np.trunc(a)
            away = np.abs(a - whole) >= 0.5
            return np.where(np.isfinite(a), np.copysign(np.abs(whole) + away, a), a)

        return in_float32(rounded, x)


class _Function(Unary, abstract=True):
    """Base of the transcendental functions: `function` on float32 or float64, `slope` for the derivative."""

    facts = _COSTLY

    def function(self, x: Any) -> Any:
        """The value, for float32 and float64."""
        raise NotImplementedError

    def slope(self, b: Builder) -> Value:
        """The derivative at x."""
        raise NotImplementedError

    def reference(self, x: Array) -> Array:
        return in_float32(self.function, x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.multiply(grads[0], self.slope(b)),)

    def _number(self, b: Builder, number: float) -> Value:
        return b.splat(number, self.x.type)


class Exponential(_Function):
    """e to the power x."""

    def function(self, x: Any) -> Any:
        return np.exp(x)

    def slope(self, b: Builder) -> Value:
        return self.result


class ExponentialMinusOne(_Function):
    """e**x - 1, exact for small x."""

    def function(self, x: Any) -> Any:
        return np.expm1(x)

    def slope(self, b: Builder) -> Value:
        return b.add(self.result, self._number(b, 1))  # type: ignore[no-any-return]  # a Value


class Log(_Function):
    """The natural logarithm; -inf of 0, NaN of a negative number."""

    def function(self, x: Any) -> Any:
        return np.log(x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.divide(grads[0], self.x),)


class LogPlusOne(_Function):
    """log(1 + x), exact for small x."""

    def function(self, x: Any) -> Any:
        return np.log1p(x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.divide(grads[0], b.add(self.x, self._number(b, 1))),)


class Logistic(_Function):
    """1 / (1 + e**-x)."""

    def function(self, x: Any) -> Any:
        small = np.exp(-np.abs(x))
        return np.where(x >= 0, 1 / (1 + small), small / (1 + small)) + 0 * x * np.isnan(x)

    def slope(self, b: Builder) -> Value:
        return b.multiply(self.result, b.subtract(self._number(b, 1), self.result))  # type: ignore[no-any-return]


class Tanh(_Function):
    """The hyperbolic tangent."""

    def function(self, x: Any) -> Any:
        return np.tanh(x)

    def slope(self, b: Builder) -> Value:
        return b.subtract(self._number(b, 1), b.multiply(self.result, self.result))  # type: ignore[no-any-return]


class Tan(_Function):
    """The tangent."""

    def function(self, x: Any) -> Any:
        return np.tan(x)

    def slope(self, b: Builder) -> Value:
        return b.add(self._number(b, 1), b.multiply(self.result, self.result))  # type: ignore[no-any-return]


class Sine(_Function):
    """The sine."""

    def function(self, x: Any) -> Any:
        return np.sin(x)

    def slope(self, b: Builder) -> Value:
        return b.cosine(self.x)  # type: ignore[no-any-return]


class Cosine(_Function):
    """The cosine."""

    def function(self, x: Any) -> Any:
        return np.cos(x)

    def slope(self, b: Builder) -> Value:
        return b.negate(b.sine(self.x))  # type: ignore[no-any-return]


class Asin(_Function):
    """The angle between -pi/2 and pi/2 with the sine x."""

    def function(self, x: Any) -> Any:
        return np.arcsin(x)

    def slope(self, b: Builder) -> Value:
        return b.rsqrt(b.subtract(self._number(b, 1), b.multiply(self.x, self.x)))  # type: ignore[no-any-return]


class Acos(_Function):
    """The angle between 0 and pi with the cosine x."""

    def function(self, x: Any) -> Any:
        return np.arccos(x)

    def slope(self, b: Builder) -> Value:
        return b.negate(b.rsqrt(b.subtract(self._number(b, 1), b.multiply(self.x, self.x))))  # type: ignore[no-any-return]


class Atan(_Function):
    """The angle between -pi/2 and pi/2 with the tangent x."""

    def function(self, x: Any) -> Any:
        return np.arctan(x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.divide(grads[0], b.add(self._number(b, 1), b.multiply(self.x, self.x))),)


class Sinh(_Function):
    """The hyperbolic sine."""

    def function(self, x: Any) -> Any:
        return np.sinh(x)

    def slope(self, b: Builder) -> Value:
        return b.cosh(self.x)  # type: ignore[no-any-return]


class Cosh(_Function):
    """The hyperbolic cosine."""

    def function(self, x: Any) -> Any:
        return np.cosh(x)

    def slope(self, b: Builder) -> Value:
        return b.sinh(self.x)  # type: ignore[no-any-return]


class Asinh(_Function):
    """The inverse of the hyperbolic sine."""

    def function(self, x: Any) -> Any:
        return np.arcsinh(x)

    def slope(self, b: Builder) -> Value:
        return b.rsqrt(b.add(b.multiply(self.x, self.x), self._number(b, 1)))  # type: ignore[no-any-return]


class Acosh(_Function):
    """The inverse of the hyperbolic cosine, at least 0; NaN below 1."""

    def function(self, x: Any) -> Any:
        return np.arccosh(x)

    def slope(self, b: Builder) -> Value:
        one = self._number(b, 1)
        return b.rsqrt(b.multiply(b.subtract(self.x, one), b.add(self.x, one)))  # type: ignore[no-any-return]


class Atanh(_Function):
    """The inverse of the hyperbolic tangent; NaN beyond -1 and 1."""

    def function(self, x: Any) -> Any:
        return np.arctanh(x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.divide(grads[0], b.subtract(self._number(b, 1), b.multiply(self.x, self.x))),)


class Sqrt(_Function):
    """The square root; NaN of a negative number, -0.0 of -0.0."""

    facts = _CHEAP

    def function(self, x: Any) -> Any:
        return np.sqrt(x)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.divide(b.multiply(grads[0], self._number(b, 0.5)), self.result),)


class Rsqrt(_Function):
    """1 / sqrt(x)."""

    facts = _CHEAP

    def function(self, x: Any) -> Any:
        return 1 / np.sqrt(x)

    def slope(self, b: Builder) -> Value:
        return b.multiply(self._number(b, -0.5), b.divide(self.result, self.x))  # type: ignore[no-any-return]


class Cbrt(_Function):
    """The cube root, of a negative number too."""

    def function(self, x: Any) -> Any:
        return np.cbrt(x)

    def slope(self, b: Builder) -> Value:
        return b.divide(b.multiply(self.result, self._number(b, 1 / 3)), self.x)  # type: ignore[no-any-return]


_ERF = np.vectorize(math.erf, otypes=[np.float64])


class Erf(_Function):
    """The error function, 2/sqrt(pi) times the integral of e**-t**2 from 0 to x."""

    def function(self, x: Any) -> Any:
        return _ERF(x.astype(np.float64)) if x.size else x

    def slope(self, b: Builder) -> Value:
        bell = b.exponential(b.negate(b.multiply(self.x, self.x)))
        return b.multiply(self._number(b, 2 / math.sqrt(math.pi)), bell)  # type: ignore[no-any-return]


class ErfInv(_Function):
    """The inverse of the error function: infinite at -1 and 1, NaN beyond.

    A first value from Winitzki's formula (2008), then Newton's method on `erf` (on the complement near 1).
    """

    def function(self, x: Any) -> Any:
        return _inverse_erf(x.astype(np.float64))

    def slope(self, b: Builder) -> Value:
        square = b.exponential(b.multiply(self.result, self.result))
        return b.multiply(self._number(b, math.sqrt(math.pi) / 2), square)  # type: ignore[no-any-return]


_ERFC = np.vectorize(math.erfc, otypes=[np.float64])


def _inverse_erf(x: Array) -> Array:
    inside = np.abs(x) < 1
    p = np.where(inside, np.abs(x), 0.5)
    log, a = np.log1p(-p * p), 0.147
    half = 2 / (math.pi * a) + log / 2
    y = np.sqrt(np.sqrt(half * half - log / a) - half)
    if x.size:
        for _ in range(4):
            # (1 - p) is exact for p >= 0.5, so the error near 1 is that of erfc, not of 1 - erf
            error = np.where(p < 0.5, _ERF(y) - p, (1 - p) - _ERFC(y))
            step = error / (2 / math.sqrt(math.pi) * np.exp(-y * y))
            y = y - step / (1 + y * step)  # Halley's correction
    edge = np.where(np.abs(x) == 1, np.inf, np.nan)
    return np.copysign(np.where(inside, y, edge), x)


