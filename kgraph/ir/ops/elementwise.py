"""Ops on single elements: one, two and three operands. `unary.py` has the functions of one number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Fact, Value
from kgraph.ir.ops.common import zeros
from kgraph.ir.ops.unary import Elementwise, in_float32
from kgraph.ir.types import FLOATS, INTEGERS, TensorType, is_float, numpy_dtype

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

_COMMON = frozenset({Fact.ELEMENTWISE, Fact.CHEAP})


class Binary(Elementwise, abstract=True):
    """Base of the ops of two operands of one type.

    C1  `x` and `y` have one shape and one dtype.
    C2  the dtype is one of those that the op takes.
    """

    facts = _COMMON
    x: Value
    y: Value

    def takes(self) -> tuple[str, ...]:
        """The dtypes that the op takes."""
        return FLOATS + INTEGERS

    def infer(self) -> TensorType:
        if self.x.type is not self.y.type:
            raise self.error("C1", f"x and y must have one type, got {self.x.type} and {self.y.type}")
        if self.x.dtype not in self.takes():
            raise self.error("C2", f"expected a dtype of {', '.join(self.takes())}; got {self.x.type}")
        return self.x.type


class Add(Binary):
    """`x + y`; integers wrap around, bools: or.

    C1  `x` and `y` have one shape and one dtype.
    """

    facts = _COMMON | {Fact.COMMUTATIVE, Fact.LINEAR}

    def takes(self) -> tuple[str, ...]:
        return (*FLOATS, *INTEGERS, "bool")

    def reference(self, x: Array, y: Array) -> Array:
        return np.add(x, y)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return grads[0], grads[0]


class Subtract(Binary):
    """`x - y`; integers wrap around."""

    facts = _COMMON | {Fact.LINEAR}

    def reference(self, x: Array, y: Array) -> Array:
        return np.subtract(x, y)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return grads[0], b.negate(grads[0])


class Multiply(Binary):
    """`x * y`; integers wrap around, bools: and."""

    facts = _COMMON | {Fact.COMMUTATIVE}

    def takes(self) -> tuple[str, ...]:
        return (*FLOATS, *INTEGERS, "bool")

    def reference(self, x: Array, y: Array) -> Array:
        return np.multiply(x, y)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        return b.multiply(g, self.y), b.multiply(g, self.x)


class Divide(Binary):
    """`x / y`; integers round toward zero, `x / 0` is -1 (all bits), and the smallest integer `/ -1` is itself."""

    facts = _COMMON

    def reference(self, x: Array, y: Array) -> Array:
        return np.divide(x, y) if is_float(self.x.dtype) else _divided(x, y)[0]

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        over = b.divide(g, self.y)
        return over, b.negate(b.multiply(over, b.divide(self.x, self.y)))


class Remainder(Binary):
    """What is left of `x / y`, with the sign of x; integers: `x % 0` is x."""

    def reference(self, x: Array, y: Array) -> Array:
        return in_float32(np.fmod, x, y) if is_float(self.x.dtype) else _divided(x, y)[1]

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        quotient = b.divide(self.x, self.y)
        whole = b.multiply(b.sign(quotient), b.floor(b.abs(quotient)))
        return g, b.negate(b.multiply(g, whole))


def _divided(x: Array, y: Array) -> tuple[Array, Array]:
    """Quotient and remainder of integers, rounded toward zero, defined for every y."""
    zero = y == 0
    minus = np.zeros_like(zero) if x.dtype.kind == "u" else y == -1
    safe = np.where(zero | minus, np.ones_like(y), y)
    remainder = np.fmod(x, safe)
    quotient = (x - remainder) // safe
    quotient = np.where(minus, np.negative(x), np.where(zero, np.asarray(-1).astype(x.dtype), quotient))
    return quotient.astype(x.dtype), np.where(zero, x, remainder).astype(x.dtype)


class Power(Binary):
    """`x ** y`; integers wrap around, and a negative exponent gives 0, but 1 for x = 1 and a sign for x = -1."""

    facts = frozenset({Fact.ELEMENTWISE, Fact.TRANSCENDENTAL})

    def reference(self, x: Array, y: Array) -> Array:
        if is_float(self.x.dtype):
            return in_float32(np.power, x, y)
        return _integer_power(x, y)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        one, zero = b.splat(1, self.y.type), zeros(b, self.y)
        constant = b.compare(self.y, zero, "EQ")
        lowered = b.power(self.x, b.select(constant, one, b.subtract(self.y, one)))
        dx = b.multiply(g, b.select(constant, zero, b.multiply(self.y, lowered)))
        # the derivative by the exponent of 0**y is 0, where log(0) would say NaN
        base = b.select(b.compare(self.x, zero, "EQ"), one, self.x)
        return dx, b.multiply(g, b.multiply(b.log(base), b.power(self.x, self.y)))


def _integer_power(x: Array, y: Array) -> Array:
    result = np.ones_like(x)
    base, exponent = x.copy(), np.maximum(y, 0)
    while exponent.any():
        result = np.where(exponent & 1, result * base, result)
        base, exponent = base * base, exponent >> 1
    if x.dtype.kind == "u":
        return result.astype(x.dtype)
    odd = np.where(y & 1, x, np.ones_like(x))
    inverse = np.where(x == 1, 1, np.where(x == -1, odd, 0))
    return np.where(y < 0, inverse, result).astype(x.dtype)


class Maximum(Binary):
    """The greater; NaN if either is; `0.0` is greater than `-0.0`; bools: or."""

    facts = _COMMON | {Fact.COMMUTATIVE}

    def takes(self) -> tuple[str, ...]:
        return (*FLOATS, *INTEGERS, "bool")

    def reference(self, x: Array, y: Array) -> Array:
        if not is_float(self.x.dtype):
            return np.maximum(x, y)
        return np.where((x == y) & np.signbit(x), y, np.maximum(x, y))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return _choice_vjp(b, grads[0], self.x, self.y, "GT")


class Minimum(Binary):
    """The smaller; NaN if either is; `-0.0` is smaller than `0.0`; bools: and."""

    facts = _COMMON | {Fact.COMMUTATIVE}

    def takes(self) -> tuple[str, ...]:
        return (*FLOATS, *INTEGERS, "bool")

    def reference(self, x: Array, y: Array) -> Array:
        if not is_float(self.x.dtype):
            return np.minimum(x, y)
        return np.where((x == y) & np.signbit(y), y, np.minimum(x, y))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return _choice_vjp(b, grads[0], self.x, self.y, "LT")


def _choice_vjp(b: Builder, g: Value | None, x: Value, y: Value, wins: str) -> tuple[Value, Value]:
    """The gradient goes to the operand that was chosen; half to each where they are equal."""
    assert g is not None
    zero, half = zeros(b, x), b.multiply(g, b.splat(0.5, x.type))
    tie = b.compare(x, y, "EQ")
    first, second = b.compare(x, y, wins), b.compare(y, x, wins)
    return (
        b.select(tie, half, b.select(first, g, zero)),
        b.select(tie, half, b.select(second, g, zero)),
    )


class Atan2(Binary):
    """The angle of the point (y, x) in which `x` is the ordinate: between -pi and pi."""

    facts = frozenset({Fact.ELEMENTWISE, Fact.TRANSCENDENTAL})

    def takes(self) -> tuple[str, ...]:
        return FLOATS

    def reference(self, x: Array, y: Array) -> Array:
        return in_float32(np.arctan2, x, y)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        scaled = b.divide(g, b.add(b.multiply(self.x, self.x), b.multiply(self.y, self.y)))
        return b.multiply(scaled, self.y), b.negate(b.multiply(scaled, self.x))


class _Bitwise(Binary, abstract=True):
    """Base of the ops on bits: bools and integers."""

    def takes(self) -> tuple[str, ...]:
        return ("bool", *INTEGERS)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return None, None


class And(_Bitwise):
    """Bitwise and; bools: logical and."""

    facts = _COMMON | {Fact.COMMUTATIVE}

    def reference(self, x: Array, y: Array) -> Array:
        return np.bitwise_and(x, y)


class Or(_Bitwise):
    """Bitwise or; bools: logical or."""

    facts = _COMMON | {Fact.COMMUTATIVE}

    def reference(self, x: Array, y: Array) -> Array:
        return np.bitwise_or(x, y)


class Xor(_Bitwise):
    """Bitwise exclusive or."""

    facts = _COMMON | {Fact.COMMUTATIVE}

    def reference(self, x: Array, y: Array) -> Array:
        return np.bitwise_xor(x, y)


class _Shift(Binary, abstract=True):
    """Base of the shifts: integers. A shift by the width or more, or by a negative number, moves all bits out."""

    def takes(self) -> tuple[str, ...]:
        return INTEGERS

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return None, None

    def _wide(self, x: Array, y: Array) -> tuple[Array, Array]:
        """Where all bits move out, and a distance that numpy defines."""
        width = x.dtype.itemsize * 8
        out = (y < 0) | (y >= width)
        return out, np.where(out, np.zeros_like(y), y)


class ShiftLeft(_Shift):
    """Moves bits up; zeros come in."""

    def reference(self, x: Array, y: Array) -> Array:
        out, by = self._wide(x, y)
        return np.where(out, np.zeros_like(x), np.left_shift(x, by))


class ShiftRightLogical(_Shift):
    """Moves bits down; zeros come in."""

    def reference(self, x: Array, y: Array) -> Array:
        out, by = self._wide(x, y)
        plain = np.dtype(f"u{x.dtype.itemsize}")
        moved = np.right_shift(x.view(plain) if x.ndim else x.astype(plain), by.astype(plain)).astype(x.dtype)
        return np.where(out, np.zeros_like(x), moved)


class ShiftRightArithmetic(_Shift):
    """Moves bits down; copies of the sign bit come in."""

    def reference(self, x: Array, y: Array) -> Array:
        signed = np.dtype(f"i{x.dtype.itemsize}")
        out, by = self._wide(x, y)
        number = x.astype(signed)
        moved = np.right_shift(number, by.astype(signed))
        return np.where(out, np.where(number < 0, -1, 0), moved).astype(x.dtype)


_DIRECTIONS = {
    "EQ": np.equal, "NE": np.not_equal, "LT": np.less, "LE": np.less_equal, "GT": np.greater, "GE": np.greater_equal,
}  # fmt: skip


class Compare(Elementwise):
    """`x EQ y`, NE, LT, LE, GT, GE, as a bool. Of a NaN only NE is true.

    C1  `x` and `y` have one shape and one dtype.
    C2  `direction` is EQ, NE, LT, LE, GT or GE.
    """

    facts = _COMMON
    x: Value
    y: Value
    direction: str

    def infer(self) -> TensorType:
        if self.x.type is not self.y.type:
            raise self.error("C1", f"x and y must have one type, got {self.x.type} and {self.y.type}")
        if self.direction not in _DIRECTIONS:
            raise self.error("C2", f"expected a direction of {', '.join(_DIRECTIONS)}; got {self.direction!r}")
        return self.x.type.with_dtype("bool")

    def reference(self, x: Array, y: Array) -> Array:
        return np.asarray(_DIRECTIONS[self.direction](x, y))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return None, None


class Select(Elementwise):
    """`on_true` where `pred` holds, else `on_false`.

    C1  `on_true` and `on_false` have one shape and one dtype.
    C2  `pred` is a bool of the same shape, or of rank 0.
    """

    facts = _COMMON
    pred: Value
    on_true: Value
    on_false: Value

    def infer(self) -> TensorType:
        t = self.on_true.type
        if t is not self.on_false.type:
            raise self.error("C1", f"on_true and on_false must have one type, got {t} and {self.on_false.type}")
        if self.pred.dtype != "bool" or self.pred.shape not in ((), t.shape):
            raise self.error("C2", f"pred must be bool[] or {t.with_dtype('bool')}; got {self.pred.type}")
        return t

    def reference(self, pred: Array, on_true: Array, on_false: Array) -> Array:
        return np.where(pred, on_true, on_false)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        zero = zeros(b, self.on_true)
        return None, b.select(self.pred, grads[0], zero), b.select(self.pred, zero, grads[0])


class Clamp(Elementwise):
    """`x`, but at least `low` and at most `high` (`high` wins); NaN if any is.

    C1  `low` and `high` have the dtype of `x`, and its shape or rank 0.
    C2  the dtype is a float or an integer.
    """

    facts = _COMMON
    low: Value
    x: Value
    high: Value

    def infer(self) -> TensorType:
        t = self.x.type
        for bound in (self.low, self.high):
            if bound.dtype != t.dtype or bound.shape not in ((), t.shape):
                raise self.error("C1", f"low and high must be like x: {t}, or of rank 0; got {bound.type}")
        if t.dtype not in FLOATS + INTEGERS:
            raise self.error("C2", f"expected a float or an integer; got {t}")
        return t

    def reference(self, low: Array, x: Array, high: Array) -> Array:
        return np.minimum(np.maximum(x, low), high).astype(x.dtype)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        t = self.x.type
        low, high = b.broadcast(self.low, t.shape), b.broadcast(self.high, t.shape)
        zero = zeros(b, self.x)
        inside = b.and_(b.compare(self.x, low, "GT"), b.compare(self.x, high, "LT"))
        below = b.and_(b.compare(self.x, low, "LT"), b.compare(low, high, "LT"))
        above = b.compare(high, b.maximum(self.x, low), "LT")
        return (
            _like(b, b.select(below, g, zero), self.low),
            b.select(inside, g, zero),
            _like(b, b.select(above, g, zero), self.high),
        )


def _like(b: Builder, g: Value, bound: Value) -> Value:
    """The gradient of a bound that was broadcast."""
    if bound.shape == g.shape:
        return g
    found: Value = b.reduce(g, "sum", tuple(range(g.type.rank)))
    return found


class Convert(Elementwise):
    """`x` as another dtype: floats round to nearest even; a float to an integer rounds toward zero and saturates, NaN
    gives 0; an integer to a smaller one keeps its low bits; to bool: is it not 0?

    C1  `dtype` is one of the IR's.
    """

    facts = _COMMON
    x: Value
    dtype: str

    def infer(self) -> TensorType:
        try:
            return self.x.type.with_dtype(self.dtype)
        except TypeError as e:
            raise self.error("C1", str(e)) from None

    def reference(self, x: Array) -> Array:
        target = numpy_dtype(self.dtype)
        if self.dtype == "bool" or not is_float(self.x.dtype) or is_float(self.dtype):
            return x.astype(target)
        limits = np.iinfo(self.dtype)
        wide = np.nan_to_num(np.trunc(x.astype(np.float64)), nan=0.0)
        low, high = wide <= float(limits.min), wide >= float(limits.max)
        safe = np.where(low | high, 0, wide).astype(target)
        return np.where(high, limits.max, np.where(low, limits.min, safe)).astype(target)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        if not (is_float(self.x.dtype) and is_float(self.dtype)) or grads[0] is None:
            return (None,)
        return (b.convert(grads[0], self.x.dtype),)


class BitcastConvert(Elementwise):
    """The bits of `x` as another dtype of the same width.

    C1  both dtypes have one width, and neither is bool.
    """

    facts = _COMMON
    x: Value
    dtype: str

    def infer(self) -> TensorType:
        t = self.x.type.with_dtype(self.dtype)
        if "bool" in (t.dtype, self.x.dtype) or numpy_dtype(t.dtype).itemsize != numpy_dtype(self.x.dtype).itemsize:
            raise self.error("C1", f"expected a dtype of the width of {self.x.dtype}; got {self.dtype}")
        return t

    def reference(self, x: Array) -> Array:
        return np.ascontiguousarray(x).reshape(x.shape).view(numpy_dtype(self.dtype))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)
