"""Hyperbolic functions and their inverses for any lanes of float32 and float64; errors in ulp.

tanh is in exponential.py.
"""

from __future__ import annotations

from kgraph.codegen.llvm.coefficients import ASINH_32, SINH_32
from kgraph.codegen.llvm.emit import Function, Operand, constant
from kgraph.codegen.llvm.exponential import LN_2, NAN, exp, exp_part, expm1, log, log1p
from kgraph.codegen.llvm.floats import horner, in_double, is_single


def sinh(f: Function, x: Operand) -> Operand:
    """(e^x - e^-x) / 2; float32 within 2 ulp, float64 within 4."""
    magnitude = f.abs_(x)
    if is_single(x):
        square = f.mul(x, x)
        small = f.fma(f.mul(x, square), horner(f, square, SINH_32), x)
        part = exp_part(f, magnitude)
        large = f.sub(f.add(part, part), f.div(constant(0.125, x.type), part))
        return f.select(f.compare("LT", magnitude, 1.0), small, f.copysign(large, x))
    t = expm1(f, f.fmin(magnitude, 700.0))
    value = f.mul(f.add(t, f.div(t, f.add(t, 1.0))), 0.5)
    return f.copysign(_where_huge(f, magnitude, value), x)


def cosh(f: Function, x: Operand) -> Operand:
    """(e^x + e^-x) / 2; float32 within 2 ulp, float64 within 4."""
    magnitude = f.abs_(x)
    if is_single(x):
        part = exp_part(f, magnitude)
        return f.add(f.add(part, part), f.div(constant(0.125, x.type), part))
    e = exp(f, f.fmin(magnitude, 700.0))
    value = f.fma(e, 0.5, f.div(constant(0.5, x.type), e))
    return _where_huge(f, magnitude, value)


def asinh(f: Function, x: Operand) -> Operand:
    """log(x + sqrt(x^2 + 1)); float32 within 2.5 ulp, float64 within 4."""
    magnitude = f.abs_(x)
    big = f.compare("GT", magnitude, 1e9)
    inner = f.select(big, 1.0, magnitude)
    square = f.mul(inner, inner)
    if is_single(x):
        small = f.fma(f.mul(magnitude, square), horner(f, square, ASINH_32), magnitude)
        value = log(f, f.select(big, magnitude, f.add(inner, f.sqrt(f.add(square, 1.0)))))
        value = f.select(big, f.add(value, LN_2), value)
        return f.copysign(f.select(f.compare("LT", magnitude, 0.53), small, value), x)
    inside = f.add(inner, f.div(square, f.add(f.sqrt(f.add(square, 1.0)), 1.0)))
    value = log1p(f, f.select(big, f.sub(magnitude, 1.0), inside))
    return f.copysign(f.select(big, f.add(value, LN_2), value), x)


def acosh(f: Function, x: Operand) -> Operand:
    """log(x + sqrt(x^2 - 1)), NaN below 1; float32 within 1 ulp, float64 within 4."""
    if is_single(x):
        return in_double(acosh, f, x)
    big = f.compare("GT", x, 1e9)
    t = f.sub(x, 1.0)
    small = f.select(big, 1.0, t)
    root = f.sqrt(f.mul(small, f.add(small, 2.0)))
    value = log1p(f, f.select(big, t, f.add(small, root)))
    value = f.select(big, f.add(value, LN_2), value)
    return f.select(f.compare("LT", x, 1.0), NAN, value)


def atanh(f: Function, x: Operand) -> Operand:
    """log((1 + x) / (1 - x)) / 2, infinite at 1, NaN beyond; float32 within 1 ulp, float64 4."""
    if is_single(x):
        return in_double(atanh, f, x)
    magnitude = f.abs_(x)
    ratio = f.div(f.add(magnitude, magnitude), f.sub(1.0, magnitude))
    return f.copysign(f.mul(log1p(f, ratio), 0.5), x)


def _where_huge(f: Function, magnitude: Operand, value: Operand) -> Operand:
    """e^|x| / 2 by halves of the exponent where e^|x| itself overflows; the value elsewhere."""
    root = exp(f, f.mul(magnitude, 0.5))
    return f.select(f.compare("GT", magnitude, 700.0), f.mul(f.mul(root, 0.5), root), value)
