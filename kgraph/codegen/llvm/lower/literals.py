"""Constant arrays as global constants of the module."""

from __future__ import annotations

import hashlib

import numpy as np

from kgraph.codegen.llvm.emit import Module, Operand
from kgraph.ir import Literal


def scalar_literal(literal: Literal) -> float | int | None:
    """The number in the register type, where all elements are one; None for other arrays.

    16-bit floats are given as the integer of their bits, as registers hold them.
    """
    array = literal.array
    if array.size == 0:
        return 0
    item = array.dtype.itemsize
    if len(literal.data) > item and literal.data != literal.data[:item] * array.size:
        return None
    first = array.ravel()[:1]
    if literal.dtype in ("float16", "bfloat16"):
        return int(first.view(np.uint16)[0])
    number: float | int = first[0].item()
    return number


def literal_pointer(module: Module, literal: Literal) -> Operand:
    """The address of the array; equal arrays are one."""
    name = "c" + hashlib.sha256(literal.data).hexdigest()[:24]
    escaped = "".join(
        chr(b) if 32 <= b < 127 and b not in (34, 92) else f"\\{b:02X}" for b in literal.data
    )
    size = len(literal.data)
    text = f'internal unnamed_addr constant [{size} x i8] c"{escaped}", align 64'
    return module.global_variable(name, text)
