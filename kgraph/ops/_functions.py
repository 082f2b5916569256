"""Functions of one number: exponentials, logarithms, trigonometry, rounding."""

from __future__ import annotations

import math
from typing import Any

from kgraph.ir import FLOATS, INTEGERS
from kgraph.ops._arithmetic import multiply
from kgraph.ops._common import binary, entered, float_unary, same, unary
from kgraph.ops._dispatch import op
from kgraph.ops._promote import common_dtype, dtype_of, promoted

__all__ = [
    "arccos",
    "arccosh",
    "arcsin",
    "arcsinh",
    "arctan",
    "arctan2",
    "arctanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "deg2rad",
    "erf",
    "erfinv",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "logaddexp2",
    "rad2deg",
    "round",
    "rsqrt",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
]  # fmt: skip


@op("numpy.Exp")
def exp(x: Any) -> Any:
    """`e ** x`."""
    return float_unary("exponential", x)


@op("numpy.Exp2")
def exp2(x: Any) -> Any:
    """`2 ** x`."""
    context, value = entered(x, common_dtype(x, at_least="float"))
    b = context.b
    return context.wrap(b.power(b.splat(2, value.type), value))


@op("numpy.Expm1")
def expm1(x: Any) -> Any:
    """`e ** x - 1`, precise near 0."""
    return float_unary("exponential_minus_one", x)


@op("numpy.Log")
def log(x: Any) -> Any:
    """The natural logarithm."""
    return float_unary("log", x)


@op("numpy.Log10")
def log10(x: Any) -> Any:
    """The logarithm to base 10."""
    return _log_base(x, math.log(10))


@op("numpy.Log2")
def log2(x: Any) -> Any:
    """The logarithm to base 2."""
    return _log_base(x, math.log(2))


def _log_base(x: Any, divisor: float) -> Any:
    context, value = entered(x, common_dtype(x, at_least="float"))
    b = context.b
    return context.wrap(b.divide(b.log(value), b.splat(divisor, value.type)))


@op("numpy.Log1p")
def log1p(x: Any) -> Any:
    """`log(1 + x)`, precise near 0."""
    return float_unary("log_plus_one", x)


@op("numpy.Logaddexp", 2)
def logaddexp(x1: Any, x2: Any) -> Any:
    """`log(exp(x1) + exp(x2))`, without overflow."""
    context, (x, y) = promoted(x1, x2, at_least="float")
    b = context.b
    top = b.maximum(x, y)
    # the smaller less the larger: at a tie each operand has half of the gradient
    apart = b.subtract(b.minimum(x, y), top)
    more = b.log_plus_one(b.exponential(apart))
    # equal infinities: their difference is NaN, their sum is not
    is_nan = b.compare(apart, apart, "NE")
    return context.wrap(b.select(is_nan, b.add(x, y), b.add(top, more)))


@op("numpy.Logaddexp2", 2)
def logaddexp2(x1: Any, x2: Any) -> Any:
    """`log2(2 ** x1 + 2 ** x2)`, without overflow."""
    ln2 = math.log(2)
    return multiply(logaddexp(multiply(x1, ln2), multiply(x2, ln2)), 1 / ln2)


@op("numpy.Sqrt")
def sqrt(x: Any) -> Any:
    """The square root."""
    return float_unary("sqrt", x)


@op("math.Rsqrt")
def rsqrt(x: Any) -> Any:
    """`1 / sqrt(x)`."""
    return float_unary("rsqrt", x)


@op("numpy.Cbrt")
def cbrt(x: Any) -> Any:
    """The cube root."""
    return float_unary("cbrt", x)


@op("math.Erf")
def erf(x: Any) -> Any:
    """The error function."""
    return float_unary("erf", x)


@op("math.Erfinv")
def erfinv(x: Any) -> Any:
    """The inverse of the error function."""
    return float_unary("erf_inv", x)


@op("numpy.Sin")
def sin(x: Any) -> Any:
    """The sine."""
    return float_unary("sine", x)


@op("numpy.Cos")
def cos(x: Any) -> Any:
    """The cosine."""
    return float_unary("cosine", x)


@op("numpy.Tan")
def tan(x: Any) -> Any:
    """The tangent."""
    return float_unary("tan", x)


@op("numpy.Arcsin")
def arcsin(x: Any) -> Any:
    """The angle between -pi/2 and pi/2 that has this sine."""
    return float_unary("asin", x)


@op("numpy.Arccos")
def arccos(x: Any) -> Any:
    """The angle between 0 and pi that has this cosine."""
    return float_unary("acos", x)


@op("numpy.Arctan")
def arctan(x: Any) -> Any:
    """The angle between -pi/2 and pi/2 that has this tangent."""
    return float_unary("atan", x)


@op("numpy.Arctan2", 2)
def arctan2(x1: Any, x2: Any) -> Any:
    """The angle of the point (x2, x1)."""
    return binary("atan2", x1, x2, at_least="float")


@op("numpy.Sinh")
def sinh(x: Any) -> Any:
    """The hyperbolic sine."""
    return float_unary("sinh", x)


@op("numpy.Cosh")
def cosh(x: Any) -> Any:
    """The hyperbolic cosine."""
    return float_unary("cosh", x)


@op("numpy.Tanh")
def tanh(x: Any) -> Any:
    """The hyperbolic tangent."""
    return float_unary("tanh", x)


@op("numpy.Arcsinh")
def arcsinh(x: Any) -> Any:
    """The inverse of sinh."""
    return float_unary("asinh", x)


@op("numpy.Arccosh")
def arccosh(x: Any) -> Any:
    """The inverse of cosh that is not negative."""
    return float_unary("acosh", x)


@op("numpy.Arctanh")
def arctanh(x: Any) -> Any:
    """The inverse of tanh."""
    return float_unary("atanh", x)


@op("numpy.Deg2rad")
def deg2rad(x: Any) -> Any:
    """Degrees to radians."""
    return multiply(x, math.pi / 180)


@op("numpy.Rad2deg")
def rad2deg(x: Any) -> Any:
    """Radians to degrees."""
    return multiply(x, 180 / math.pi)


@op("numpy.Floor")
def floor(x: Any) -> Any:
    """The largest whole number that is not larger, as a float."""
    return float_unary("floor", x)


@op("numpy.Ceil")
def ceil(x: Any) -> Any:
    """The smallest whole number that is not smaller, as a float."""
    return float_unary("ceil", x)


@op("numpy.Trunc")
def trunc(x: Any) -> Any:
    """Rounded towards 0; integers stay as they are."""
    if dtype_of(x) not in FLOATS:
        return same(x)
    context, value = entered(x)
    b = context.b
    negative = b.compare(value, b.splat(0, value.type), "LT")
    return context.wrap(b.select(negative, b.ceil(value), b.floor(value)))


@op("numpy.Round")
def round(x: Any, decimals: int = 0) -> Any:  # Keras's name
    """Rounded to so many decimals, halves to even."""
    dtype = dtype_of(x)
    if dtype in (*INTEGERS, "bool"):
        if decimals >= 0:
            return same(x)
        context, value = entered(x)
        wide = context.b.cast(value, common_dtype(x, at_least="float"))
        return context.wrap(context.b.cast(_rounded(context.b, wide, decimals), value.type.dtype))
    if decimals == 0:
        return unary("round_nearest_even", x)
    context, value = entered(x)
    return context.wrap(_rounded(context.b, value, decimals))


def _rounded(b: Any, value: Any, decimals: int) -> Any:
    factor = b.splat(10.0**decimals, value.type)
    return b.divide(b.round_nearest_even(b.multiply(value, factor)), factor)
