"""Replacing symbols by sizes: the one way in which sizes become numbers."""

from __future__ import annotations

from kgraph.ir.dims import Dim, Sizes, bind_size
from kgraph.ir.graph import Function, Op, Value
from kgraph.ir.types import TensorType


def bind(fn: Function, sizes: Sizes) -> Function:
    """`fn` with symbols replaced by ints or other sizes, in types, attributes and regions."""
    env: dict[Value, Value] = {}
    for p in fn.params:
        env[p] = bind_op(p.op, (), sizes).result
    ops = []
    for op in fn.ops:
        new = bind_op(op, tuple([env[v] for v in op.operands]), sizes)
        env.update(zip(op.results, new.results, strict=True))
        ops.append(new)
    return Function(
        tuple(env[p] for p in fn.params), tuple(ops), tuple(env[v] for v in fn.results), fn.name
    )


def bind_op(op: Op, operands: tuple[Value, ...], sizes: Sizes) -> Op:
    """The op over other operands, its attributes and regions bound."""
    changes = op.unflatten(operands)
    for field in op.attribute_fields:
        changes[field] = bind_attribute(op.__dict__[field], sizes)
    for field, many in op.region_fields:
        region = op.__dict__[field]
        changes[field] = tuple(bind(r, sizes) for r in region) if many else bind(region, sizes)
    return op.with_fields(**changes)


def bind_attribute(value: object, sizes: Sizes) -> object:
    """An attribute with its sizes bound, in tuples and types as well."""
    if isinstance(value, Dim):
        return bind_size(value, sizes)
    if isinstance(value, tuple):
        return tuple([bind_attribute(v, sizes) for v in value])
    if isinstance(value, TensorType):
        return bind_type(value, sizes)
    return value


def bind_type(type_: TensorType, sizes: Sizes) -> TensorType:
    """The type with its sizes bound."""
    return TensorType(tuple([bind_size(d, sizes) for d in type_.shape]), type_.dtype)
