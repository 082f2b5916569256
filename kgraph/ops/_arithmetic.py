"""Sums, products, quotients, powers."""

from __future__ import annotations

from typing import Any

from kgraph.ir import FLOATS, UNSIGNED, Value
from kgraph.ops._common import binary, entered, same, unary
from kgraph.ops._dispatch import op
from kgraph.ops._promote import common_dtype, dtype_of, promoted

__all__ = [
    "abs", "absolute", "add", "clip", "divide", "divide_no_nan", "floor_divide", "fmax", "fmin",
    "fmod", "maximum", "minimum", "mod", "multiply", "negative", "power", "reciprocal", "sign",
    "square", "subtract", "true_divide",
]  # fmt: skip

_LARGEST_POWER = 64  # of a Python int, written out as products


@op("numpy.Add", 2)
def add(x1: Any, x2: Any) -> Any:
    """The sum, element by element; of bools, `or`."""
    return binary("or_" if common_dtype(x1, x2) == "bool" else "add", x1, x2)


@op("numpy.Subtract", 2)
def subtract(x1: Any, x2: Any) -> Any:
    """`x1 - x2`, element by element."""
    if common_dtype(x1, x2) == "bool":
        raise TypeError("bools cannot be subtracted; use logical_xor, or cast them to numbers")
    return binary("subtract", x1, x2)


@op("numpy.Multiply", 2)
def multiply(x1: Any, x2: Any) -> Any:
    """The product, element by element; of bools, `and`."""
    return binary("and_" if common_dtype(x1, x2) == "bool" else "multiply", x1, x2)


@op("numpy.Divide", 2)
def divide(x1: Any, x2: Any) -> Any:
    """`x1 / x2`, element by element, as floats."""
    return binary("divide", x1, x2, at_least="float")


@op("numpy.TrueDivide", 2)
def true_divide(x1: Any, x2: Any) -> Any:
    """`x1 / x2`, element by element, as floats."""
    return binary("divide", x1, x2, at_least="float")


@op("numpy.DivideNoNan", 2)
def divide_no_nan(x1: Any, x2: Any) -> Any:
    """`x1 / x2`, and 0 where x2 is 0."""
    context, (x, y) = promoted(x1, x2, at_least="float")
    b = context.b
    is_zero = b.compare(y, b.splat(0, y.type), "EQ")
    quotient = b.divide(x, b.select(is_zero, b.splat(1, y.type), y))
    return context.wrap(b.select(is_zero, b.splat(0, y.type), quotient))


@op("numpy.FloorDivide", 2)
def floor_divide(x1: Any, x2: Any) -> Any:
    """`x1 / x2`, rounded down."""
    context, (x, y) = _numbers(x1, x2)
    b, dtype = context.b, x.type.dtype
    if dtype in UNSIGNED:
        return context.wrap(b.divide(x, y))
    if dtype in FLOATS:
        # a division by 0 gives infinity, though its remainder is NaN
        by_zero = b.compare(y, b.splat(0, y.type), "EQ")
        whole = b.select(by_zero, x, b.subtract(x, _mod(b, x, y)))
        return context.wrap(b.round_nearest_afz(b.divide(whole, y)))
    quotient, zero = b.divide(x, y), b.splat(0, x.type)
    inexact = b.compare(b.remainder(x, y), zero, "NE")
    below = b.and_(inexact, b.compare(b.sign(x), b.sign(y), "NE"))
    return context.wrap(b.select(below, b.subtract(quotient, b.splat(1, x.type)), quotient))


@op("numpy.Mod", 2)
def mod(x1: Any, x2: Any) -> Any:
    """The remainder of `floor_divide`: it has the sign of x2."""
    context, (x, y) = _numbers(x1, x2)
    return context.wrap(_mod(context.b, x, y))


@op("numpy.Fmod", 2)
def fmod(x1: Any, x2: Any) -> Any:
    """The remainder of the division rounded towards 0: it has the sign of x1."""
    context, (x, y) = _numbers(x1, x2)
    return context.wrap(context.b.remainder(x, y))


def _numbers(x1: Any, x2: Any) -> tuple[Any, list[Value]]:
    return promoted(x1, x2, at_least="int32" if common_dtype(x1, x2) == "bool" else None)


def _mod(b: Any, x: Value, y: Value) -> Any:
    rest, zero = b.remainder(x, y), b.splat(0, x.type)
    if x.type.dtype in UNSIGNED:
        return rest
    signs_differ = b.compare(b.compare(rest, zero, "LT"), b.compare(y, zero, "LT"), "NE")
    wrong = b.and_(b.compare(rest, zero, "NE"), signs_differ)
    return b.select(wrong, b.add(rest, y), rest)


@op("numpy.Power", 2)
def power(x1: Any, x2: Any) -> Any:
    """`x1 ** x2`, element by element."""
    if isinstance(x2, int) and not isinstance(x2, bool) and x2 <= _LARGEST_POWER:
        dtype = common_dtype(x1, x2)
        if x2 >= 0 or (dtype in FLOATS and x2 >= -_LARGEST_POWER):
            context, value = entered(x1, dtype)
            return context.wrap(_integer_power(context.b, value, x2))
        if dtype not in FLOATS:
            raise ValueError(f"integers cannot be raised to the negative power {x2}")
    context, (x, y) = _numbers(x1, x2)
    return context.wrap(context.b.power(x, y))


def _integer_power(b: Any, x: Value, n: int) -> Value:
    """By squaring: few products, and exact for integers."""
    one = b.splat(1, x.type)
    if n < 0:
        inverse: Value = b.divide(one, _integer_power(b, x, -n))
        return inverse
    result: Value | None = None
    while n:
        if n & 1:
            result = x if result is None else b.multiply(result, x)
        n >>= 1
        if n:
            x = b.multiply(x, x)
    return one if result is None else result


@op("numpy.Negative")
def negative(x: Any) -> Any:
    """`-x`."""
    return unary("negate", x)


@op("numpy.Absolute")
def absolute(x: Any) -> Any:
    """The absolute value."""
    return same(x) if dtype_of(x) in (*UNSIGNED, "bool") else unary("abs", x)


@op("numpy.Abs")
def abs(x: Any) -> Any:  # Keras's name
    """The absolute value."""
    return absolute(x)


@op("numpy.Square")
def square(x: Any) -> Any:
    """`x * x`."""
    context, value = entered(x, "int32" if dtype_of(x) == "bool" else None)
    return context.wrap(context.b.multiply(value, value))


@op("numpy.Sign")
def sign(x: Any) -> Any:
    """-1, 0 or 1; NaN for NaN."""
    return unary("sign", x)


@op("numpy.Reciprocal")
def reciprocal(x: Any) -> Any:
    """`1 / x`."""
    return divide(1, x)


@op("numpy.Maximum", 2)
def maximum(x1: Any, x2: Any) -> Any:
    """The larger, element by element; NaN if one is NaN."""
    return binary("maximum", x1, x2)


@op("numpy.Minimum", 2)
def minimum(x1: Any, x2: Any) -> Any:
    """The smaller, element by element; NaN if one is NaN."""
    return binary("minimum", x1, x2)


@op("numpy.Fmax", 2)
def fmax(x1: Any, x2: Any) -> Any:
    """The larger, element by element; NaN only if both are NaN."""
    return _ignoring_nan("maximum", x1, x2)


@op("numpy.Fmin", 2)
def fmin(x1: Any, x2: Any) -> Any:
    """The smaller, element by element; NaN only if both are NaN."""
    return _ignoring_nan("minimum", x1, x2)


def _ignoring_nan(name: str, x1: Any, x2: Any) -> Any:
    context, (x, y) = promoted(x1, x2)
    b = context.b
    chosen = getattr(b, name)(x, y)
    if x.type.dtype not in FLOATS:
        return context.wrap(chosen)
    chosen = b.select(b.compare(x, x, "NE"), y, chosen)
    return context.wrap(b.select(b.compare(y, y, "NE"), x, chosen))


@op("numpy.Clip")
def clip(x: Any, x_min: Any, x_max: Any) -> Any:
    """`x`, at least x_min and at most x_max; None is no bound."""
    if dtype_of(x) == "bool":
        x = _cast(x, "int32")
    if x_min is not None:
        x = maximum(x, x_min)
    if x_max is not None:
        x = minimum(x, x_max)
    return same(x) if x_min is None and x_max is None else x


def _cast(x: Any, dtype: str) -> Any:
    context, value = entered(x, dtype)
    return context.wrap(value)
