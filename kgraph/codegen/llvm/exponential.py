"""exp, log and their relatives for any lanes of float32 and float64.

Errors are stated in ulp of the result, over the whole range of arguments; float64 is within 3 ulp
where nothing else is said. All hand NaN on, reach infinity and zero where the true value rounds to
them, and keep the sign of zero.
"""

from __future__ import annotations

from kgraph.codegen.llvm.coefficients import EXP2_32, EXP_32, EXP_64, LOG_32, LOG_64
from kgraph.codegen.llvm.emit import Function, Operand, constant
from kgraph.codegen.llvm.floats import (
    horner,
    in_double,
    is_single,
    lane_loop,
    layout,
    nearest,
    power_of_two,
    round_even,
    scale,
)

LOG2_E = 1.4426950408889634
LN_2 = 0.6931471805599453
INFINITY = float("inf")
NAN = float("nan")


def exp(f: Function, x: Operand) -> Operand:
    """e^x: 2^n e^r with r in [-ln 2 / 2, ln 2 / 2]; float32 within 1 ulp."""
    kind = layout(x)
    x = f.fmin(f.fmax(x, kind.exp_low), kind.exp_high)
    r, whole, n = _reduce(f, x)
    return scale(f, f.add(_expm1_small(f, r), 1.0), whole, n)


def exp2_small(f: Function, r: Operand) -> Operand:
    """2^r for a float32 |r| <= 1/2."""
    return f.fma(r, horner(f, r, EXP2_32), 1.0)


def exp_part(f: Function, x: Operand) -> Operand:
    """e^x / 4 of a float32 x from 0 to 89.5, beyond which e^x / 2 is infinite."""
    r, _, n = _reduce(f, f.fmin(x, 89.5))
    quarter = power_of_two(f, f.sub(n, 2), x)
    return f.fma(quarter, _expm1_small(f, r), quarter)


def exp2(f: Function, x: Operand) -> Operand:
    """2^x of a float32; within 1.5 ulp."""
    inside = f.fmin(f.fmax(x, -151.0), 129.0)
    whole, n = nearest(f, inside)
    return scale(f, exp2_small(f, f.sub(inside, whole)), whole, n)


def exp2_below(f: Function, x: Operand) -> Operand:
    """2^x of an x up to 0, but 0 where it is subnormal, which takes long; float32 within 2 ulp."""
    low = -126.0 if is_single(x) else -1022.0
    inside = f.fmax(x, low)
    if is_single(x):
        whole, n = nearest(f, inside)
        value = f.mul(exp2_small(f, f.sub(inside, whole)), power_of_two(f, n, x))
    else:
        value = exp(f, f.mul(inside, LN_2))
    return f.select(f.compare("LT", x, low), 0.0, value)


def expm1(f: Function, x: Operand) -> Operand:
    """e^x - 1; float32 within 2 ulp."""
    kind = layout(x)
    low = -20.0 if is_single(x) else -40.0
    r, _, n = _reduce(f, f.fmin(f.fmax(x, low), kind.exp_high))
    q = _expm1_small(f, r)
    # 2 (s q + (s - 1/2)) with s = 2^(n - 1), so that n = 128 does not overflow too early.
    half = power_of_two(f, f.sub(n, 1), x)
    value = f.fma(half, q, f.sub(half, 0.5))
    # Halving a subnormal would lose its last bit.
    value = f.select(f.compare("EQ", n, 0), q, f.add(value, value))
    return f.copysign(value, x)


def log(f: Function, x: Operand) -> Operand:
    """Natural logarithm; -inf at zero, NaN below; float32 within 1 ulp."""
    return _log_specials(f, x, _log_finite(f, x, None))


def log1p(f: Function, x: Operand) -> Operand:
    """log(1 + x); -inf at -1, NaN below; float32 within 2 ulp."""
    total = f.add(x, 1.0)
    # What rounding took from 1 + x; the larger of the two is subtracted first.
    large = f.compare("GE", x, 1.0)
    lost = f.select(large, f.sub(1.0, f.sub(total, x)), f.sub(x, f.sub(total, 1.0)))
    value = _log_finite(f, total, f.div(lost, total))
    return f.copysign(_log_specials(f, total, value), x)


def logistic(f: Function, x: Operand) -> Operand:
    """1 / (1 + e^-x); never overflows inside; float32 within 2.5 ulp."""
    e = exp(f, f.neg(f.abs_(x)))
    top = f.select(f.compare("LT", x, 0.0), e, 1.0)
    return f.div(top, f.add(e, 1.0))


def tanh(f: Function, x: Operand) -> Operand:
    """t / (t + 2) with t = e^2|x| - 1; float32 within 2.5 ulp."""
    limit = 10.0 if is_single(x) else 20.0
    magnitude = f.fmin(f.abs_(x), limit)
    r, _, n = _reduce(f, f.add(magnitude, magnitude))
    s = power_of_two(f, n, x)
    t = f.fma(s, _expm1_small(f, r), f.sub(s, 1.0))
    return f.copysign(f.div(t, f.add(t, 2.0)), x)


def power(f: Function, x: Operand, y: Operand) -> Operand:
    """x^y as C's pow has it; float32 within 1 ulp, 1.5 of a constant 2, float64 through libm."""
    if is_single(x):
        if x.constant == 2.0:
            return exp2(f, y)
        return in_double(_power_of_single, f, x, y)
    return lane_loop(f, "pow", x, y)


def _power_of_single(f: Function, x: Operand, y: Operand) -> Operand:
    """x^y in float64 good enough for float32: the exponent's error is 1e-14 at most."""
    magnitude = f.abs_(x)
    value = exp(f, f.mul(y, log(f, magnitude)))
    whole = f.compare("EQ", round_even(f, y), y)
    half = f.mul(y, 0.5)
    odd = f.and_(whole, f.compare("NE", round_even(f, half), half))
    value = f.select(f.and_(odd, _negative(f, x)), f.neg(value), value)
    below = f.and_(f.compare("LT", x, 0.0), f.not_(whole))
    value = f.select(f.and_(below, f.compare("NE", f.abs_(x), INFINITY)), NAN, value)
    endless = f.and_(f.compare("EQ", magnitude, 1.0), f.compare("EQ", f.abs_(y), INFINITY))
    one = f.or_(f.or_(f.compare("EQ", y, 0.0), f.compare("EQ", x, 1.0)), endless)
    return f.select(one, 1.0, value)


def _negative(f: Function, x: Operand) -> Operand:
    """Whether the sign bit is set."""
    return f.compare("LT", f.bits(x, layout(x).integer), 0)


def _reduce(f: Function, x: Operand) -> tuple[Operand, Operand, Operand]:
    """x = n ln 2 + r: r, n as a float, n as an integer."""
    kind = layout(x)
    whole, n = nearest(f, f.mul(x, LOG2_E))
    r = f.fma(whole, -kind.ln2_high, x)
    return f.fma(whole, -kind.ln2_low, r), whole, n


def _expm1_small(f: Function, r: Operand) -> Operand:
    """e^r - 1 for |r| <= ln 2 / 2."""
    p = horner(f, r, EXP_32 if is_single(r) else EXP_64)
    return f.fma(f.mul(r, r), p, r)


def _log_finite(f: Function, x: Operand, correction: Operand | None) -> Operand:
    """log(x) (+ correction) for positive finite x: e ln 2 + log(m), m in [sqrt 1/2, sqrt 2)."""
    kind = layout(x)
    tiny = f.compare("LT", x, 2.0 ** (1 - kind.bias))
    raised = f.select(tiny, f.mul(x, 2.0**kind.digits), x)
    bits = f.bits(raised, kind.integer)
    root = 0x3F3504F3 if is_single(x) else 0x3FE6A09E667F3BCD
    shift = f.ashr(f.sub(bits, root), kind.digits)
    m = f.bits(f.sub(bits, f.shl(shift, kind.digits)), x.type.element)
    e = f.cast("sitofp", shift, x.type)
    e = f.select(tiny, f.sub(e, float(kind.digits)), e)
    t = f.sub(m, 1.0)
    square = f.mul(t, t)
    low = f.mul(e, kind.ln2_low) if correction is None else f.fma(e, kind.ln2_low, correction)
    if is_single(x):
        tail = f.fma(f.mul(square, t), horner(f, t, LOG_32), low)
        return f.fma(e, kind.ln2_high, f.add(t, f.fma(square, -0.5, tail)))
    # log(1 + t) = t - h + s (h + R(s^2)) with h = t^2 / 2 and s = t / (2 + t).
    s = f.div(t, f.add(t, 2.0))
    z = f.mul(s, s)
    h = f.mul(square, 0.5)
    inner = f.fma(s, f.add(h, f.mul(z, horner(f, z, LOG_64))), low)
    return f.fma(e, kind.ln2_high, f.sub(t, f.sub(h, inner)))


def _log_specials(f: Function, x: Operand, value: Operand) -> Operand:
    value = f.select(f.compare("EQ", x, INFINITY), x, value)
    outside = f.select(f.compare("EQ", x, 0.0), constant(-INFINITY, x.type), NAN)
    return f.select(f.compare("GT", x, 0.0), value, outside)
