"""Conversions between all dtypes, with one defined result where C and LLVM have none."""

from __future__ import annotations

from kgraph.codegen.llvm.arithmetic import Arithmetic
from kgraph.codegen.llvm.values import (
    DOUBLE,
    FLOAT,
    Operand,
    Type,
    constant,
    is_floating,
    is_signed,
    register_type,
    type_of,
)

_HALF = type_of("half")


class Convert(Arithmetic):
    """`convert` and the pieces it is made of."""

    def convert(self, value: Operand, source: str, result: str) -> Operand:
        """The value of dtype `source` as dtype `result`, any lanes.

        Float to integer truncates and saturates, NaN gives 0; integers wrap; to bool is `!= 0`;
        to a narrower float rounds to nearest even (float64 to bfloat16 by way of float32, as
        ml_dtypes does).
        """
        if source == result:
            return value
        if source in ("float16", "bfloat16"):
            return self.convert(self._widen(value, source), "float32", result)
        if result in ("float16", "bfloat16"):
            return self._narrow(value, source, result)
        if result == "bool":
            return self.compare("NE", value, 0)
        return self._change(value, source, result)

    def _narrow(self, value: Operand, source: str, result: str) -> Operand:
        if result == "float16" and source == "float64":
            return self._to_float16(self._round_to_odd(value))
        single = self.convert(value, source, "float32")
        return self._to_float16(single) if result == "float16" else self._to_bfloat16(single)

    def _change(self, value: Operand, source: str, result: str) -> Operand:
        kind = register_type(result, value.lanes)
        if is_floating(source) and is_floating(result):
            return self.cast("fpext" if kind.bits > value.type.bits else "fptrunc", value, kind)
        if is_floating(source):
            return self._to_integer(value, kind, is_signed(result))
        if is_floating(result):
            return self.cast("sitofp" if is_signed(source) else "uitofp", value, kind)
        return self.resize(value, kind.element, is_signed(source))

    def _to_integer(self, value: Operand, kind: Type, signed: bool) -> Operand:
        """Brought into range first: LLVM's own saturating conversion goes lane by lane."""
        bits = kind.bits - signed
        most = (1 << bits) - 1
        lost = max(bits - {32: 24, 64: 53}[value.type.bits], 0)
        top = float(most >> lost << lost)  # the largest float that is no larger
        least = -float(1 << bits) if signed else 0.0
        number = self.select(self.is_nan(value), 0.0, value)
        above = self.compare("GT", number, top)
        number = self.select(above, top, number)
        number = self.select(self.compare("LT", number, least), least, number)
        found = self.cast("fptosi" if signed else "fptoui", number, kind)
        return self.select(above, most, found) if lost else found

    def resize(self, value: Operand, element: str, signed: bool) -> Operand:
        """An integer cut or extended to the element (`i8`, ...), by its sign or by zeros."""
        kind = value.type.with_element(element)
        if kind.bits == value.type.bits:
            return value
        if kind.bits < value.type.bits:
            return self.cast("trunc", value, kind)
        return self.cast("sext" if signed else "zext", value, kind)

    def bits(self, value: Operand, element: str) -> Operand:
        """The same bits as another element of that width, lanes kept."""
        kind = value.type.with_element(element)
        return value if kind is value.type else self.cast("bitcast", value, kind)

    def cast(self, opcode: str, value: Operand, kind: Type) -> Operand:
        """An LLVM cast instruction."""
        return self.instruction(kind, f"{opcode} {value.type.text} {value.text} to {kind.text}")

    def _widen(self, value: Operand, source: str) -> Operand:
        """float32 of the 16 bits of a bfloat16 or float16; exact."""
        if source == "bfloat16":
            return self.bits(self.shl(self.resize(value, "i32", False), 16), "float")
        if self.target.half_conversion:
            half = self.bits(value, "half")
            return self.cast("fpext", half, FLOAT.with_lanes(value.lanes))
        wide = self.resize(value, "i32", False)
        sign = self.shl(self.and_(wide, 0x8000), 16)
        # Scaling by a power of two brings the exponent, subnormal or not, to its place.
        magnitude = self.bits(self.shl(self.and_(wide, 0x7FFF), 13), "float")
        scaled = self.bits(self.mul(magnitude, 2.0**112), "i32")
        special = self.compare("GE", self.and_(wide, 0x7FFF), 0x7C00)
        scaled = self.or_(scaled, self.select(special, constant(0x7F800000, wide.type), 0))
        return self.bits(self.or_(scaled, sign), "float")

    def _to_bfloat16(self, value: Operand) -> Operand:
        """Adds half a unit, and the last kept bit for ties; NaN stays NaN by its quiet bit."""
        word = self.bits(value, "i32")
        odd = self.and_(self.lshr(word, 16), 1)
        rounded = self.lshr(self.add(word, self.add(odd, 0x7FFF)), 16)
        # The payload is dropped as ml_dtypes drops it: sign and 0x7fc0.
        quiet = self.or_(self.and_(self.lshr(word, 16), 0x8000), 0x7FC0)
        return self.resize(self.select(self.is_nan(value), quiet, rounded), "i16", False)

    def _to_float16(self, value: Operand) -> Operand:
        if self.target.half_conversion:
            half = self.cast("fptrunc", value, _HALF.with_lanes(value.lanes))
            return self.bits(half, "i16")
        word = self.bits(value, "i32")
        sign = self.and_(self.lshr(word, 16), 0x8000)
        magnitude = self.and_(word, 0x7FFFFFFF)
        # Normal results: rebias the exponent and round at bit 13, ties to even.
        odd = self.and_(self.lshr(magnitude, 13), 1)
        normal = self.lshr(self.add(self.add(magnitude, odd), 0xFFF - (112 << 23)), 13)
        infinity = constant(0x7C00, word.type)
        normal = self.select(self.compare("GE", normal, 0x7C00), infinity, normal)
        # Subnormal results: adding 0.5 leaves their rounded bits at the end of the sum.
        small = self.bits(self.add(self.bits(magnitude, "float"), 0.5), "i32")
        small = self.sub(small, 0x3F000000)
        result = self.select(self.compare("LT", magnitude, 113 << 23), small, normal)
        nan = self.or_(self.and_(self.lshr(magnitude, 13), 0x3FF), 0x7E00)
        result = self.select(self.is_nan(value), nan, result)
        return self.resize(self.or_(result, sign), "i16", False)

    def _round_to_odd(self, value: Operand) -> Operand:
        """float32 of a float64 such that rounding it again (to float16) rounds only once."""
        near = self.cast("fptrunc", value, FLOAT.with_lanes(value.lanes))
        back = self.cast("fpext", near, DOUBLE.with_lanes(value.lanes))
        word = self.bits(near, "i32")
        outside = self.compare("GT", self.abs_(back), self.abs_(value))
        inexact = self.compare("NE", back, value)
        inexact = self.and_(inexact, self.not_(self.is_nan(value)))
        towards_zero = self.sub(word, self.resize(outside, "i32", False))
        odd = self.select(inexact, self.or_(towards_zero, 1), word)
        return self.bits(odd, "float")
