"""What makes two kernels the same: the structure of their bodies, without names and locations."""

from __future__ import annotations

from collections.abc import Hashable

from kgraph.ir import Dim, Function, Op, Value, symbols_of
from kgraph.ir.ops.shape import BroadcastInDim, DimSize, Iota


def op_key(op: Op) -> Hashable:
    """Of an op: its class, attributes, regions, the types of its operands, and which are one."""
    numbers: dict[Value, int] = {}
    operands = tuple((numbers.setdefault(v, len(numbers)), v.type) for v in op.operands)
    return (_head(op, shapes=True), operands)


def body_key(fn: Function, shapes: bool = True) -> Hashable:
    """Of a function. Without `shapes`, only dtypes and whether a value is a scalar count.

    That is right for bodies in which every value is a scalar or has the one shape there is.
    """
    numbers: dict[Value, int] = {}
    for p in fn.params:
        numbers[p] = len(numbers)
    ops = []
    for op in fn.ops:
        ops.append((_head(op, shapes), tuple(numbers[v] for v in op.operands)))
        for v in op.results:
            numbers[v] = len(numbers)
    types = tuple(p.type if shapes else (p.dtype, p.type.rank == 0) for p in fn.params)
    return (types, tuple(ops), tuple(numbers[v] for v in fn.results))


def _head(op: Op, shapes: bool) -> Hashable:
    """The class of an op and its attributes; without those that only name the one shape."""
    if not shapes and isinstance(op, BroadcastInDim | Iota):
        ranks = tuple(v.type.rank == 0 for v in op.operands)
        counts = isinstance(op, Iota) and op.shape[op.dim] != 1
        return (op.name, op.results[0].dtype, ranks, counts)
    attributes = tuple((f, str(op.__dict__[f])) for f in op.attribute_fields)
    regions = tuple(body_key(r) for r in op.regions)
    return (op.name, attributes, regions)


def op_symbols(op: Op) -> tuple[str, ...]:
    """The symbols in an op's types and attributes, sorted."""
    found: set[str] = set()
    for v in (*op.operands, *op.results):
        found.update(v.type.symbols)
    for f in op.attribute_fields:
        found.update(_symbols_in(op.__dict__[f]))
    for region in op.regions:
        found.update(body_symbols(region))
    return tuple(sorted(found))


def body_symbols(fn: Function) -> tuple[str, ...]:
    """The symbols in a body's types and attributes, sorted."""
    found = {s for p in fn.params for s in p.type.symbols}
    for op in fn.ops:
        found.update(op_symbols(op))
    return tuple(sorted(found))


def named_symbols(fn: Function) -> tuple[str, ...]:
    """The symbols that a body names beside its shapes: those of its `dim_size`s, sorted."""
    found = {s for op in fn.ops if isinstance(op, DimSize) for s in symbols_of(op.size)}
    return tuple(sorted(found))


def _symbols_in(attribute: object) -> set[str]:
    if isinstance(attribute, tuple):
        return {s for item in attribute for s in _symbols_in(item)}
    return set(symbols_of(attribute)) if isinstance(attribute, Dim) else set()
