"""erf and its inverse for any lanes of float32 and float64."""

from __future__ import annotations

from kgraph.codegen.llvm.coefficients import (
    ERF_32,
    ERF_64,
    ERF_INV_END_64,
    ERF_INV_FAR_32,
    ERF_INV_FAR_64,
    ERF_INV_NEAR_32,
    ERF_INV_NEAR_64,
    ERF_NEAR_32,
    ERF_PIECE_32,
    ERF_PIECES_32,
    ERF_TAIL_32,
    ERF_TAIL_64,
)
from kgraph.codegen.llvm.emit import Function, Operand
from kgraph.codegen.llvm.exponential import exp, exp2_small, log
from kgraph.codegen.llvm.floats import (
    any_lane,
    has_lookup,
    horner,
    is_single,
    layout,
    lookup,
    nearest,
    power_of_two,
)


def erf(f: Function, x: Operand) -> Operand:
    """The error function; float32 within 1.5 ulp, float64 within 3.

    Below 1 it is x + x p(x^2), above it 1 - erfc(x), whose relative error then hardly matters.
    """
    single = is_single(x)
    if single and has_lookup(f):
        return _erf_of_pieces(f, x)
    magnitude = f.fmin(f.abs_(x), 3.95 if single else 6.0)
    small = f.fma(x, horner(f, f.mul(x, x), ERF_32 if single else ERF_64), x)
    if single:
        above = _from_above(f, magnitude)
    else:
        t = f.div(f.sub(magnitude, 3.0), f.add(magnitude, 3.0))
        gauss = exp(f, f.neg(f.mul(magnitude, magnitude)))
        above = f.sub(1.0, f.mul(gauss, horner(f, t, ERF_TAIL_64)))
    return f.select(f.compare("LT", magnitude, 1.0), small, f.copysign(above, x))


def _erf_of_pieces(f: Function, x: Operand) -> Operand:
    """float32 within 1 ulp: around each multiple of `ERF_PIECE_32` a polynomial of its own.

    Half the instructions of the two that other machines choose from.
    """
    magnitude = f.fmin(f.abs_(x), 15.49 * ERF_PIECE_32)
    magic = layout(x).magic
    shifted = f.fma(magnitude, 1 / ERF_PIECE_32, magic)
    whole = f.sub(shifted, magic)
    r = f.fma(whole, -ERF_PIECE_32, magnitude)
    piece = f.bits(shifted, "i32")
    *lower, total = (lookup(f, table, piece) for table in ERF_PIECES_32)
    for item in reversed(lower):
        total = f.fma(total, r, item)
    near = f.compare("LT", whole, ERF_NEAR_32 - 0.5)
    return f.copysign(f.select(near, f.add(total, magnitude), total), x)


def _from_above(f: Function, x: Operand) -> Operand:
    """1 - erfc(x) from 1 to 3.95, where erfc(x) is 2^n 2^r: no exponent leaves the normal ones."""
    exponent = horner(f, x, ERF_TAIL_32)
    whole, n = nearest(f, exponent)
    part = exp2_small(f, f.sub(exponent, whole))
    return f.fma(f.neg(part), power_of_two(f, n, x), 1.0)


def erf_inv(f: Function, x: Operand) -> Operand:
    """The inverse of erf; infinite at 1, NaN beyond; float32 within 3 ulp, float64 within 6.

    erf_inv(x) / x is a smooth function of w = -log(1 - x^2), and of sqrt(w) for large w.
    """
    magnitude = f.abs_(x)
    w = f.neg(log(f, f.mul(f.sub(1.0, magnitude), f.add(magnitude, 1.0))))
    end = 5.0 if is_single(x) else 6.25
    near = horner(f, f.sub(w, end / 2), ERF_INV_NEAR_32 if is_single(x) else ERF_INV_NEAR_64)
    # Of uniform numbers few lie beyond: the root is taken where some lane does.
    choice = f.choose(any_lane(f, f.compare("GE", w, end)))
    with choice.then():
        choice.give(f.select(f.compare("LT", w, end), near, _erf_inv_far(f, w)))
    with choice.otherwise():
        choice.give(near)
    ratio = choice.results[0]
    # At 1 the polynomial in sqrt(w) = inf is an infinity of some sign, or NaN.
    ratio = f.select(f.compare("EQ", magnitude, 1.0), float("inf"), ratio)
    return f.mul(x, ratio)


def _erf_inv_far(f: Function, w: Operand) -> Operand:
    """erf_inv(x) / x for large w."""
    root = f.sqrt(f.fmax(w, 0.0))
    if is_single(w):
        return horner(f, f.sub(root, 3.25), ERF_INV_FAR_32)
    far = horner(f, f.sub(root, 3.25), ERF_INV_FAR_64)
    last = horner(f, f.sub(root, 5.125), ERF_INV_END_64)
    return f.select(f.compare("LT", w, 16.0), far, last)
