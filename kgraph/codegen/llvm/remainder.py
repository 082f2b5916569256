"""The exact remainder of a division of floats, C's fmod, for any lanes."""

from __future__ import annotations

from kgraph.codegen.llvm.emit import Function, Operand, constant
from kgraph.codegen.llvm.floats import any_lane, is_single, lane_loop, layout, truncate


def remainder(f: Function, x: Operand, y: Operand) -> Operand:
    """What `x / y`, rounded towards zero, leaves of x, with the sign of x.

    While the quotient has no more digits than a mantissa it is right or, where the division rounds
    up to an integer, one too large; and what it leaves is exact in one fused step. Other lanes,
    zeros and infinities among them, are libm's.
    """
    name = "fmodf" if is_single(x) else "fmod"
    if not f.target.fused:
        return lane_loop(f, name, x, y)
    size = f.abs_(y)
    whole = truncate(f, f.abs_(f.div(x, y)))
    rest = f.fma(f.neg(whole), size, f.abs_(x))
    rest = f.select(f.compare("LT", rest, 0.0), f.add(rest, size), rest)
    value = f.copysign(rest, x)
    small = f.compare("LT", whole, 2.0 ** layout(x).digits)
    easy = f.and_(small, f.compare("LT", size, constant(float("inf"), x.type)))
    hard = f.not_(easy)
    choice = f.choose(any_lane(f, hard))
    with choice.then():
        choice.give(f.select(hard, lane_loop(f, name, x, y), value))
    with choice.otherwise():
        choice.give(value)
    return choice.results[0]
