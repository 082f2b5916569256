"""What each elementwise op is on registers: the one table that loops, prologues and epilogues use.

`apply(f, op, operands)` gives the results of `op` for scalars or vectors of any lanes, bit for bit
as the op's own `reference` where the op is exact. A 16-bit float is computed in float32 and rounded
once per op.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import copysign
from typing import Any, TypeVar

from kgraph.codegen.llvm import math
from kgraph.codegen.llvm.emit import (
    Function,
    Operand,
    constant,
    is_floating,
    is_signed,
    register_type,
)
from kgraph.ir import Op

# rule(f, op, dtype, *operands): `dtype` is that of the first operand, float32 for a 16-bit float.
# The op is Any because a rule reads the attributes of its own class.
Rule = Callable[..., "Operand | tuple[Operand, ...]"]
RULES: dict[str, Rule] = {}

_HALVES = ("float16", "bfloat16")
# These look at the bits of a 16-bit float, or convert it themselves.
_ON_BITS = frozenset(["abs", "bitcast_convert", "convert", "negate", "select", "stop_gradient"])


AnyRule = TypeVar("AnyRule", bound=Rule)


def rule(*names: str) -> Callable[[AnyRule], AnyRule]:
    """Adds a function to the table under the names of ops."""

    def add(function: AnyRule) -> AnyRule:
        for name in names:
            RULES[name] = function
        return function

    return add


def apply(f: Function, op: Op, operands: Sequence[Operand]) -> tuple[Operand, ...]:
    """The results of an elementwise op; scalars beside vectors stand for all their lanes."""
    lanes = max((x.lanes for x in operands), default=0)
    values = [x if x.lanes == lanes else f.splat(x, lanes) for x in operands]
    dtype = op.operands[0].dtype
    wide = op.name not in _ON_BITS
    if wide:
        pairs = zip(values, op.operands, strict=True)
        values = [_widened(f, x, v.dtype) for x, v in pairs]
        dtype = "float32" if dtype in _HALVES else dtype
    found = RULES[op.name](f, op, dtype, *values)
    results = found if isinstance(found, tuple) else (found,)
    if not wide:
        return results
    return tuple(
        f.convert(x, "float32", v.dtype) if v.dtype in _HALVES else x
        for x, v in zip(results, op.results, strict=True)
    )


def _widened(f: Function, x: Operand, dtype: str) -> Operand:
    return f.convert(x, dtype, "float32") if dtype in _HALVES else x


def accumulator(dtype: str) -> str:
    """The dtype that a long combination runs in."""
    return "float32" if dtype in _HALVES else dtype


def combine(f: Function, kind: str, dtype: str, x: Operand, y: Operand) -> Operand:
    """Two values by a kind of reduction; `dtype` is one that arithmetic is done in."""
    if kind == "sum":
        return _add(f, None, dtype, x, y)
    if kind == "product":
        return _multiply(f, None, dtype, x, y)
    if kind == "max":
        return _greater(f, dtype, x, y)
    if kind == "min":
        return _smaller(f, dtype, x, y)
    return f.and_(x, y) if kind == "and" else f.or_(x, y)


# ---- arithmetic ----


@rule("add")
def _add(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return f.or_(x, y) if dtype == "bool" else f.add(x, y)


@rule("subtract")
def _subtract(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return f.sub(x, y)


@rule("multiply")
def _multiply(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return f.and_(x, y) if dtype == "bool" else f.mul(x, y)


@rule("divide")
def _divide(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    """Of integers towards zero; x / 0 has all bits set, MIN / -1 is MIN."""
    if is_floating(dtype):
        return f.div(x, y)
    safe, zero, overflow = _safe_divisor(f, dtype, x, y)
    if not is_signed(dtype):
        return f.select(zero, constant(-1, x.type), f.udiv(x, safe))
    quotient = f.select(overflow, x, f.sdiv(x, safe))
    return f.select(zero, constant(-1, x.type), quotient)


@rule("remainder")
def _remainder(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    """The sign of x; x for x % 0."""
    if is_floating(dtype):
        return math.remainder(f, x, y)
    safe, zero, overflow = _safe_divisor(f, dtype, x, y)
    if not is_signed(dtype):
        return f.select(zero, x, f.urem(x, safe))
    rest = f.select(overflow, constant(0, x.type), f.srem(x, safe))
    return f.select(zero, x, rest)


def _safe_divisor(
    f: Function, dtype: str, x: Operand, y: Operand
) -> tuple[Operand, Operand, Operand]:
    """A divisor at which the machine does not trap; where y is zero; where MIN is divided by -1."""
    zero = f.compare("EQ", y, 0)
    if not is_signed(dtype):
        return f.select(zero, constant(1, y.type), y), zero, zero
    low = constant(-(1 << (x.type.bits - 1)), x.type)
    overflow = f.and_(f.compare("EQ", y, -1), f.compare("EQ", x, low))
    bad = f.or_(zero, overflow)
    return f.select(bad, constant(1, y.type), y), zero, overflow


@rule("maximum")
def _maximum(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    """0.0 is greater than -0.0."""
    if not is_floating(dtype):
        return _greater(f, dtype, x, y)
    x, y = (y, x) if x.constant is not None else (x, y)
    best = f.fmax(x, y)
    if y.constant == 0 and not _is_minus_zero(y):
        return f.add(best, 0.0)  # of -0.0 it makes 0.0
    return best if _orders_zeros(x, y) else _of_zeros(f, "and", x, y, best)


def _greater(f: Function, dtype: str, x: Operand, y: Operand) -> Operand:
    """The greater, of zeros either."""
    if is_floating(dtype):
        return f.fmax(x, y)
    if dtype == "bool":
        return f.or_(x, y)
    return f.smax(x, y) if is_signed(dtype) else f.umax(x, y)


@rule("minimum")
def _minimum(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    """-0.0 is smaller than 0.0."""
    if not is_floating(dtype):
        return _smaller(f, dtype, x, y)
    best = f.fmin(x, y)
    return best if _orders_zeros(x, y) else _of_zeros(f, "or", x, y, best)


def _orders_zeros(x: Operand, y: Operand) -> bool:
    """Is one a constant other than zero, so that two zeros never meet?"""
    return any(v.constant is not None and v.constant != 0 for v in (x, y))


def _is_minus_zero(x: Operand) -> bool:
    return isinstance(x.constant, float) and copysign(1.0, x.constant) < 0


def _of_zeros(f: Function, how: str, x: Operand, y: Operand, best: Operand) -> Operand:
    """`best`, but of equal operands the one whose bits are their `and` or `or`."""
    integer = f"i{x.type.bits}"
    a, b = f.bits(x, integer), f.bits(y, integer)
    both = f.bits(f.and_(a, b) if how == "and" else f.or_(a, b), x.type.element)
    return f.select(f.compare("EQ", x, y), both, best)


def _smaller(f: Function, dtype: str, x: Operand, y: Operand) -> Operand:
    """The smaller, of zeros either."""
    if is_floating(dtype):
        return f.fmin(x, y)
    if dtype == "bool":
        return f.and_(x, y)
    return f.smin(x, y) if is_signed(dtype) else f.umin(x, y)


@rule("power")
def _power(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return math.power(f, x, y) if is_floating(dtype) else _integer_power(f, dtype, x, y)


def _integer_power(f: Function, dtype: str, x: Operand, y: Operand) -> Operand:
    """By squaring, wrapping; of negative exponents only 1 and -1 have a power other than 0."""
    result, square, left = constant(1, x.type), x, y
    with f.carried_loop(0, x.type.bits, [result, square, left], name="bit") as loop:
        total, base, rest = loop.values
        odd = f.compare("NE", f.and_(rest, 1), 0)
        total = f.select(odd, f.mul(total, base), total)
        loop.next(total, f.mul(base, base), f.lshr(rest, 1))
    result = loop.results[0]
    if not is_signed(dtype):
        return result
    odd = f.compare("NE", f.and_(y, 1), 0)
    sign = f.select(odd, constant(-1, x.type), constant(1, x.type))
    unit = f.select(f.compare("EQ", x, -1), sign, constant(0, x.type))
    unit = f.select(f.compare("EQ", x, 1), constant(1, x.type), unit)
    return f.select(f.compare("LT", y, 0), unit, result)


@rule("negate")
def _negate(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    return f.xor(x, 0x8000) if dtype in _HALVES else f.neg(x)


@rule("abs")
def _abs(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    if dtype in _HALVES:
        return f.and_(x, 0x7FFF)
    return f.abs_(x) if is_floating(dtype) or is_signed(dtype) else x


@rule("sign")
def _sign(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    """Zeros and NaN keep what they are."""
    if is_floating(dtype):
        odd = f.compare("NE", x, x)
        odd = f.or_(odd, f.compare("EQ", x, 0.0))
        return f.select(odd, x, f.copysign(constant(1.0, x.type), x))
    if not is_signed(dtype):
        return f.umin(x, constant(1, x.type))
    return f.smax(f.smin(x, constant(1, x.type)), constant(-1, x.type))


# ---- choices and bits ----


@rule("compare")
def _compare(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return f.compare(op.direction, x, y, signed=is_signed(dtype))


@rule("select")
def _select(
    f: Function, op: Any, dtype: str, pred: Operand, on_true: Operand, on_false: Operand
) -> Operand:
    return f.select(pred, on_true, on_false)


@rule("clamp")
def _clamp(f: Function, op: Any, dtype: str, low: Operand, x: Operand, high: Operand) -> Operand:
    return _smaller(f, dtype, _greater(f, dtype, x, low), high)


@rule("is_finite")
def _is_finite(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    if not is_floating(dtype):
        return constant(1, x.type.with_element("i1"))
    return f.compare("LT", f.abs_(x), float("inf"))


@rule("and")
def _and(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return f.and_(x, y)


@rule("or")
def _or(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return f.or_(x, y)


@rule("xor")
def _xor(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return f.xor(x, y)


@rule("not")
def _not(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    return f.not_(x)


@rule("shift_left", "shift_right_logical", "shift_right_arithmetic")
def _shift(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    """By the width or more (or a negative amount): all bits leave."""
    width = x.type.bits
    over = f.compare("GE", y, width, signed=False)
    if op.name == "shift_right_arithmetic":
        return f.ashr(x, f.select(over, constant(width - 1, y.type), y))
    amount = f.select(over, constant(0, y.type), y)
    shifted = f.shl(x, amount) if op.name == "shift_left" else f.lshr(x, amount)
    return f.select(over, constant(0, x.type), shifted)


@rule("popcnt")
def _popcnt(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    return f.intrinsic("ctpop", x.type, (x,))


@rule("count_leading_zeros")
def _count_leading_zeros(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    zero_is_defined = constant(0, register_type("bool"))
    return f.intrinsic("ctlz", x.type, (x, zero_is_defined), overloads=(x.type,))


# ---- conversions ----


@rule("convert")
def _convert(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    return f.convert(x, dtype, op.dtype)


@rule("bitcast_convert")
def _bitcast_convert(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    return f.bits(x, register_type(op.dtype).element)


@rule("stop_gradient")
def _same(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
    return x


# ---- mathematics ----


def _float_unary(function: Callable[[Function, Operand], Operand]) -> Rule:
    def apply_one(f: Function, op: Any, dtype: str, x: Operand) -> Operand:
        return function(f, x) if is_floating(dtype) else x  # rounding an integer changes nothing

    return apply_one


for _name, _function in math.UNARY.items():
    RULES[_name] = _float_unary(_function)


@rule("atan2")
def _atan2(f: Function, op: Any, dtype: str, x: Operand, y: Operand) -> Operand:
    return math.atan2(f, x, y)


# ---- random bits ----

_ROTATIONS = ((13, 15, 26, 6), (17, 29, 16, 24))


@rule("threefry")
def _threefry(
    f: Function, op: Any, dtype: str, k0: Operand, k1: Operand, x0: Operand, x1: Operand
) -> tuple[Operand, Operand]:
    """Threefry-2x32-20 of Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011)."""
    keys = (k0, k1, f.xor(f.xor(k0, k1), 0x1BD11BDA))
    x0, x1 = f.add(x0, k0), f.add(x1, k1)
    for group in range(5):
        for amount in _ROTATIONS[group % 2]:
            x0 = f.add(x0, x1)
            x1 = f.xor(f.or_(f.shl(x1, amount), f.lshr(x1, 32 - amount)), x0)
        x0 = f.add(x0, keys[(group + 1) % 3])
        x1 = f.add(f.add(x1, keys[(group + 2) % 3]), group + 1)
    return x0, x1
