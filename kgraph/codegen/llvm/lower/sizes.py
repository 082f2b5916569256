"""Sizes as i64 values: numbers are constants, others are computed when the program runs."""

from __future__ import annotations

from collections.abc import Mapping

from kgraph.codegen.llvm.emit import I64, Function, Operand, constant
from kgraph.ir import Dim, Size, is_nonnegative


def emit_size(f: Function, size: Size, symbols: Mapping[str, Operand]) -> Operand:
    """The i64 of a size; equal parts are computed once per scope."""
    if not isinstance(size, Dim):
        return constant(size, I64)
    total = constant(0, I64)
    for monomial, coefficient in size.terms:
        part = constant(coefficient, I64)
        for atom, power in monomial:
            if isinstance(atom, str):
                value = symbols[atom]
            else:
                value = _call(f, atom.kind, atom.a, atom.b, symbols)
            for _ in range(power):
                part = f.mul(value, part)
        total = f.add(total, part)
    return total


def _call(f: Function, kind: str, a: Size, b: Size, symbols: Mapping[str, Operand]) -> Operand:
    x, y = emit_size(f, a, symbols), emit_size(f, b, symbols)
    if kind == "min":
        return f.smin(x, y)
    if kind == "max":
        return f.smax(x, y)
    if not isinstance(b, int):
        y = f.select(f.compare("EQ", y, 0), 1, y)  # the machine traps on a division by zero
    quotient, rest = f.sdiv(x, y), f.srem(x, y)
    if not (is_nonnegative(a) and is_nonnegative(b)):
        # The machine rounds towards zero, sizes round down.
        opposite = f.compare("LT", f.xor(x, y), 0)
        wrong = f.and_(opposite, f.compare("NE", rest, 0))
        quotient = f.sub(quotient, f.resize(wrong, "i64", False))
        rest = f.add(rest, f.select(wrong, y, 0))
    return quotient if kind == "floordiv" else rest
