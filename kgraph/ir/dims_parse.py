"""Sizes out of text: what `str` of a size prints, and the expressions of shapes in a `.kg` file."""

from __future__ import annotations

import ast
from collections.abc import Callable

from kgraph.ir.dims import Size, floordiv, maximum, minimum, mod, symbol


def parse_size(text: str) -> Size:
    """The size that `str` printed as `text`."""
    return size_of_ast(ast.parse(text, mode="eval").body)


def size_of_ast(node: ast.expr) -> Size:
    """The size that a Python expression of ints, names, `+ - * // %`, `min` and `max` spells."""
    match node:
        case ast.Constant(value=int(value)):
            return value
        case ast.Name(id=name):
            return symbol(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -1 * size_of_ast(operand)
        case ast.BinOp(left=left, op=op, right=right):
            combine = _OPERATORS.get(type(op))
            if combine is not None:
                return combine(size_of_ast(left), size_of_ast(right))
        case ast.Call(func=ast.Name(id="min" | "max" as kind), args=[first, second]):
            choose = minimum if kind == "min" else maximum
            return choose(size_of_ast(first), size_of_ast(second))
    raise ValueError(f"expected a size such as 2*batch+1, got {ast.unparse(node)}")


_OPERATORS: dict[type[ast.operator], Callable[[Size, Size], Size]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: floordiv,
    ast.Mod: mod,
}
