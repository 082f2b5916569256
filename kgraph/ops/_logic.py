"""Comparisons, logic, bits, and choosing by a condition."""

from __future__ import annotations

import math
from typing import Any

from kgraph.ir import FLOATS, INTEGERS, Value
from kgraph.ops._arithmetic import absolute, add, multiply, subtract
from kgraph.ops._common import binary, entered, same
from kgraph.ops._dispatch import op
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import broadcast, common_dtype, dtype_of, promoted
from kgraph.ops._trace import context_of

__all__ = [
    "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "equal", "greater", "greater_equal", "isclose",
    "isfinite", "isinf", "isnan", "isneginf", "isposinf", "left_shift", "less", "less_equal",
    "logical_and", "logical_not", "logical_or", "logical_xor", "nan_to_num", "not_equal",
    "right_shift", "signbit", "where",
]  # fmt: skip


def _compare(x1: Any, x2: Any, direction: str) -> Any:
    context, (x, y) = promoted(x1, x2)
    return context.wrap(context.b.compare(x, y, direction))


@op("numpy.Equal", 2)
def equal(x1: Any, x2: Any) -> Any:
    """`x1 == x2`, element by element."""
    return _compare(x1, x2, "EQ")


@op("numpy.NotEqual", 2)
def not_equal(x1: Any, x2: Any) -> Any:
    """`x1 != x2`, element by element."""
    return _compare(x1, x2, "NE")


@op("numpy.Less", 2)
def less(x1: Any, x2: Any) -> Any:
    """`x1 < x2`, element by element."""
    return _compare(x1, x2, "LT")


@op("numpy.LessEqual", 2)
def less_equal(x1: Any, x2: Any) -> Any:
    """`x1 <= x2`, element by element."""
    return _compare(x1, x2, "LE")


@op("numpy.Greater", 2)
def greater(x1: Any, x2: Any) -> Any:
    """`x1 > x2`, element by element."""
    return _compare(x1, x2, "GT")


@op("numpy.GreaterEqual", 2)
def greater_equal(x1: Any, x2: Any) -> Any:
    """`x1 >= x2`, element by element."""
    return _compare(x1, x2, "GE")


def truth(context: Any, x: Any) -> Value:
    """x as bools: whether it differs from 0."""
    value: Value = context.lift(x)
    if value.type.dtype != "bool":
        value = context.b.compare(value, context.b.splat(0, value.type), "NE")
    return value


def _logical(name: str, x1: Any, x2: Any) -> Any:
    context = context_of((x1, x2))
    x, y = broadcast(context.b, [truth(context, x1), truth(context, x2)])
    return context.wrap(getattr(context.b, name)(x, y))


@op("numpy.LogicalAnd", 2)
def logical_and(x1: Any, x2: Any) -> Any:
    """Whether both are not 0."""
    return _logical("and_", x1, x2)


@op("numpy.LogicalOr", 2)
def logical_or(x1: Any, x2: Any) -> Any:
    """Whether one is not 0."""
    return _logical("or_", x1, x2)


@op("numpy.LogicalXor", 2)
def logical_xor(x1: Any, x2: Any) -> Any:
    """Whether exactly one is not 0."""
    return _logical("xor", x1, x2)


@op("numpy.LogicalNot")
def logical_not(x: Any) -> Any:
    """Whether it is 0."""
    context = context_of((x,))
    return context.wrap(context.b.not_(truth(context, x)))


def _bitwise(name: str, x: Any, y: Any) -> Any:
    dtype = common_dtype(x, y)
    if dtype not in INTEGERS and dtype != "bool":
        raise TypeError(f"bits are those of integers or bools; got {dtype}")
    return binary(name, x, y)


@op("numpy.BitwiseAnd", 2)
def bitwise_and(x: Any, y: Any) -> Any:
    """The bits that both have."""
    return _bitwise("and_", x, y)


@op("numpy.BitwiseOr", 2)
def bitwise_or(x: Any, y: Any) -> Any:
    """The bits that one of them has."""
    return _bitwise("or_", x, y)


@op("numpy.BitwiseXor", 2)
def bitwise_xor(x: Any, y: Any) -> Any:
    """The bits that exactly one has."""
    return _bitwise("xor", x, y)


@op("numpy.BitwiseInvert")
def bitwise_invert(x: Any) -> Any:
    """The bits that x has not."""
    context, value = entered(x)
    return context.wrap(context.b.not_(value))


@op("numpy.BitwiseNot")
def bitwise_not(x: Any) -> Any:
    """The bits that x has not."""
    return bitwise_invert(x)


@op("numpy.BitwiseLeftShift", 2)
def bitwise_left_shift(x: Any, y: Any) -> Any:
    """The bits, y places up."""
    return _bitwise("shift_left", x, y)


@op("numpy.LeftShift", 2)
def left_shift(x: Any, y: Any) -> Any:
    """The bits, y places up."""
    return bitwise_left_shift(x, y)


@op("numpy.BitwiseRightShift", 2)
def bitwise_right_shift(x: Any, y: Any) -> Any:
    """The bits, y places down; a signed number keeps its sign."""
    unsigned = common_dtype(x, y).startswith("u")
    return _bitwise("shift_right_logical" if unsigned else "shift_right_arithmetic", x, y)


@op("numpy.RightShift", 2)
def right_shift(x: Any, y: Any) -> Any:
    """The bits, y places down; a signed number keeps its sign."""
    return bitwise_right_shift(x, y)


@op("numpy.Isnan")
def isnan(x: Any) -> Any:
    """Whether it is NaN."""
    context, value = entered(x)
    return context.wrap(context.b.compare(value, value, "NE"))


@op("numpy.Isfinite")
def isfinite(x: Any) -> Any:
    """Whether it is neither NaN nor infinite."""
    context, value = entered(x)
    if value.type.dtype not in FLOATS:
        return context.wrap(context.b.compare(value, value, "EQ"))
    return context.wrap(context.b.is_finite(value))


@op("numpy.Isinf")
def isinf(x: Any) -> Any:
    """Whether it is infinite."""
    return isposinf(absolute(x))


@op("numpy.Isposinf")
def isposinf(x: Any) -> Any:
    """Whether it is positive infinity."""
    return _is_infinite(x, math.inf)


@op("numpy.Isneginf")
def isneginf(x: Any) -> Any:
    """Whether it is negative infinity."""
    return _is_infinite(x, -math.inf)


def _is_infinite(x: Any, infinity: float) -> Any:
    context, value = entered(x)
    if value.type.dtype not in FLOATS:
        return context.wrap(context.b.compare(value, value, "NE"))
    return context.wrap(context.b.compare(value, context.b.splat(infinity, value.type), "EQ"))


@op("numpy.Isclose", 4)
def isclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Whether `|x1 - x2| <= atol + rtol * |x2|`."""
    bound = add(multiply(absolute(x2), rtol), atol)
    finite = logical_and(isfinite(x1), isfinite(x2))
    near = logical_and(less_equal(absolute(subtract(x1, x2)), bound), finite)
    result = logical_or(near, equal(x1, x2))
    return logical_or(result, logical_and(isnan(x1), isnan(x2))) if equal_nan else result


@op("numpy.Signbit")
def signbit(x: Any) -> Any:
    """Whether the sign is minus, that of -0.0 too."""
    context, value = entered(x)
    b, dtype = context.b, value.type.dtype
    if dtype in FLOATS:
        bits = {"float16": 16, "bfloat16": 16, "float32": 32, "float64": 64}[dtype]
        value = b.bitcast_convert(value, f"int{bits}")
    return context.wrap(b.compare(value, b.splat(0, value.type), "LT"))


@op("numpy.Where", 3)
def where(condition: Any, x1: Any = None, x2: Any = None) -> Any:
    """`x1` where the condition holds, else `x2`.

    With the condition alone: the indices where it holds, on concrete arrays only.
    """
    if x1 is None and x2 is None:
        return FUNCTIONS["nonzero"](condition)
    if x1 is None or x2 is None:
        raise ValueError("`where` takes `x1` and `x2` both, or neither")
    context = context_of((condition, x1, x2))
    dtype = common_dtype(x1, x2)
    values = [truth(context, condition), context.lift(x1, dtype), context.lift(x2, dtype)]
    return context.wrap(context.b.select(*broadcast(context.b, values)))


@op("numpy.NanToNum")
def nan_to_num(x: Any, nan: float = 0.0, posinf: Any = None, neginf: Any = None) -> Any:
    """NaN and infinities replaced by numbers; by default the largest and smallest for these."""
    dtype = dtype_of(x)
    if dtype not in FLOATS:
        return same(x)
    largest = largest_float(dtype)
    x = where(isnan(x), nan, x)
    x = where(isposinf(x), largest if posinf is None else posinf, x)
    return where(isneginf(x), -largest if neginf is None else neginf, x)


def largest_float(dtype: str) -> float:
    """The largest finite number of a float dtype."""
    return {
        "float16": 65504.0,
        "bfloat16": float.fromhex("0x1.fep127"),
        "float32": float.fromhex("0x1.fffffep127"),
        "float64": float.fromhex("0x1.fffffffffffffp1023"),
    }[dtype]
