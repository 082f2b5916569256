"""Arithmetic of the builder: integers with explicit signedness, IEEE floats, lanes of vectors."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

from kgraph.codegen.llvm.block import Emitter
from kgraph.codegen.llvm.values import (
    I1,
    I32,
    I64,
    Index,
    Number,
    Operand,
    Type,
    constant,
    poison,
    vector_constant,
)

_FOLDS: dict[str, Callable[[int, int], int]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
}
# The right operand that changes nothing; for all but `sub` also the left one.
_NEUTRAL = {"add": 0, "sub": 0, "mul": 1, "and": -1, "or": 0, "xor": 0}
_SIGNED = {"LT": "slt", "LE": "sle", "GT": "sgt", "GE": "sge", "EQ": "eq", "NE": "ne"}
_UNSIGNED = {"LT": "ult", "LE": "ule", "GT": "ugt", "GE": "uge", "EQ": "eq", "NE": "ne"}
_FLOAT = {"LT": "olt", "LE": "ole", "GT": "ogt", "GE": "oge", "EQ": "oeq", "NE": "une"}


class Arithmetic(Emitter):
    """Operations take two `Operand`s of one type; a Python number becomes the other's constant."""

    # Constants and shapes -------------------------------------------------------------------

    def constant(self, value: float, type: Type) -> Operand:
        """A constant of the type, splat over its lanes."""
        return constant(value, type)

    def index(self, value: Index) -> Operand:
        """An i64 from a Python int or an i64."""
        return constant(value, I64) if isinstance(value, int) else value

    def splat(self, value: Operand, lanes: int) -> Operand:
        """The scalar in every lane; the scalar itself for `lanes=0`."""
        if lanes == 0:
            return value
        vector = value.type.with_lanes(lanes)
        if value.constant is not None:
            return constant(value.constant, vector)
        first = self.insert(poison(vector), value, 0)
        return self.shuffle(first, [0] * lanes)

    def lane_numbers(self, type: Type) -> Operand:
        """The constant vector 0, 1, 2, ... of an integer vector type; 0 for a scalar type."""
        if type.lanes == 0:
            return constant(0, type)
        return vector_constant(range(type.lanes), type.scalar)

    def insert(self, vector: Operand, value: Operand, lane: Index) -> Operand:
        """The vector with one lane replaced."""
        at = self.index(lane)
        return self.instruction(vector.type, f"insertelement {vector!r}, {value!r}, {at!r}")

    def extract(self, vector: Operand, lane: Index) -> Operand:
        """One lane; a scalar is its own only lane."""
        if vector.lanes == 0:
            return vector
        at = self.index(lane)
        return self.instruction(vector.type.scalar, f"extractelement {vector!r}, {at!r}")

    def shuffle(
        self, vector: Operand, lanes: Sequence[int], other: Operand | None = None
    ) -> Operand:
        """Lanes chosen by constant numbers from `vector`, and then `other`, side by side."""
        second = other.text if other else "poison"
        mask = "zeroinitializer" if not any(lanes) else vector_constant(lanes, I32).text
        kind = vector.type.text
        return self.instruction(
            vector.type.with_lanes(len(lanes)),
            f"shufflevector {kind} {vector.text}, {kind} {second}, <{len(lanes)} x i32> {mask}",
        )

    def reduce_lanes(
        self, value: Operand, combine: Callable[[Operand, Operand], Operand]
    ) -> Operand:
        """Combines all lanes into a scalar as a balanced tree of halves; any lane count."""
        while value.lanes > 1:
            half = value.lanes // 2
            low = self.shuffle(value, range(half))
            high = self.shuffle(value, range(half, 2 * half))
            rest = self.extract(value, value.lanes - 1) if value.lanes % 2 else None
            value = combine(low, high)
            if rest is not None:
                value = self.insert(value, combine(self.extract(value, 0), rest), 0)
        return self.extract(value, 0)

    # Integers and floats --------------------------------------------------------------------

    def add(self, a: Number, b: Number, name: str = "v") -> Operand:
        """`a + b`, integer (wrapping) or float."""
        return self._sum("add", a, b, name)

    def sub(self, a: Number, b: Number, name: str = "v") -> Operand:
        """`a - b`, integer (wrapping) or float."""
        return self._sum("sub", a, b, name)

    def mul(self, a: Number, b: Number, name: str = "v") -> Operand:
        """`a * b`, integer (wrapping) or float."""
        return self._sum("mul", a, b, name)

    def div(self, a: Number, b: Number) -> Operand:
        """`a / b` of floats."""
        return self._pair("fdiv", a, b)

    def sdiv(self, a: Index, b: Index) -> Operand:
        """Signed integer division towards zero; undefined for `b == 0` and MIN / -1."""
        return self._divide("sdiv", a, b)

    def udiv(self, a: Index, b: Index) -> Operand:
        """Unsigned integer division; undefined for `b == 0`."""
        return self._divide("udiv", a, b)

    def srem(self, a: Index, b: Index) -> Operand:
        """Remainder of `sdiv`: the sign of `a`."""
        return self._divide("srem", a, b)

    def urem(self, a: Index, b: Index) -> Operand:
        """Remainder of `udiv`."""
        return self._divide("urem", a, b)

    def neg(self, a: Operand) -> Operand:
        """`-a`; for floats the sign bit flips, NaN and zero included."""
        if a.type.is_float:
            return self.instruction(a.type, f"fneg {a.type.text} {a.text}")
        return self.sub(constant(0, a.type), a)

    def fma(self, a: Operand, b: Number, c: Number) -> Operand:
        """`a * b + c` of floats, rounded once where the target fuses, else rounded twice.

        Code that needs the single rounding must check `target.fused`.
        """
        a, b = self._match(a, b)
        a, c = self._match(a, c)
        if self.target.fused:
            return self.intrinsic("fma", a.type, (a, b, c))
        return self.add(self.mul(a, b), c)

    def and_(self, a: Index, b: Index) -> Operand:
        """Bitwise and."""
        return self._sum("and", a, b, "v")

    def or_(self, a: Index, b: Index) -> Operand:
        """Bitwise or."""
        return self._sum("or", a, b, "v")

    def xor(self, a: Index, b: Index) -> Operand:
        """Bitwise exclusive or."""
        return self._sum("xor", a, b, "v")

    def not_(self, a: Operand) -> Operand:
        """All bits flipped; logical not of an i1."""
        return self.xor(a, constant(-1, a.type))

    def shl(self, a: Operand, b: Operand | int) -> Operand:
        """Shift left; undefined when the amount is not below the width."""
        return self._pair("shl", a, b)

    def lshr(self, a: Operand, b: Operand | int) -> Operand:
        """Logical shift right; undefined when the amount is not below the width."""
        return self._pair("lshr", a, b)

    def ashr(self, a: Operand, b: Operand | int) -> Operand:
        """Arithmetic shift right; undefined when the amount is not below the width."""
        return self._pair("ashr", a, b)

    def smin(self, a: Index, b: Index) -> Operand:
        """The smaller, signed."""
        return self._extreme("smin", a, b)

    def smax(self, a: Index, b: Index) -> Operand:
        """The larger, signed."""
        return self._extreme("smax", a, b)

    def umin(self, a: Index, b: Index) -> Operand:
        """The smaller, unsigned."""
        return self._extreme("umin", a, b)

    def umax(self, a: Index, b: Index) -> Operand:
        """The larger, unsigned."""
        return self._extreme("umax", a, b)

    def fmin(self, a: Operand, b: Number) -> Operand:
        """The smaller float; NaN if either is NaN; of two zeros either."""
        return self._float_extreme("LT", a, b)

    def fmax(self, a: Operand, b: Number) -> Operand:
        """The larger float; NaN if either is NaN; of two zeros either."""
        return self._float_extreme("GT", a, b)

    def abs_(self, a: Operand) -> Operand:
        """Magnitude: the sign bit cleared; for integers the wrapping signed one."""
        if a.type.is_float:
            return self.intrinsic("fabs", a.type, (a,))
        return self.intrinsic("abs", a.type, (a, constant(0, I1)), overloads=(a.type,))

    def copysign(self, magnitude: Operand, sign: Operand) -> Operand:
        """`magnitude` with the sign bit of `sign`."""
        return self.intrinsic("copysign", magnitude.type, (magnitude, sign))

    def sqrt(self, a: Operand) -> Operand:
        """Correctly rounded square root."""
        return self.intrinsic("sqrt", a.type, (a,))

    # Comparisons and choices ----------------------------------------------------------------

    def compare(self, direction: str, a: Index, b: Number, signed: bool = True) -> Operand:
        """`a <direction> b` as i1 lanes; EQ NE LT LE GT GE as IEEE has them (NaN: only NE)."""
        a, b = self._match(a, b)
        kind = a.type
        if kind.is_float:
            text = f"fcmp {_FLOAT[direction]}"
        else:
            text = f"icmp {(_SIGNED if signed else _UNSIGNED)[direction]}"
        return self.instruction(
            kind.with_element("i1"), f"{text} {kind.text} {a.text}, {b.text}", "is"
        )

    def is_nan(self, a: Operand) -> Operand:
        """Whether the float is NaN."""
        return self.instruction(
            a.type.with_element("i1"), f"fcmp uno {a.type.text} {a.text}, {a.text}", "nan"
        )

    def select(self, condition: Operand, a: Number, b: Number) -> Operand:
        """`a` where the condition (i1, or a vector of them) holds, else `b`."""
        if isinstance(a, Operand):
            a, b = self._match(a, b)
        else:
            b, a = self._match(b, a)
        if condition.constant is not None:
            return a if condition.constant else b
        kind = a.type.text
        return self.instruction(
            a.type,
            f"select {condition.type.text} {condition.text}, {kind} {a.text}, {kind} {b.text}",
        )

    # Helpers --------------------------------------------------------------------------------

    def _match(self, a: Number, b: Number) -> tuple[Operand, Operand]:
        """Both as operands of one type: numbers become constants, scalars beside vectors splat."""
        if not isinstance(a, Operand):
            a = constant(a, b.type if isinstance(b, Operand) else I64)
        if not isinstance(b, Operand):
            b = constant(b, a.type)
        if a.lanes != b.lanes:
            lanes = max(a.lanes, b.lanes)
            a = a if a.lanes else self.splat(a, lanes)
            b = b if b.lanes else self.splat(b, lanes)
        if a.type is not b.type:
            raise TypeError(f"operands of one type expected; got {a} and {b}")
        return a, b

    def _pair(self, opcode: str, a: Number, b: Number, name: str = "v") -> Operand:
        a, b = self._match(a, b)
        return self.instruction(a.type, f"{opcode} {a.type.text} {a.text}, {b.text}", name)

    def _sum(self, opcode: str, a: Number, b: Number, name: str) -> Operand:
        a, b = self._match(a, b)
        if a.type.is_float:
            return self._pair("f" + opcode, a, b, name)
        left, right = a.constant, b.constant
        if isinstance(left, int) and isinstance(right, int):
            return constant(_FOLDS[opcode](left, right), a.type)
        if right == _NEUTRAL[opcode]:
            return a
        if left == _NEUTRAL[opcode] and opcode != "sub":
            return b
        if opcode == "mul" and 0 in (left, right):
            return constant(0, a.type)
        return self._pair(opcode, a, b, name)

    def _divide(self, opcode: str, a: Index, b: Index) -> Operand:
        a, b = self._match(a, b)
        left, right = a.constant, b.constant
        if right == 1:
            return a if opcode.endswith("div") else constant(0, a.type)
        if isinstance(left, int) and isinstance(right, int) and left >= 0 and right > 0:
            return constant(left // right if opcode.endswith("div") else left % right, a.type)
        return self._pair(opcode, a, b)

    def _extreme(self, name: str, a: Index, b: Index) -> Operand:
        a, b = self._match(a, b)
        if isinstance(a.constant, int) and isinstance(b.constant, int) and name[0] == "s":
            return constant((min if name == "smin" else max)(a.constant, b.constant), a.type)
        return self.intrinsic(name, a.type, (a, b))

    def _float_extreme(self, direction: str, a: Operand, b: Number) -> Operand:
        a, b = self._match(a, b)
        if a.constant is not None:
            a, b = b, a
        # `b wins ? b : a` hands NaN in `a` through, and is the one instruction maxps/minps.
        best = self.select(self.compare(direction, b, a), b, a)
        if b.constant is not None and b.constant == b.constant:
            return best
        return self.select(self.is_nan(b), b, best)
