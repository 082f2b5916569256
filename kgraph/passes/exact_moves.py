"""Exact rules of ops that make or move elements."""

from __future__ import annotations

from kgraph.ir import Builder, Dim, Value, product
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.index import Concatenate, Pad, Reverse, Slice
from kgraph.ir.ops.pointwise import Elementwise
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import (
    AssumeShape,
    BroadcastInDim,
    DimSize,
    Iota,
    Reshape,
    Transpose,
)
from kgraph.passes.exact import exact


@exact
def transpose_of_transpose(op: Transpose, b: Builder) -> Value | None:
    """transpose(transpose(x, p), q)  ->  transpose(x, p[q])"""
    match op.x.op:
        case Transpose(x=x, perm=p):
            found: Value = b.transpose(x, tuple(p[q] for q in op.perm))
            return found
    return None


@exact
def transpose_to_nothing(op: Transpose, b: Builder) -> Value | None:
    """transpose(x, (0, 1, ...))  ->  x"""
    return op.x if op.perm == tuple(range(len(op.perm))) else None


@exact
def transpose_of_broadcast(op: Transpose, b: Builder) -> Value | None:
    """transpose(broadcast(x))  ->  broadcast(transpose(x)), or of x where its dims still rise"""
    match op.x.op:
        case BroadcastInDim(x=x, dims=dims):
            places = [op.perm.index(d) for d in dims]
            order = tuple(sorted(range(len(dims)), key=places.__getitem__))
            moved = b.transpose(x, order)
            found: Value = b.broadcast_in_dim(moved, op.result.shape, tuple(sorted(places)))
            return found
    return None


@exact
def transpose_of_ones_to_reshape(op: Transpose, b: Builder) -> Value | None:
    """transpose(x) that moves dims of size 1 only  ->  reshape(x)"""
    moved = [p for p in op.perm if op.x.shape[p] != 1]
    if moved != sorted(moved):
        return None
    found: Value = b.reshape(op.x, op.result.shape)
    return found


@exact
def dot_of_transpose(op: DotGeneral, b: Builder) -> Value | None:
    """dot_general(transpose(x), y)  ->  dot_general(x, y) with other dims, free ones in order"""
    for side in ("lhs", "rhs"):
        free, moved = getattr(op, f"{side}_free"), getattr(op, side).op
        if isinstance(moved, Transpose) and _rises(moved.perm, free):
            dims = {
                f: _through(moved.perm, getattr(op, f))
                for f in (f"{side}_batch", f"{side}_contract")
            }
            return b.append(op.with_fields(**{side: moved.x}, **dims))[0]
    return None


def _through(perm: tuple[int, ...], dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(perm[d] for d in dims)


def _rises(perm: tuple[int, ...], dims: tuple[int, ...]) -> bool:
    return list(_through(perm, dims)) == sorted(_through(perm, dims))


@exact
def reshape_of_reshape(op: Reshape, b: Builder) -> Value | None:
    """reshape(reshape(x))  ->  reshape(x)"""
    match op.x.op:
        case Reshape(x=x):
            found: Value = b.reshape(x, op.shape)
            return found
    return None


@exact
def reshape_to_nothing(op: Reshape, b: Builder) -> Value | None:
    """reshape(x, shape of x)  ->  x"""
    return op.x if op.shape == op.x.shape else None


@exact
def reshape_of_splat(op: Reshape, b: Builder) -> Value | None:
    """reshape(broadcast(scalar))  ->  broadcast(scalar)"""
    match op.x.op:
        case BroadcastInDim(x=x) if x.type.rank == 0:
            return b.broadcast(x, op.shape)
    return None


@exact
def broadcast_of_broadcast(op: BroadcastInDim, b: Builder) -> Value | None:
    """broadcast(broadcast(x, d), e)  ->  broadcast(x, e[d])"""
    match op.x.op:
        case BroadcastInDim(x=x, dims=dims):
            found: Value = b.broadcast_in_dim(x, op.shape, tuple(op.dims[d] for d in dims))
            return found
    return None


@exact
def broadcast_to_nothing(op: BroadcastInDim, b: Builder) -> Value | None:
    """broadcast(x, shape of x)  ->  x"""
    return op.x if op.shape == op.x.shape and op.dims == tuple(range(len(op.shape))) else None


@exact
def broadcast_of_ones(op: BroadcastInDim, b: Builder) -> Value | None:
    """broadcast(reshape(x)) where the reshape only adds dims of size 1  ->  broadcast(x)"""
    match op.x.op:
        case Reshape(x=x) if (
            _without_ones(op.x.shape) == _without_ones(x.shape) and 1 not in x.shape
        ):
            kept = tuple(d for d, size in zip(op.dims, op.x.shape, strict=True) if size != 1)
            found: Value = b.broadcast_in_dim(x, op.shape, kept)
            return found
    return None


@exact
def elementwise_of_ones(op: Elementwise, b: Builder) -> tuple[Value, ...] | None:
    """f(reshape(x), ...) where the reshapes only add dims of size 1  ->  reshape(f(x, ...))"""
    shapes = {v.op.x.shape for v in op.operands if isinstance(v.op, Reshape)}
    if len(shapes) != 1:
        return None
    (shape,) = shapes
    if 1 in shape or _without_ones(op.results[0].shape) != list(shape):
        return None
    operands = []
    for v in op.operands:
        match v.op:
            case Reshape(x=x):
                operands.append(x)
            case BroadcastInDim(x=x) if x.type.rank == 0:
                operands.append(b.broadcast(x, shape))
            case _ if v.type.rank == 0:
                operands.append(v)
            case _:
                return None
    made = b.append(op.with_operands(tuple(operands)))
    return tuple([b.reshape(v, op.results[0].shape) for v in made])


def _without_ones(shape: tuple[object, ...]) -> list[object]:
    return [d for d in shape if d != 1]


@exact
def slice_of_all(op: Slice, b: Builder) -> Value | None:
    """slice(x, 0, shape of x, 1)  ->  x"""
    return op.x if op.result.shape == op.x.shape and set(op.stride) <= {1} else None


@exact
def pad_by_nothing(op: Pad, b: Builder) -> Value | None:
    """pad(x, 0, 0, 0)  ->  x"""
    return op.x if all(n == 0 for n in (*op.low, *op.high, *op.interior)) else None


@exact
def reverse_of_nothing(op: Reverse, b: Builder) -> Value | None:
    """reverse(x) along no dims, or along dims of size 1  ->  x"""
    return op.x if all(op.x.shape[d] == 1 for d in op.dims) else None


@exact
def concatenate_of_one(op: Concatenate, b: Builder) -> Value | None:
    """concatenate(x)  ->  x, and parts of size 0 vanish"""
    kept = tuple(x for x in op.xs if x.shape[op.dim] != 0)
    if len(kept) == len(op.xs) and len(kept) > 1:
        return None
    if len(kept) == 1:
        return kept[0]
    if not kept:
        return op.xs[0]
    found: Value = b.concatenate(kept, op.dim)
    return found


@exact
def iota_of_one(op: Iota, b: Builder) -> Value | None:
    """iota along a dim of size 1  ->  0"""
    return b.splat(0, op.result.type) if op.shape[op.dim] == 1 else None


@exact
def reduce_of_nothing(op: Reduce, b: Builder) -> Value | None:
    """reduce(x) over no dims  ->  x, and over dims of size 1  ->  reshape(x)"""
    if any(op.x.shape[d] != 1 for d in op.dims):
        return None
    if not op.dims:
        return op.x
    found: Value = b.reshape(op.x, op.result.shape)
    return found


@exact
def known_size(op: DimSize, b: Builder) -> Value | None:
    """dim_size(3)  ->  3"""
    return None if isinstance(op.size, Dim) else b.constant(op.reference(), op.dtype)


@exact
def assumed_already(op: AssumeShape, b: Builder) -> Value | None:
    """assume_shape(x, shape of x)  ->  x"""
    return op.x if op.shape == op.x.shape else None


@exact
def moves_of_no_elements(op: Transpose | Reverse | Slice, b: Builder) -> Value | None:
    """A move that gives no elements  ->  a broadcast"""
    return b.splat(0, op.result.type) if product(op.result.shape) == 0 else None
