"""Functions of numbers that are used less often."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kgraph.ir import INTEGERS, numpy_dtype
from kgraph.ops._arithmetic import absolute, add, divide, floor_divide, multiply, square, subtract
from kgraph.ops._common import entered, same
from kgraph.ops._core import cast
from kgraph.ops._creation import shape_of
from kgraph.ops._dispatch import op
from kgraph.ops._dtypes import standardize_dtype
from kgraph.ops._functions import erf, sin, sqrt
from kgraph.ops._joining import stack
from kgraph.ops._logic import equal, isclose, isnan, less, where
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import common_dtype, dtype_of, promoted
from kgraph.ops._reductions import all as all_of
from kgraph.ops._reductions import sum as total
from kgraph.ops._shapes import expand_dims, moveaxis

__all__ = [
    "allclose", "cdist", "conj", "conjugate", "copy", "cross", "erfc", "fabs", "gcd", "heaviside",
    "hypot", "imag", "isreal", "lcm", "ldexp", "nextafter", "real", "select",
    "sinc", "unravel_index", "vander", "view",
]  # fmt: skip


@op("numpy.Copy")
def copy(x: Any) -> Any:
    """The same numbers, in an array of their own."""
    return same(x)


@op("numpy.Real")
def real(x: Any) -> Any:
    """The real part: all of it."""
    return same(x)


@op("numpy.Imag")
def imag(x: Any) -> Any:
    """The imaginary part: zeros."""
    return FUNCTIONS["zeros_like"](x)


@op("numpy.Conjugate")
def conjugate(x: Any) -> Any:
    """The complex conjugate: the same numbers."""
    return same(x)


@op("numpy.Conj")
def conj(x: Any) -> Any:
    """The complex conjugate: the same numbers."""
    return same(x)


@op("numpy.Isreal")
def isreal(x: Any) -> Any:
    """Whether the imaginary part is 0: always."""
    return FUNCTIONS["ones_like"](x, "bool")


@op("numpy.Fabs")
def fabs(x: Any) -> Any:
    """The absolute value, as a float."""
    return absolute(cast(x, common_dtype(x, at_least="float")))


@op("numpy.Hypot", 2)
def hypot(x1: Any, x2: Any) -> Any:
    """`sqrt(x1 ** 2 + x2 ** 2)`, without overflow on the way."""
    dtype = common_dtype(x1, x2, at_least="float")
    x, y = absolute(cast(x1, dtype)), absolute(cast(x2, dtype))
    large, small = FUNCTIONS["maximum"](x, y), FUNCTIONS["minimum"](x, y)
    ratio = divide(small, where(equal(large, 0), 1, large))
    found = multiply(large, sqrt(add(1, square(ratio))))
    infinite = FUNCTIONS["logical_or"](FUNCTIONS["isinf"](x), FUNCTIONS["isinf"](y))
    return where(infinite, math.inf, found)


@op("numpy.Heaviside", 2)
def heaviside(x1: Any, x2: Any) -> Any:
    """0 below 0, 1 above, `x2` at 0."""
    dtype = common_dtype(x1, x2, at_least="float")
    x1, x2 = cast(x1, dtype), cast(x2, dtype)
    found = where(less(x1, 0), 0, where(equal(x1, 0), x2, 1))
    return where(isnan(x1), x1, found)


@op("numpy.Sinc")
def sinc(x: Any) -> Any:
    """`sin(pi x) / (pi x)`, 1 at 0."""
    x = multiply(cast(x, common_dtype(x, at_least="float")), math.pi)
    zero = equal(x, 0)
    safe = where(zero, 1, x)
    return where(zero, 1, divide(sin(safe), safe))


@op("math.Erfc")
def erfc(x: Any) -> Any:
    """`1 - erf(x)`."""
    return subtract(1, erf(x))


@op("numpy.Ldexp", 2)
def ldexp(x1: Any, x2: Any) -> Any:
    """`x1 * 2 ** x2`; the exponents are integers."""
    if dtype_of(x2) not in INTEGERS:
        raise TypeError(
            f"ldexp exponent must be an integer type. Received: x2 dtype={dtype_of(x2)}"
        )
    dtype = common_dtype(x1, at_least="float")
    half = floor_divide(x2, 2)  # in two steps: the power alone may overflow
    rest = subtract(x2, half)
    power = FUNCTIONS["power"]
    two = np.asarray(2, numpy_dtype(dtype))
    return multiply(
        multiply(cast(x1, dtype), power(two, cast(half, dtype))), power(two, cast(rest, dtype))
    )


@op("numpy.Gcd", 2)
def gcd(x1: Any, x2: Any) -> Any:
    """The greatest common divisor."""
    x, y = _integers("gcd", x1, x2)
    x, y = absolute(x), absolute(y)
    cond, body = (lambda a, b: FUNCTIONS["any"](FUNCTIONS["not_equal"](b, 0))), _euclid
    return FUNCTIONS["while_loop"](cond, body, (x, y))[0]


def _euclid(a: Any, b: Any) -> tuple[Any, Any]:
    done = equal(b, 0)
    rest = FUNCTIONS["mod"](a, where(done, 1, b))
    return where(done, a, b), where(done, b, rest)


@op("numpy.Lcm", 2)
def lcm(x1: Any, x2: Any) -> Any:
    """The least common multiple."""
    x, y = _integers("lcm", x1, x2)
    divisor = gcd(x, y)
    safe = where(equal(divisor, 0), 1, divisor)
    return absolute(multiply(floor_divide(x, safe), y))


def _integers(name: str, x1: Any, x2: Any) -> tuple[Any, Any]:
    dtype = common_dtype(x1, x2)
    if dtype not in INTEGERS:
        raise TypeError(f"`{name}` takes integers; got {dtype}")
    context, values = promoted(x1, x2)
    return context.wrap(values[0]), context.wrap(values[1])


@op("numpy.Nextafter", 2)
def nextafter(x1: Any, x2: Any) -> Any:
    """The next float from x1 towards x2."""
    context, (x, y) = promoted(x1, x2, at_least="float")
    b, dtype = context.b, x.type.dtype
    width = {"float16": 16, "bfloat16": 16, "float32": 32, "float64": 64}[dtype]
    bits = b.bitcast_convert(x, f"int{width}")
    one, zero = b.splat(1, bits.type), b.splat(0, x.type)
    away = b.compare(b.compare(x, y, "LT"), b.compare(x, zero, "GT"), "EQ")
    moved = b.select(away, b.add(bits, one), b.subtract(bits, one))
    sign = b.select(
        b.compare(y, zero, "LT"),
        b.splat(np.iinfo(f"int{width}").min, bits.type),
        b.splat(0, bits.type),
    )
    moved = b.select(b.compare(x, zero, "EQ"), b.or_(one, sign), moved)
    found = b.select(b.compare(x, y, "EQ"), y, b.bitcast_convert(moved, dtype))
    return context.wrap(
        b.select(b.compare(x, x, "NE"), x, b.select(b.compare(y, y, "NE"), y, found))
    )


@op("numpy.View")
def view(x: Any, dtype: Any = None) -> Any:
    """The bits read as another dtype of the same width."""
    context, value = entered(x)
    return context.wrap(
        value if dtype is None else context.b.bitcast_convert(value, standardize_dtype(dtype))
    )


def allclose(
    x1: Any, x2: Any, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Any:
    """Whether `isclose` holds for all elements."""
    return all_of(isclose(x1, x2, rtol, atol, equal_nan))


@op("numpy.Cross", 2)
def cross(
    x1: Any, x2: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None
) -> Any:
    """The cross product of vectors of 2 or 3 elements along a dim."""
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(x1, axisa, -1), moveaxis(x2, axisb, -1)
    m, n = a.shape[-1], b.shape[-1]
    if m not in (2, 3) or n not in (2, 3):
        raise ValueError(f"`cross` takes vectors of 2 or 3 elements; got {m} and {n}")
    a0, a1, b0, b1 = a[..., 0], a[..., 1], b[..., 0], b[..., 1]
    z = subtract(multiply(a0, b1), multiply(a1, b0))
    if m == n == 2:
        return z
    zero = FUNCTIONS["zeros_like"]
    a2 = a[..., 2] if m == 3 else zero(a0)
    b2 = b[..., 2] if n == 3 else zero(b0)
    x = subtract(multiply(a1, b2), multiply(a2, b1))
    y = subtract(multiply(a2, b0), multiply(a0, b2))
    return moveaxis(stack([x, y, z], -1), -1, axisc)


@op("numpy.Select", 3)
def select(condlist: Any, choicelist: Any, default: Any = 0) -> Any:
    """For each place the first choice whose condition holds there, else `default`."""
    if len(condlist) != len(choicelist) or not condlist:
        raise ValueError("`condlist` and `choicelist` must have the same length, at least 1")
    found = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        found = where(condition, choice, found)
    return found


@op("numpy.Vander")
def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:  # noqa: N803  # Keras's name
    """The powers of each element as a row, from the highest (or the lowest) on."""
    count = int(x.shape[0]) if N is None else N
    powers = list(range(count)) if increasing else list(reversed(range(count)))
    return stack([FUNCTIONS["power"](x, p) for p in powers], -1)


@op("numpy.UnravelIndex")
def unravel_index(indices: Any, shape: Any) -> Any:
    """The index in each dim of elements given by their index in a row of all."""
    sizes = shape_of(shape)
    found = []
    rest = indices if hasattr(indices, "shape") else np.asarray(indices, np.int32)
    for n in reversed(sizes):
        found.append(FUNCTIONS["mod"](rest, n))
        rest = floor_divide(rest, n)
    return tuple(reversed(found))


@op("math.CDist", 2)
def cdist(x: Any, y: Any) -> Any:
    """The distance of each vector (along the last dim) of x from each of y."""
    if len(x.shape) < 2 or len(y.shape) < 2:
        raise ValueError("`cdist` inputs must have rank >= 2")
    apart = subtract(expand_dims(x, -2), expand_dims(y, -3))
    return sqrt(total(square(apart), -1))
