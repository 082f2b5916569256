"""What the vector mathematics shares: bit layouts, Horner's rule, rounding, scaling by 2^n."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import (
    DOUBLE,
    FLOAT,
    I32,
    Function,
    Operand,
    constant,
    type_of,
    vector_constant,
)

Unary = Callable[[Function, Operand], Operand]


@dataclass(frozen=True)
class Layout:
    """The bits of an IEEE format and the numbers that depend on them."""

    integer: str
    digits: int  # stored bits of the mantissa
    bias: int
    # Added to and subtracted from a smaller number it leaves its nearest integer, ties to even,
    # whose low bits then stand at the end of the sum's bits.
    magic: float
    magic_bits: int
    # ln 2 in two parts; the product of the first and an exponent is exact.
    ln2_high: float
    ln2_low: float
    # Below and above these exp is 0 and infinity.
    exp_low: float
    exp_high: float


_SINGLE = Layout("i32", 23, 127, 1.5 * 2**23, 0x4B400000, 0.693145751953125,
                 1.4286068203094172e-06, -104.0, 89.0)  # fmt: skip
_DOUBLE = Layout("i64", 52, 1023, 1.5 * 2**52, 0x4338 << 48, 0.6931471803691238,
                 1.9082149292705877e-10, -746.0, 710.0)  # fmt: skip


def layout(x: Operand) -> Layout:
    """The layout of a float or double operand."""
    return {"float": _SINGLE, "double": _DOUBLE}[x.type.element]


def is_single(x: Operand) -> bool:
    """Whether the operand is float32."""
    return x.type.element == "float"


def in_double(function: Callable[..., Operand], f: Function, *arguments: Operand) -> Operand:
    """A float64 function on float32 arguments: right to the last bit but for rare half-ulp ties."""
    kind = arguments[0].type
    wide = [f.cast("fpext", x, DOUBLE.with_lanes(kind.lanes)) for x in arguments]
    single = f.cast("fptrunc", function(f, *wide), FLOAT.with_lanes(kind.lanes))
    # Without the fence, LLVM rounds straight to float16 where that follows, by a library call.
    return f.intrinsic("arithmetic.fence", single.type, (single,))


def horner(f: Function, x: Operand, coefficients: Sequence[float]) -> Operand:
    """The polynomial, coefficients from the lowest power up."""
    total = constant(coefficients[-1], x.type)
    for item in reversed(coefficients[:-1]):
        total = f.fma(total, x, item)
    return total


def nearest(f: Function, x: Operand) -> tuple[Operand, Operand]:
    """The nearest integer of a number well below 2^digits, as a float and as an integer."""
    kind = layout(x)
    shifted = f.add(x, kind.magic)
    whole = f.sub(shifted, kind.magic)
    return whole, f.sub(f.bits(shifted, kind.integer), kind.magic_bits)


def power_of_two(f: Function, n: Operand, like: Operand) -> Operand:
    """2^n as a float for an integer n in the range of normal exponents."""
    kind = layout(like)
    return f.bits(f.shl(f.add(n, kind.bias), kind.digits), like.type.element)


def scale(f: Function, x: Operand, whole: Operand, n: Operand) -> Operand:
    """x * 2^n for x in [0.5, 2], rounded once where the result is subnormal; n as both kinds."""
    type = x.type
    bits = type.bits * type.lanes
    if f.target.has("avx512f") and bits == 512:
        suffix = "ps" if is_single(x) else "pd"
        mask = type_of(f"i{type.lanes}")
        arguments = [x, whole, x, constant(-1, mask), constant(4, I32)]
        return f.machine_intrinsic(f"llvm.x86.avx512.mask.scalef.{suffix}.512", type, arguments)
    # Two factors, so that neither the largest nor the subnormal results need a special case.
    half = f.ashr(n, 1)
    return f.mul(f.mul(x, power_of_two(f, half, x)), power_of_two(f, f.sub(n, half), x))


def round_even(f: Function, x: Operand) -> Operand:
    """To the nearest integer, ties to even; keeps the sign of zero."""
    if _has_rounding(f):
        return f.intrinsic("roundeven", x.type, (x,))
    magnitude = f.abs_(x)
    big = 2.0 ** layout(x).digits
    rounded = f.sub(f.add(magnitude, big), big)
    # Numbers from `big` on are integers; NaN compares false and stays.
    small = f.compare("LT", magnitude, big)
    return f.select(small, f.copysign(rounded, x), x)


def floor(f: Function, x: Operand) -> Operand:
    """The largest integer not above x."""
    if _has_rounding(f):
        return f.intrinsic("floor", x.type, (x,))
    near = round_even(f, x)
    return f.select(f.compare("GT", near, x), f.sub(near, 1.0), near)


def ceil(f: Function, x: Operand) -> Operand:
    """The smallest integer not below x."""
    if _has_rounding(f):
        return f.intrinsic("ceil", x.type, (x,))
    near = round_even(f, x)
    raised = f.select(f.compare("LT", near, x), f.add(near, 1.0), near)
    return f.copysign(raised, x)


def truncate(f: Function, x: Operand) -> Operand:
    """To the integer next to x towards zero."""
    if _has_rounding(f):
        return f.intrinsic("trunc", x.type, (x,))
    return f.copysign(floor(f, f.abs_(x)), x)


def round_away(f: Function, x: Operand) -> Operand:
    """To the nearest integer, ties away from zero."""
    whole = truncate(f, x)
    # `x - whole` is exact, unlike x + 0.5, which would round 0.49999997 up.
    away = f.compare("GE", f.abs_(f.sub(x, whole)), 0.5)
    one = f.copysign(constant(1.0, x.type), x)
    return f.copysign(f.select(away, f.add(whole, one), whole), x)


def has_lookup(f: Function) -> bool:
    """Whether `lookup` is quick here."""
    return f.target.has("avx512f") and f.target.vector_bytes == 64


def lookup(f: Function, table: Sequence[float], index: Operand) -> Operand:
    """table[index % 16] for a table of 16 float32 and any lanes of i32."""
    lanes = index.lanes
    if lanes == 0:
        return f.extract(lookup(f, table, f.splat(index, 16)), 0)
    if lanes < 16:
        whole = f.shuffle(index, [*range(lanes), *[0] * (16 - lanes)])
        return f.shuffle(lookup(f, table, whole), range(lanes))
    if lanes > 16:
        half = lanes // 2
        parts = [f.shuffle(index, range(first, first + half)) for first in (0, half)]
        low, high = (lookup(f, table, part) for part in parts)
        return f.shuffle(low, range(lanes), high)
    values = vector_constant(table, FLOAT)
    return f.machine_intrinsic("llvm.x86.avx512.permvar.sf.512", values.type, [values, index])


def any_lane(f: Function, mask: Operand) -> Operand:
    """An i1: whether any lane of the mask is on."""
    if mask.lanes == 0:
        return mask
    bits = type_of(f"i{mask.lanes}")
    return f.compare("NE", f.cast("bitcast", mask, bits), 0)


def lane_loop(f: Function, symbol: str, *arguments: Operand) -> Operand:
    """A C function of doubles or floats applied lane by lane, in a rolled loop through memory."""
    x = arguments[0]
    if x.lanes == 0:
        return f.call_symbol(symbol, x.type, arguments, pure=True)
    dtype = "float32" if is_single(x) else "float64"
    stacks = [f.alloca(item.type) for item in arguments]
    for stack, item in zip(stacks, arguments, strict=True):
        f.store_at(stack, dtype, item)
    with f.loop(0, x.lanes, name="lane") as lane:
        places = [f.offset(stack, lane, dtype) for stack in stacks]
        scalars = [f.load_at(place, dtype) for place in places]
        f.store_at(places[0], dtype, f.call_symbol(symbol, x.type.scalar, scalars))
    return f.load_at(stacks[0], dtype, x.lanes)


def _has_rounding(f: Function) -> bool:
    return f.target.has("sse4.1") or f.target.triple.startswith("aarch64")
