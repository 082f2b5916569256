"""Types and values of the LLVM text that the emitters write, and constants printed exactly."""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from typing import final

import numpy as np


@final
class Type:
    """An LLVM first-class type: an element name and, for vectors, the number of lanes.

    Interned: equal types are one object. `lanes` is 0 for a scalar, so `<1 x float>` is distinct.
    """

    __slots__ = ("bits", "element", "is_float", "lanes", "text")

    def __init__(self, element: str, lanes: int) -> None:
        self.element = element
        self.lanes = lanes
        self.text = f"<{lanes} x {element}>" if lanes else element
        self.is_float = element in ("half", "bfloat", "float", "double")
        self.bits = _BITS.get(element) or (int(element[1:]) if element[0] == "i" else 0)

    def __repr__(self) -> str:
        return self.text

    @property
    def scalar(self) -> Type:
        """The type of one lane."""
        return type_of(self.element)

    def with_lanes(self, lanes: int) -> Type:
        """The vector type of that many lanes of the same element; the scalar for 0."""
        return type_of(self.element, lanes)

    def with_element(self, element: str) -> Type:
        """The same number of lanes of another element."""
        return type_of(element, self.lanes)

    @property
    def mangled(self) -> str:
        """The suffix of this type in an intrinsic's name, such as `v8f32`."""
        element = {"half": "f16", "bfloat": "bf16", "float": "f32", "double": "f64", "ptr": "p0"}
        name = element.get(self.element, self.element)
        return f"v{self.lanes}{name}" if self.lanes else name


_BITS = {"half": 16, "bfloat": 16, "float": 32, "double": 64, "ptr": 64}


_TYPES: dict[tuple[str, int], Type] = {}


def type_of(element: str, lanes: int = 0) -> Type:
    """The one `Type` object of an LLVM element name (`i32`, `float`, `ptr`, ...) and lanes."""
    key = (element, lanes)
    found = _TYPES.get(key)
    if found is None:
        found = _TYPES[key] = Type(element, lanes)
    return found


VOID = type_of("void")
I1, I8, I16, I32, I64 = (type_of(f"i{bits}") for bits in (1, 8, 16, 32, 64))
FLOAT, DOUBLE, PTR = type_of("float"), type_of("double"), type_of("ptr")

# The element that a dtype has in a register. 16-bit floats travel as their bits: all arithmetic
# on them is done after `convert(x, dtype, "float32")`, so LLVM never sees a type it would expand
# into library calls.
_REGISTER = {
    "bool": "i1", "int8": "i8", "int16": "i16", "int32": "i32", "int64": "i64", "uint8": "i8",
    "uint16": "i16", "uint32": "i32", "uint64": "i64", "float16": "i16", "bfloat16": "i16",
    "float32": "float", "float64": "double",
}  # fmt: skip


def register_type(dtype: str, lanes: int = 0) -> Type:
    """The type of a value of this kgraph dtype in a register (bool: i1, 16-bit floats: i16)."""
    return type_of(_REGISTER[dtype], lanes)


def memory_type(dtype: str, lanes: int = 0) -> Type:
    """The type of a value of this kgraph dtype in memory (bool: i8, else as in a register)."""
    return type_of("i8" if dtype == "bool" else _REGISTER[dtype], lanes)


def item_bytes(dtype: str) -> int:
    """Bytes of one element of this kgraph dtype in memory."""
    return memory_type(dtype).bits // 8


def is_signed(dtype: str) -> bool:
    """Whether the dtype is a signed integer."""
    return dtype.startswith("int")


def is_floating(dtype: str) -> bool:
    """Whether the dtype is a float of any width."""
    return dtype in ("float16", "bfloat16", "float32", "float64")


@final
class Operand:
    """An SSA value or a constant: its type and its text (`%x`, `7`, `splat (float 0x...)`).

    `constant` is the number for scalar and splat constants, else None. Compared by identity.
    """

    __slots__ = ("constant", "text", "type")

    def __init__(self, type: Type, text: str, constant: float | None = None) -> None:
        self.type = type
        self.text = text
        self.constant: int | float | None = constant

    def __repr__(self) -> str:
        return f"{self.type.text} {self.text}"

    @property
    def lanes(self) -> int:
        """Lanes of the vector; 0 for a scalar."""
        return self.type.lanes


Index = Operand | int
Number = Operand | float


@functools.lru_cache(maxsize=4096)
def _constant(type: Type, value: float, key: bytes) -> Operand:
    text = _literal(type.element, value)
    if type.lanes:
        text = "zeroinitializer" if not any(key) else f"splat ({type.element} {text})"
    return Operand(type, text, value)


def constant(value: float | bool, type: Type) -> Operand:
    """A scalar constant, or its splat when `type` is a vector; floats are rounded to the type.

    Integers wrap to the width of the type and are held in their signed form.
    """
    if type.is_float:
        value = float(np.float32(value)) if type.element == "float" else float(value)
        return _constant(type, value, struct.pack("<d", value))
    value = int(value) & ((1 << type.bits) - 1)
    if type.bits > 1 and value >> (type.bits - 1):
        value -= 1 << type.bits
    return _constant(type, value, value.to_bytes(9, "little", signed=True))


def vector_constant(values: Sequence[int | float], element: Type) -> Operand:
    """A constant vector with a value for each lane; `element` is the scalar type."""
    parts = ", ".join(f"{element.text} {_literal(element.element, value)}" for value in values)
    return Operand(element.with_lanes(len(values)), f"<{parts}>")


def poison(type: Type) -> Operand:
    """A value that must not be looked at; the start of a chain of insertions."""
    return Operand(type, "poison")


def _literal(element: str, value: float) -> str:
    if element in ("float", "double"):
        if element == "float":
            value = float(np.float32(value))
        # LLVM writes a float32 as the bits of the double of the same value.
        return "0x" + struct.pack(">d", value).hex().upper()
    if element == "i1":
        return "true" if value else "false"
    return str(int(value))
