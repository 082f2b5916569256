"""Ops on the elements of two tensors at the same index."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Fact, Value
from kgraph.ir.ops.pointwise import BITS, CHEAP, COSTLY, NUMBERS, Binary, signed, unsigned
from kgraph.ir.types import DTYPES, FLOATS, INTEGERS, TensorType, is_float

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Add(Binary):
    """`x + y`; integers wrap around, of bools it is `or`.

    C1  x and y have one type.
    """

    facts = CHEAP | {Fact.COMMUTATIVE, Fact.LINEAR}
    compute = np.add

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return grads[0], grads[0]


class Subtract(Binary):
    """`x - y`; integers wrap around.

    C1  x and y have one type.
    C2  They are of integers or floats.
    """

    facts = CHEAP | {Fact.LINEAR}
    takes = NUMBERS
    compute = np.subtract

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return grads[0], b.negate(grads[0])


class Multiply(Binary):
    """`x * y`; integers wrap around, of bools it is `and`.

    C1  x and y have one type.
    """

    facts = CHEAP | {Fact.COMMUTATIVE}
    compute = np.multiply

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return b.multiply(grads[0], self.y), b.multiply(grads[0], self.x)


def _divide(x: Array, y: Array) -> Array:
    if x.dtype.kind not in "iu":
        return x / y
    rest, divisor = _remainder(x, y), _safe_divisor(x, y)
    return np.where(y == 0, np.asarray(-1).astype(x.dtype), (x - rest) // divisor)


def _safe_divisor(x: Array, y: Array) -> Array:
    """y, or 1 where numpy would warn: x / 0 and, with the right result, MIN / -1."""
    wraps = x.dtype.kind == "i" and (y == -1) & (x == np.iinfo(x.dtype).min)
    return np.where((y == 0) | wraps, np.ones((), x.dtype), y)


class Divide(Binary):
    """`x / y`; of integers towards zero, `x / 0` is -1 (all bits), and `MIN / -1` is MIN.

    C1  x and y have one type.
    C2  They are of integers or floats.
    """

    takes = NUMBERS
    compute = _divide

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        gx = b.divide(grads[0], self.y)
        return gx, b.negate(b.multiply(gx, self.result))


def _remainder(x: Array, y: Array) -> Array:
    if x.dtype.kind not in "iu":
        return np.fmod(x, y)
    return np.where(y == 0, x, np.fmod(x, _safe_divisor(x, y)))


class Remainder(Binary):
    """What `x / y` leaves, with the sign of x; `x % 0` is x for integers, NaN for floats.

    C1  x and y have one type.
    C2  They are of integers or floats.
    """

    facts = COSTLY
    takes = NUMBERS
    compute = _remainder

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """`x - trunc(x / y) * y`, whose jumps count as flat."""
        quotient = b.divide(self.x, self.y)
        whole = b.multiply(b.sign(quotient), b.floor(b.abs(quotient)))
        return grads[0], b.negate(b.multiply(grads[0], whole))


def _power(x: Array, y: Array) -> Array:
    if x.dtype.kind not in "iu":
        return np.power(x, y)
    left = unsigned(np.abs(y)) if x.dtype.kind == "i" else y
    total, square = np.ones_like(x), x
    while left.any():
        total = np.where(left & 1 == 1, total * square, total)
        square, left = square * square, left >> 1
    return np.where((y < 0) & (x != 1) & (x != -1), 0, total) if x.dtype.kind == "i" else total


class Power(Binary):
    """x to the y.

    Integers wrap around, and a negative y gives 0 unless x is 1 or -1. Floats follow C's `pow`: 1
    where y is 0 or x is 1, whatever the other is; NaN where x is negative and y not whole.

    C1  x and y have one type.
    C2  They are of integers or floats.
    """

    facts = COSTLY
    takes = NUMBERS
    exact = False
    compute = _power

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """With respect to x, 0 where y is 0; with respect to y, 0 where x is 0, and NaN below."""
        x, y, t = self.x, self.y, self.x.type
        zero, one = b.splat(0, t), b.splat(1, t)
        slope = b.multiply(y, b.power(x, b.subtract(y, one)))
        slope = b.select(b.compare(y, zero, "EQ"), zero, slope)
        safe = b.select(b.compare(x, zero, "EQ"), one, x)
        growth = b.multiply(b.log(safe), self.result)
        return b.multiply(grads[0], slope), b.multiply(grads[0], growth)


class Atan2(Binary):
    """The angle of the point whose ordinate is x and whose abscissa is y, from -pi to pi.

    C1  x and y have one type.
    C2  They are of floats.
    """

    facts = COSTLY
    takes = FLOATS
    exact = False
    compute = np.arctan2

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        x, y = self.x, self.y
        radius = b.add(b.multiply(x, x), b.multiply(y, y))
        gx, gy = b.divide(y, radius), b.divide(x, radius)
        return b.multiply(grads[0], gx), b.negate(b.multiply(grads[0], gy))


# ---- the larger and the smaller ----


def larger(x: Array, y: Array) -> Array:
    """The maximum; NaN wins, and 0.0 over -0.0."""
    return _chosen(np.maximum(x, y), x, y, negative=False)


def smaller(x: Array, y: Array) -> Array:
    """The minimum; NaN wins, and -0.0 over 0.0."""
    return _chosen(np.minimum(x, y), x, y, negative=True)


def _chosen(z: Array, x: Array, y: Array, *, negative: bool) -> Array:
    """Of two zeros of different signs numpy takes any."""
    if x.dtype.kind != "f":
        return z
    zeros = (x == 0) & (y == 0) & (np.signbit(x) != np.signbit(y))
    return np.where(zeros, np.asarray(-0.0 if negative else 0.0, x.dtype), z)


class _Extreme(Binary, abstract=True):
    """The gradient goes to the operand that is taken, half to each where both are equal.

    Where one is NaN it goes nowhere.
    """

    facts = CHEAP | {Fact.COMMUTATIVE}
    takes = DTYPES

    def _vjp(self, b: Builder, g: Value | None, direction: str) -> tuple[Value | None, ...]:
        zero = b.splat(0, self.x.type)
        half = b.multiply(g, b.splat(0.5, self.x.type))
        shared = b.select(b.compare(self.x, self.y, "EQ"), half, zero)
        gx = b.select(b.compare(self.x, self.y, direction), g, shared)
        gy = b.select(b.compare(self.y, self.x, direction), g, shared)
        return gx, gy


class Maximum(_Extreme):
    """The larger of x and y; NaN if one is; 0.0 is larger than -0.0; of bools it is `or`.

    C1  x and y have one type.
    """

    compute = larger

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return self._vjp(b, grads[0], "GT")


class Minimum(_Extreme):
    """The smaller of x and y; NaN if one is; -0.0 is smaller than 0.0; of bools it is `and`.

    C1  x and y have one type.
    """

    compute = smaller

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return self._vjp(b, grads[0], "LT")


# ---- bits ----


class _Bits(Binary, abstract=True):
    facts = CHEAP | {Fact.COMMUTATIVE}
    takes = BITS

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return None, None


class And(_Bits):
    """The bits that are 1 in both.

    C1  x and y have one type.
    C2  They are of bools or integers.
    """

    compute = np.bitwise_and


class Or(_Bits):
    """The bits that are 1 in one or both.

    C1  x and y have one type.
    C2  They are of bools or integers.
    """

    compute = np.bitwise_or


class Xor(_Bits):
    """The bits that are 1 in one only.

    C1  x and y have one type.
    C2  They are of bools or integers.
    """

    compute = np.bitwise_xor


class _Shift(_Bits, abstract=True):
    """y counts as unsigned: what is negative is a very wide shift."""

    facts = CHEAP
    takes = INTEGERS


def _shift_left(x: Array, y: Array) -> Array:
    return _shifted(np.left_shift, unsigned(x), y).view(x.dtype)


def _shift_right_logical(x: Array, y: Array) -> Array:
    return _shifted(np.right_shift, unsigned(x), y).view(x.dtype)


def _shifted(shift: np.ufunc, x: Array, y: Array) -> Array:
    count, width = unsigned(y), 8 * x.dtype.itemsize
    wide = count >= width
    return np.where(wide, np.zeros((), x.dtype), shift(x, np.where(wide, 0, count).astype(x.dtype)))


def _shift_right_arithmetic(x: Array, y: Array) -> Array:
    count = np.minimum(unsigned(y), 8 * x.dtype.itemsize - 1)
    return np.right_shift(signed(x), signed(count)).view(x.dtype)


class ShiftLeft(_Shift):
    """The bits of x moved up by y, zeros behind them; 0 where y is the number of bits or more.

    C1  x and y have one type.
    C2  They are of integers.
    """

    compute = _shift_left


class ShiftRightArithmetic(_Shift):
    """The bits of x moved down by y, copies of the top bit before them, also where y is too wide.

    C1  x and y have one type.
    C2  They are of integers.
    """

    compute = _shift_right_arithmetic


class ShiftRightLogical(_Shift):
    """The bits of x moved down by y, zeros before them; 0 where y is the number of bits or more.

    C1  x and y have one type.
    C2  They are of integers.
    """

    compute = _shift_right_logical


# ---- comparison ----

_COMPARISONS = {
    "EQ": np.equal,
    "NE": np.not_equal,
    "LT": np.less,
    "LE": np.less_equal,
    "GT": np.greater,
    "GE": np.greater_equal,
}


class Compare(Binary):
    """Is x equal, unequal, less, ...? A bool; with NaN only NE holds, and -0.0 equals 0.0.

    C1  x and y have one type.
    C2  `direction` is EQ, NE, LT, LE, GT or GE.
    """

    direction: str

    def infer(self) -> TensorType:
        if self.direction not in _COMPARISONS:
            raise self.error(
                "C2", f"`direction` must be of {list(_COMPARISONS)}; got {self.direction!r}"
            )
        return super().infer().with_dtype("bool")

    def reference(self, *arrays: Array) -> Array:
        x, y = arrays
        if is_float(self.x.dtype) and self.x.dtype != "float64":
            x, y = x.astype(np.float32), y.astype(np.float32)
        found: Array = _COMPARISONS[self.direction](x, y)
        return found

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return None, None
