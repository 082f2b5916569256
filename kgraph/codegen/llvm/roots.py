"""Cube root and inverse square root for any lanes of float32 and float64; errors in ulp."""

from __future__ import annotations

from kgraph.codegen.llvm.emit import Function, Operand, constant
from kgraph.codegen.llvm.exponential import INFINITY, exp, log
from kgraph.codegen.llvm.floats import is_single

# Its difference to a third of the bits of x has the bits of x^(-1/3), but for 4 %.
_THIRD = 0x54A20000


def rsqrt(f: Function, x: Operand) -> Operand:
    """1 / sqrt(x), two correctly rounded steps."""
    return f.div(constant(1.0, x.type), f.sqrt(x))


def cbrt(f: Function, x: Operand) -> Operand:
    """Cube root, of negative numbers too; float32 within 1.5 ulp, float64 within 2."""
    single = is_single(x)
    magnitude = f.abs_(x)
    tiny = f.compare("LT", magnitude, 2.0**-126 if single else 2.0**-900)
    raised, back = (2.0**24, 2.0**-8) if single else (2.0**162, 2.0**-54)
    scaled = f.select(tiny, f.mul(magnitude, raised), magnitude)
    t = _root_of_single(f, scaled) if single else _root_of_double(f, scaled)
    t = f.copysign(f.select(tiny, f.mul(t, back), t), x)
    same = f.or_(f.compare("EQ", x, 0.0), f.compare("EQ", magnitude, INFINITY))
    return f.select(same, x, t)


def _root_of_single(f: Function, x: Operand) -> Operand:
    """x r^2 of r = x^(-1/3), and a Newton step that divides by 3 t^2 with r."""
    bits = f.cast("sitofp", f.bits(x, "i32"), x.type)
    third = f.fma(bits, -1 / 3, float(_THIRD))
    r = f.bits(f.cast("fptosi", third, x.type.with_element("i32")), "float")
    # r^3 x = 1 - e, whose cube root is a series in e: what follows is below e^4.
    e = f.sub(1.0, f.mul(f.mul(f.mul(x, r), r), r))
    series = f.fma(f.fma(e, 14 / 81, 2 / 9), e, 1 / 3)
    r = f.fma(f.mul(r, e), series, r)
    square = f.mul(r, r)
    t = f.mul(x, square)
    wrong = f.fma(f.mul(t, t), t, f.neg(x))
    return f.fma(f.mul(wrong, -1 / 3), square, t)


def _root_of_double(f: Function, x: Operand) -> Operand:
    t = exp(f, f.mul(log(f, x), 1.0 / 3.0))
    # One Newton step removes the error that exp made of the logarithm's rounding.
    square = f.mul(t, t)
    return f.sub(t, f.div(f.sub(f.mul(square, t), x), f.mul(square, 3.0)))
