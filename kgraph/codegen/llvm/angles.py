"""sin, cos, tan and their inverses for any lanes of float32 and float64.

Errors in ulp over the whole range: float32 within 1.5, float64 within 3. Arguments too
large for the vector reduction of the angle go through libm, in a branch that is rarely taken.
"""

from __future__ import annotations

from kgraph.codegen.llvm.coefficients import (
    ASIN_64,
    ATAN_64,
    COSINE_32,
    COSINE_64,
    SINE_32,
    SINE_64,
)
from kgraph.codegen.llvm.emit import DOUBLE, FLOAT, Function, Operand, constant
from kgraph.codegen.llvm.floats import (
    any_lane,
    horner,
    in_double,
    is_single,
    lane_loop,
    layout,
    nearest,
)

TWO_OVER_PI = 0.6366197723675814
HALF_PI, HALF_PI_REST = 1.5707963267948966, 6.123233995736766e-17
# pi / 2 in parts of 33 bits and a rest, so that their products with n < 2^20 are exact.
HALF_PI_PARTS = (1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21)
# float32: pi / 2 in parts of 25 bits and a rest, exact times n < 2^28.
HALF_PI_SHORT = (1.5707963109016418, 1.5893254712295857e-08, 6.123233995736766e-17)
LIMIT_SINGLE = 2.0**28
LIMIT_DOUBLE = 2.0**20


def sin(f: Function, x: Operand) -> Operand:
    """Sine."""
    value = _or_libm(f, "sin", x, _sine_or_cosine(f, x, 0))
    return f.select(f.compare("EQ", x, 0.0), x, value)


def cos(f: Function, x: Operand) -> Operand:
    """Cosine."""
    return _or_libm(f, "cos", x, _sine_or_cosine(f, x, 1))


def tan(f: Function, x: Operand) -> Operand:
    """Tangent."""
    if is_single(x):
        return in_double(tan, f, x)

    r, quadrant = _reduce_double(f, x)
    sine, cosine = _sine(f, r), _cosine(f, r)
    odd = _bit(f, quadrant, 0)
    ratio = f.div(f.select(odd, f.neg(cosine), sine), f.select(odd, sine, cosine))
    value = _or_libm(f, "tan", x, ratio)
    return f.select(f.compare("EQ", x, 0.0), x, value)


def atan(f: Function, x: Operand) -> Operand:
    """Arc tangent in [-pi/2, pi/2]."""
    if is_single(x):
        return in_double(atan, f, x)
    return f.copysign(_atan_ratio(f, f.abs_(x), constant(1.0, x.type)), x)


def atan2(f: Function, y: Operand, x: Operand) -> Operand:
    """The angle of the point (x, y) in [-pi, pi], signs of zeros as in C."""
    if is_single(x):
        return in_double(atan2, f, y, x)
    angle = _atan_ratio(f, f.abs_(y), f.abs_(x))
    left = f.compare("LT", f.bits(x, layout(x).integer), 0)
    mirrored = f.add(f.sub(HALF_PI * 2, f.sub(angle, HALF_PI_REST * 2)), 0.0)
    return f.copysign(f.select(left, mirrored, angle), y)


def asin(f: Function, x: Operand) -> Operand:
    """Arc sine in [-pi/2, pi/2], NaN outside [-1, 1]."""
    if is_single(x):
        return in_double(asin, f, x)
    magnitude = f.abs_(x)
    large = f.compare("GT", magnitude, 0.5)
    part = _asin_part(f, magnitude, large)
    mirrored = f.sub(HALF_PI, f.sub(f.add(part, part), HALF_PI_REST))
    return f.copysign(f.select(large, mirrored, part), x)


def acos(f: Function, x: Operand) -> Operand:
    """Arc cosine in [0, pi], NaN outside [-1, 1]."""
    if is_single(x):
        return in_double(acos, f, x)
    magnitude = f.abs_(x)
    large = f.compare("GT", magnitude, 0.5)
    part = _asin_part(f, magnitude, large)
    double = f.add(part, part)
    negative = f.compare("LT", x, 0.0)
    beyond = f.sub(HALF_PI * 2, f.sub(double, HALF_PI_REST * 2))
    large_value = f.select(negative, beyond, double)
    small_value = f.sub(HALF_PI, f.sub(f.copysign(part, x), HALF_PI_REST))
    return f.select(large, large_value, small_value)


def _or_libm(f: Function, name: str, x: Operand, value: Operand) -> Operand:
    """The value, but libm's in lanes whose angle is beyond the limit, if there is one."""
    limit = LIMIT_SINGLE if is_single(x) else LIMIT_DOUBLE
    beyond = f.compare("GE", f.abs_(x), limit)
    choice = f.choose(any_lane(f, beyond))
    with choice.then():
        exact = lane_loop(f, name + ("f" if is_single(x) else ""), x)
        choice.give(f.select(beyond, exact, value))
    with choice.otherwise():
        choice.give(value)
    return choice.results[0]


def _sine_or_cosine(f: Function, x: Operand, shift: int) -> Operand:
    reduce = _reduce_single if is_single(x) else _reduce_double
    r, quadrant = reduce(f, x)
    quadrant = f.add(quadrant, shift)
    value = f.select(_bit(f, quadrant, 0), _cosine(f, r), _sine(f, r))
    return f.select(_bit(f, quadrant, 1), f.neg(value), value)


def _reduce_double(f: Function, x: Operand) -> tuple[Operand, Operand]:
    """x - n pi / 2 in [-pi/4, pi/4], and n; |x| < 2^20."""
    whole, n = nearest(f, f.mul(x, TWO_OVER_PI))
    first, second, third = HALF_PI_PARTS
    t = f.fma(whole, -first, x)
    w = f.mul(whole, second)
    r = f.sub(t, w)
    rest = f.sub(f.mul(whole, third), f.sub(f.sub(t, r), w))
    return f.sub(r, rest), n


def _reduce_single(f: Function, x: Operand) -> tuple[Operand, Operand]:
    """As above, for float32 by way of float64; |x| < 2^28."""
    lanes = x.lanes
    wide = f.cast("fpext", x, DOUBLE.with_lanes(lanes))
    whole, n = nearest(f, f.mul(wide, TWO_OVER_PI))
    r = wide
    for part in (HALF_PI, HALF_PI_REST) if f.target.fused else HALF_PI_SHORT:
        r = f.fma(whole, -part, r)
    r = f.cast("fptrunc", r, FLOAT.with_lanes(lanes))
    return r, f.resize(n, "i32", True)


def _sine(f: Function, r: Operand) -> Operand:
    z = f.mul(r, r)
    tail = horner(f, z, SINE_32 if is_single(r) else SINE_64)
    return f.fma(f.mul(z, r), tail, r)


def _cosine(f: Function, r: Operand) -> Operand:
    z = f.mul(r, r)
    tail = horner(f, z, COSINE_32 if is_single(r) else COSINE_64)
    half = f.mul(z, 0.5)
    one = f.sub(1.0, half)
    # What 1 - z/2 lost in rounding comes back with the tail.
    lost = f.sub(f.sub(1.0, one), half)
    return f.add(one, f.fma(f.mul(z, z), tail, lost))


def _atan_ratio(f: Function, y: Operand, x: Operand) -> Operand:
    """atan(y / x) in [0, pi/2] for y and x that are not negative; 0/0 is 0, inf/inf pi/4."""
    steep = f.compare("GT", y, x)
    low, high = f.fmin(y, x), f.fmax(y, x)
    ratio = f.div(low, high)
    ratio = f.select(f.compare("EQ", high, 0.0), 0.0, ratio)
    ratio = f.select(f.compare("EQ", low, float("inf")), 1.0, ratio)
    # Beyond tan(pi/8) the angle to 45 degrees is the smaller one.
    beyond = f.compare("GT", ratio, 0.4142135623730951)
    turned = f.div(f.sub(ratio, 1.0), f.add(ratio, 1.0))
    t = f.select(beyond, turned, ratio)
    z = f.mul(t, t)
    tail = f.mul(f.mul(z, t), horner(f, z, ATAN_64))
    zero = constant(0.0, y.type)
    rest = f.add(tail, f.select(beyond, HALF_PI_REST / 2, zero))
    angle = f.add(f.select(beyond, HALF_PI / 2, zero), f.add(rest, t))
    return f.select(steep, f.sub(HALF_PI, f.sub(angle, HALF_PI_REST)), angle)


def _asin_part(f: Function, magnitude: Operand, large: Operand) -> Operand:
    """asin(|x|) below a half; above it asin(sqrt((1 - |x|) / 2)), the half of what is missing."""
    missing = f.mul(f.sub(1.0, magnitude), 0.5)
    z = f.select(large, missing, f.mul(magnitude, magnitude))
    t = f.select(large, f.sqrt(missing), magnitude)
    return f.fma(f.mul(z, t), horner(f, z, ASIN_64), t)


def _bit(f: Function, n: Operand, number: int) -> Operand:
    return f.compare("NE", f.and_(n, constant(1 << number, n.type)), 0)
