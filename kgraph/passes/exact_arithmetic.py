"""Exact rules of arithmetic, comparisons and choices."""

from __future__ import annotations

import numpy as np

from kgraph.ir import DTYPES, Builder, Value, is_float, product
from kgraph.ir.ops.elementwise import (
    Abs,
    Add,
    And,
    Compare,
    Convert,
    Divide,
    Maximum,
    Minimum,
    Multiply,
    Negate,
    Not,
    Or,
    Select,
    Subtract,
)
from kgraph.ir.ops.pointwise import Elementwise
from kgraph.ir.ops.shape import BroadcastInDim
from kgraph.passes.exact import exact, is_number, splat_of


@exact
def add_zero(op: Add, b: Builder) -> Value | None:
    """x + -0.0  ->  x  (x + 0.0 is no identity: it turns -0.0 into 0.0); integers: x + 0  ->  x"""
    zero = -0.0 if is_float(op.x.dtype) else 0.0
    if is_number(op.y, zero):
        return op.x
    return op.y if is_number(op.x, zero) else None


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
    return op.x if is_number(op.y, 0.0) else None


@exact
def multiply_by_one(op: Multiply, b: Builder) -> Value | None:
    """x * 1  ->  x"""
    if is_number(op.y, 1.0):
        return op.x
    return op.y if is_number(op.x, 1.0) else None


@exact
def multiply_by_zero(op: Multiply, b: Builder) -> Value | None:
    """integers: x * 0  ->  0  (a float x may be NaN, inf or negative)"""
    if is_float(op.x.dtype):
        return None
    if is_number(op.y, 0.0):
        return op.y
    return op.x if is_number(op.x, 0.0) else None


@exact
def divide_by_one(op: Divide, b: Builder) -> Value | None:
    """x / 1  ->  x"""
    return op.x if is_number(op.y, 1.0) else None


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
def not_of_known(op: Not, b: Builder) -> Value | None:
    """not(true)  ->  false"""
    number = splat_of(op.x)
    return None if number is None else b.splat(np.invert(number), op.x.type)


@exact
def and_with_known(op: And, b: Builder) -> Value | None:
    """and(x, all bits)  ->  x; and(x, 0)  ->  0"""
    for x, y in ((op.x, op.y), (op.y, op.x)):
        number = splat_of(y)
        if number is not None and number == np.invert(np.zeros_like(number)):
            return x
        if number is not None and number == 0:
            return y
    return None


@exact
def or_with_known(op: Or, b: Builder) -> Value | None:
    """or(x, 0)  ->  x; or(x, all bits)  ->  all bits"""
    for x, y in ((op.x, op.y), (op.y, op.x)):
        number = splat_of(y)
        if number is not None and number == 0:
            return x
        if number is not None and number == np.invert(np.zeros_like(number)):
            return y
    return None


@exact
def elementwise_of_broadcasts(op: Elementwise, b: Builder) -> Value | None:
    """f(broadcast(x), broadcast(y), number)  ->  broadcast(f(x, y, number))"""
    spread = [v.op for v in op.operands if isinstance(v.op, BroadcastInDim)]
    if len(op.results) != 1 or len(spread) != len(op.operands):
        return None
    largest = max(spread, key=lambda s: s.x.type.rank)
    small, dims = largest.x.shape, largest.dims
    if any(s.x.type.rank and (s.x.shape, s.dims) != (small, dims) for s in spread):
        return None
    if product(small) == product(op.results[0].shape):
        return None
    operands = tuple([s.x if s.x.shape == small else b.broadcast(s.x, small) for s in spread])
    (made,) = b.append(op.with_operands(operands))
    return b.broadcast(made, op.results[0].shape, dims)


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
