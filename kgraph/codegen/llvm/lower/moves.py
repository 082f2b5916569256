"""Ops of a fusion body that make elements or read them at another index."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kgraph.codegen.llvm.emit import (
    Function,
    Operand,
    constant,
    is_floating,
    register_type,
)
from kgraph.codegen.llvm.lower.element import MOVES, Evaluator, Step
from kgraph.codegen.llvm.lower.index import ALWAYS, ZERO, Axis, Guard, Index
from kgraph.codegen.llvm.lower.literals import literal_pointer, scalar_literal
from kgraph.ir import Op, is_nonnegative
from kgraph.ir.ops.index import Concatenate, Pad, Reverse, Slice
from kgraph.ir.ops.shape import (
    AssumeShape,
    BroadcastInDim,
    Constant,
    DimSize,
    Iota,
    Transpose,
)

AnyMove = TypeVar("AnyMove", bound="Callable[..., Step]")


def moves(cls: type[Op]) -> Callable[[AnyMove], AnyMove]:
    """Adds a function `move(evaluator, op, index, guard)` to the table."""

    def add(function: AnyMove) -> AnyMove:
        MOVES[cls] = function
        return function

    return add


def _only(operands: Any) -> tuple[Operand, ...]:
    return (operands[0],)


def _wide(f: Function, x: Operand, lanes: int) -> Operand:
    return x if x.lanes == lanes else f.splat(x, lanes)


def _made(value: Operand) -> Step:
    return Step((), lambda operands: (value,))


@moves(Constant)
def _constant(e: Evaluator, op: Constant, index: Index, guard: Guard) -> Step:
    number = scalar_literal(op.value)
    if number is not None:
        return _made(constant(number, register_type(op.value.dtype)))
    base = literal_pointer(e.f.module, op.value)
    return Step((), lambda operands: (e.load_from(base, op.result.type, index, guard),))


@moves(DimSize)
def _dim_size(e: Evaluator, op: DimSize, index: Index, guard: Guard) -> Step:
    return _made(e.f.convert(e.code.size(op.size), "int64", op.dtype))


@moves(Iota)
def _iota(e: Evaluator, op: Iota, index: Index, guard: Guard) -> Step:
    return _made(axis_numbers(e, index[op.dim], op.dtype))


def axis_numbers(e: Evaluator, axis: Axis, dtype: str) -> Operand:
    """The index of each lane along an axis, as a value of the dtype."""
    f = e.f
    if axis.step == 0 or e.lanes == 0:
        return f.convert(axis.base, "int64", dtype)
    if is_floating(dtype):
        return f.convert(axis.numbers(f, e.lanes), "int64", dtype)
    # Integers wrap, so that lanes as narrow as the dtype will do.
    kind = register_type(dtype, e.lanes)
    numbers = f.mul(f.lane_numbers(kind), axis.step)
    return f.add(numbers, f.convert(axis.base, "int64", dtype))


@moves(BroadcastInDim)
def _broadcast(e: Evaluator, op: BroadcastInDim, index: Index, guard: Guard) -> Step:
    axes = [ZERO if size == 1 else index[d] for size, d in zip(op.x.shape, op.dims, strict=True)]
    return Step([(op.x, tuple(axes), guard)], _only)


@moves(AssumeShape)
def _assume_shape(e: Evaluator, op: AssumeShape, index: Index, guard: Guard) -> Step:
    return Step([(op.x, index, guard)], _only)


@moves(Transpose)
def _transpose(e: Evaluator, op: Transpose, index: Index, guard: Guard) -> Step:
    axes = [ZERO] * len(index)
    for axis, p in zip(index, op.perm, strict=True):
        axes[p] = axis
    return Step([(op.x, tuple(axes), guard)], _only)


@moves(Slice)
def _slice(e: Evaluator, op: Slice, index: Index, guard: Guard) -> Step:
    axes = [
        axis.scaled(e.f, stride).shifted(e.f, e.code.size(start))
        for axis, start, stride in zip(index, op.start, op.stride, strict=True)
    ]
    return Step([(op.x, tuple(axes), guard)], _only)


@moves(Reverse)
def _reverse(e: Evaluator, op: Reverse, index: Index, guard: Guard) -> Step:
    axes = list(index)
    for d in op.dims:
        last = e.code.size(op.x.shape[d] - 1)
        axes[d] = Axis(e.f.sub(last, axes[d].base), -axes[d].step)
    return Step([(op.x, tuple(axes), guard)], _only)


@moves(Pad)
def _pad(e: Evaluator, op: Pad, index: Index, guard: Guard) -> Step:
    """x where the index lies on one of its elements, else the value."""
    f = e.f
    axes = list(index)
    inside: list[Operand] = []
    for d, (low, high, interior) in enumerate(zip(op.low, op.high, op.interior, strict=True)):
        axis = axes[d].shifted(f, e.code.size(-1 * low))
        if interior:
            assert axis.step == 0 or e.lanes == 0, "vectors do not run along a dim with holes"
            gap = interior + 1
            rest = f.srem(axis.base, gap)
            inside.append(f.compare("EQ", rest, 0))
            # The lower bound is checked before the division, which rounds towards zero.
            inside += _bounds(e, axis, low, None)
            axis = Axis(f.sdiv(axis.base, gap))
            inside.append(f.compare("LT", axis.base, e.code.size(op.x.shape[d])))
        else:
            size = None if is_nonnegative(-1 * high) else e.code.size(op.x.shape[d])
            inside += _bounds(e, axis, low, size)
        axes[d] = axis
    narrower = guard
    for condition in inside:
        narrower = narrower.and_lanes(f, condition)
    reads = [(op.x, tuple(axes), narrower), (op.value, (), ALWAYS)]

    def finish(operands: Any) -> tuple[Operand, ...]:
        result, value = operands
        for condition in inside:
            lanes = max(condition.lanes, result.lanes)
            result = f.select(condition, _wide(f, result, lanes), _wide(f, value, lanes))
        return (result,)

    return Step(reads, finish)


def _bounds(e: Evaluator, axis: Axis, low: Any, size: Operand | None) -> list[Operand]:
    """Whether an index is at least 0, unless no padding lies below, and below the size."""
    f = e.f
    numbers = axis.numbers(f, e.lanes)
    found = []
    if not is_nonnegative(-1 * low):
        found.append(f.compare("GE", numbers, 0))
    if size is not None:
        found.append(f.compare("LT", numbers, size))
    return found


@moves(Concatenate)
def _concatenate(e: Evaluator, op: Concatenate, index: Index, guard: Guard) -> Step:
    """Each operand where the index falls on it."""
    f, d = e.f, op.dim
    reads, conditions = [], []
    axis = index[d]
    for x in op.xs:
        numbers = axis.numbers(f, e.lanes)
        size = e.code.size(x.shape[d])
        inside = f.and_(f.compare("GE", numbers, 0), f.compare("LT", numbers, size))
        narrower = guard.and_lanes(f, inside)
        reads.append((x, (*index[:d], axis, *index[d + 1 :]), narrower))
        conditions.append(inside)
        axis = axis.shifted(f, f.sub(0, size))

    def finish(operands: Any) -> tuple[Operand, ...]:
        result = operands[0]
        for condition, x in zip(conditions[1:], operands[1:], strict=True):
            lanes = max(condition.lanes, result.lanes, x.lanes)
            result = f.select(condition, _wide(f, x, lanes), _wide(f, result, lanes))
        return (result,)

    return Step(reads, finish)
