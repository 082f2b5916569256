"""Local rules that are exact: the same bits for every input, NaN, inf and signed zeros included."""

from __future__ import annotations

from typing import ClassVar, cast

import numpy as np

from kgraph.ir import DTYPES, Builder, Dim, Function, Value, is_float, product
from kgraph.ir.ops.elementwise import (
    Add,
    And,
    Compare,
    Convert,
    Divide,
    Maximum,
    Minimum,
    Multiply,
    Or,
    Select,
    Subtract,
)
from kgraph.ir.ops.index import Concatenate, Pad, Reverse, Slice
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import (
    AssumeShape,
    BroadcastInDim,
    Constant,
    DimSize,
    Iota,
    Reshape,
    Transpose,
)
from kgraph.ir.ops.unary import Abs, Negate, Not
from kgraph.passes.base import Pass
from kgraph.passes.rewrite import RuleSet, rewrite

exact = RuleSet("exact")


class Simplify(Pass):
    """Fewer ops, same values. After it, no rule of `exact` applies.

    `limit` bounds the rewrites; 0 is a bound that grows with the graph. Beyond it an error names
    the last rules.
    """

    name: ClassVar[str] = "simplify"
    limit: int = 0

    def run(self, fn: Function) -> Function:
        """The simplified function."""
        return rewrite(fn, exact, self.limit)


def splat_of(v: Value) -> np.generic | None:
    """The number that every element of `v` is, if it is a broadcast constant."""
    while isinstance(v.op, BroadcastInDim | Reshape):
        v = v.op.x
    if isinstance(v.op, Constant) and v.op.value.shape in ((), (1,)):
        return cast("np.generic", v.op.value.array.reshape(())[()])
    return None


def _is(v: Value, number: float) -> bool:
    """Is `v` that number everywhere, with its sign?"""
    found = splat_of(v)
    return (
        found is not None
        and bool(found == number)
        and bool(np.signbit(float(found)) == np.signbit(number))
    )


# ---- moves ----


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
def transpose_of_ones_to_reshape(op: Transpose, b: Builder) -> Value | None:
    """transpose(x) that moves dims of size 1 only  ->  reshape(x)"""
    moved = [p for p in op.perm if op.x.shape[p] != 1]
    if moved != sorted(moved):
        return None
    found: Value = b.reshape(op.x, op.result.shape)
    return found


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


# ---- arithmetic ----


@exact
def add_zero(op: Add, b: Builder) -> Value | None:
    """x + -0.0  ->  x  (x + 0.0 is no identity: it turns -0.0 into 0.0); integers: x + 0  ->  x"""
    zero = -0.0 if is_float(op.x.dtype) else 0.0
    if _is(op.y, zero):
        return op.x
    return op.y if _is(op.x, zero) else None


@exact
def add_of_negate(op: Add, b: Builder) -> Value | None:
    """x + -y  ->  x - y"""
    for x, y in ((op.x, op.y), (op.y, op.x)):
        if isinstance(y.op, Negate):
            found: Value = b.subtract(x, y.op.x)
            return found
    return None


@exact
def subtract_of_negate(op: Subtract, b: Builder) -> Value | None:
    """x - -y  ->  x + y"""
    match op.y.op:
        case Negate(x=y):
            found: Value = b.add(op.x, y)
            return found
    return None


@exact
def subtract_zero(op: Subtract, b: Builder) -> Value | None:
    """x - 0  ->  x"""
    return op.x if _is(op.y, 0.0) else None


@exact
def multiply_by_one(op: Multiply, b: Builder) -> Value | None:
    """x * 1  ->  x"""
    if _is(op.y, 1.0):
        return op.x
    return op.y if _is(op.x, 1.0) else None


@exact
def multiply_by_zero(op: Multiply, b: Builder) -> Value | None:
    """integers: x * 0  ->  0  (a float x may be NaN, inf or negative)"""
    if is_float(op.x.dtype):
        return None
    if _is(op.y, 0.0):
        return op.y
    return op.x if _is(op.x, 0.0) else None


@exact
def divide_by_one(op: Divide, b: Builder) -> Value | None:
    """x / 1  ->  x"""
    return op.x if _is(op.y, 1.0) else None


@exact
def divide_by_power_of_two(op: Divide, b: Builder) -> Value | None:
    """x / 2**k  ->  x * 2**-k, where the reciprocal is exact and normal"""
    number = splat_of(op.y)
    if number is None or op.x.dtype not in ("float32", "float64"):
        return None
    mantissa, exponent = np.frexp(float(number))
    if abs(mantissa) != 0.5 or not -100 < exponent < 100:
        return None
    found: Value = b.multiply(op.x, b.splat(1.0 / float(number), op.x.type))
    return found


@exact
def negate_twice(op: Negate, b: Builder) -> Value | None:
    """-(-x)  ->  x"""
    match op.x.op:
        case Negate(x=x):
            return x
    return None


@exact
def not_twice(op: Not, b: Builder) -> Value | None:
    """not(not(x))  ->  x"""
    match op.x.op:
        case Not(x=x):
            return x
    return None


@exact
def abs_of_negate(op: Abs, b: Builder) -> Value | None:
    """abs(-x)  ->  abs(x)"""
    match op.x.op:
        case Negate(x=x):
            found: Value = b.abs(x)
            return found
    return None


@exact
def same_twice(op: And | Or | Maximum | Minimum, b: Builder) -> Value | None:
    """and(x, x), or(x, x), maximum(x, x), minimum(x, x)  ->  x"""
    return op.x if op.x is op.y else None


@exact
def convert_to_itself(op: Convert, b: Builder) -> Value | None:
    """convert(x, dtype of x)  ->  x"""
    return op.x if op.dtype == op.x.dtype else None


# what every value of a dtype can be converted to and back from
_HELD_BY = {
    "float16": ("float32", "float64"),
    "bfloat16": ("float32", "float64"),
    "float32": ("float64",),
    "int8": ("int16", "int32", "int64"),
    "int16": ("int32", "int64"),
    "int32": ("int64",),
    "uint8": ("int16", "int32", "int64", "uint16", "uint32", "uint64"),
    "uint16": ("int32", "int64", "uint32", "uint64"),
    "uint32": ("int64", "uint64"),
    "bool": tuple(d for d in DTYPES if d != "bool"),
}


@exact
def convert_and_back(op: Convert, b: Builder) -> Value | None:
    """convert(convert(x, wider), dtype of x)  ->  x"""
    match op.x.op:
        case Convert(x=x) if op.dtype == x.dtype and op.x.dtype in _HELD_BY.get(x.dtype, ()):
            return x
    return None


@exact
def select_known(op: Select, b: Builder) -> Value | None:
    """select(p, x, x), select(true, x, y)  ->  x; select(not(p), x, y)  ->  select(p, y, x)"""
    if op.on_true is op.on_false:
        return op.on_true
    number = splat_of(op.pred)
    if number is not None:
        return op.on_true if bool(number) else op.on_false
    match op.pred.op:
        case Not(x=p):
            found: Value = b.select(p, op.on_false, op.on_true)
            return found
    return None


@exact
def compare_with_itself(op: Compare, b: Builder) -> Value | None:
    """integers: x == x  ->  true, x < x  ->  false  (a float may be NaN)"""
    if op.x is not op.y or is_float(op.x.dtype):
        return None
    return b.splat(op.direction in ("EQ", "LE", "GE"), op.result.type)


@exact
def moves_of_no_elements(op: Transpose | Reverse | Slice, b: Builder) -> Value | None:
    """A move that gives no elements  ->  a broadcast"""
    return b.splat(0, op.result.type) if product(op.result.shape) == 0 else None
