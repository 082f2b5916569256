"""Layouts: convolutions on dense arrays whose channels lie side by side.

Kernels compute a register of channels at a time. A convolution over arrays with the channels before
the space, a gradient's too, gets transposes around it, and transposes move down through what lies
between convolutions until two of them meet and cancel.
"""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Fact, Function, Op, Value
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.index import Pad
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import BroadcastInDim, Transpose
from kgraph.ir.ops.window import ReduceWindow, SelectAndScatter
from kgraph.passes.base import Pass
from kgraph.passes.exact_moves import transpose_of_transpose, transpose_to_nothing
from kgraph.passes.rewrite import RuleSet, rewrite

layouts = RuleSet("layouts")


class ChannelsLast(Pass):
    """Writes convolutions over channels before space as convolutions over channels behind it.

    Exact. After it, no convolution has an array whose first two dims are no space; a function that
    had none before stays as it is.
    """

    name: ClassVar[str] = "channels_last"

    def run(self, fn: Function) -> Function:
        """The same results."""
        return rewrite(fn, layouts) if _has_other_layouts(fn) else fn


def _has_other_layouts(fn: Function) -> bool:
    pending = [fn]
    while pending:
        function = pending.pop()
        for op in function.ops:
            if isinstance(op, Convolution) and _parts(op) != _channels_last(op):
                return True
            pending += op.regions
    return False


def _parts(op: Convolution) -> tuple[str, str, str]:
    roles = op.roles
    return roles.lhs, roles.rhs, roles.out


def _channels_last(op: Convolution) -> tuple[str, str, str]:
    """The roles of the three arrays, the second of two leading letters moved to the end."""
    lhs, rhs, out = (
        part[0] + part[2:] + part[1] if part[:2].isalpha() and len(part) > 2 else part
        for part in _parts(op)
    )
    return lhs, rhs, out


def _inverse(perm: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


@layouts
def convolution_of_channels_last(op: Convolution, b: Builder) -> Value | None:
    """convolution(x, w, bf01_oi01->bf01)  ->  transpose(convolution(x', w', b01f_o01i->b01f))"""
    before, after = _parts(op), _channels_last(op)
    if before == after:
        return None
    lhs, rhs, out = (
        tuple(old.index(role) for role in new) for old, new in zip(before, after, strict=True)
    )
    fields = {"lhs": b.transpose(op.lhs, lhs), "rhs": b.transpose(op.rhs, rhs)}
    (made,) = b.append(op.with_fields(**fields, dims="{}_{}->{}".format(*after)))
    found: Value = b.transpose(made, _inverse(out))
    return found


@layouts
def elementwise_of_transposes(op: Op, b: Builder) -> Value | None:
    """f(transpose(x), transpose(y), scalar)  ->  transpose(f(x, y, scalar))"""
    if Fact.ELEMENTWISE not in op.facts or len(op.results) != 1:
        return None
    perms = {v.op.perm for v in op.operands if isinstance(v.op, Transpose)}
    if len(perms) != 1:
        return None
    (perm,) = perms
    moved = [_before(b, v, perm) for v in op.operands]
    if any(v is None for v in moved):
        return None
    (made,) = b.append(op.with_operands(tuple([v for v in moved if v is not None])))
    found: Value = b.transpose(made, perm)
    return found


def _before(b: Builder, v: Value, perm: tuple[int, ...]) -> Value | None:
    """What gives `v` when it is transposed by `perm`, where it costs nothing to have it."""
    op = v.op
    if v.type.rank == 0:
        return v
    if isinstance(op, Transpose) and op.perm == perm:
        return op.x
    if isinstance(op, BroadcastInDim) and op.x.type.rank <= 1:
        shape = tuple(v.shape[k] for k in _inverse(perm))
        found: Value = b.broadcast_in_dim(op.x, shape, tuple(perm[d] for d in op.dims))
        return found
    return None


@layouts
def reduce_of_transpose(op: Reduce, b: Builder) -> Value | None:
    """reduce(transpose(x), dims)  ->  reduce(x, other dims), where the others keep their order"""
    match op.x.op:
        case Transpose(x=x, perm=perm):
            kept = [perm[d] for d in range(len(perm)) if d not in op.dims]
            if kept == sorted(kept):
                found: Value = b.reduce(x, op.kind, tuple(sorted(perm[d] for d in op.dims)))
                return found
    return None


@layouts
def window_of_transpose(op: ReduceWindow, b: Builder) -> Value | None:
    """reduce_window(transpose(x))  ->  transpose(reduce_window(x))"""
    match op.x.op:
        case Transpose(x=x, perm=perm):
            back = _inverse(perm)
            sizes = (op.window, op.strides, op.padding, op.base_dilation, op.window_dilation)
            moved = [tuple(each[k] for k in back) for each in sizes]
            found: Value = b.transpose(b.reduce_window(x, op.kind, *moved), perm)
            return found
    return None


@layouts
def selection_of_transposes(op: SelectAndScatter, b: Builder) -> Value | None:
    """select_and_scatter(transpose(x), transpose(y))  ->  transpose(select_and_scatter(x, y))"""
    match op.x.op, op.source.op:
        case Transpose(x=x, perm=perm), Transpose(x=source, perm=other) if perm == other:
            back = _inverse(perm)
            sizes = (op.window, op.strides, op.padding)
            moved = [tuple(each[k] for k in back) for each in sizes]
            found: Value = b.transpose(b.select_and_scatter(x, source, op.kind, *moved), perm)
            return found
    return None


@layouts
def pad_of_transpose(op: Pad, b: Builder) -> Value | None:
    """pad(transpose(x))  ->  transpose(pad(x))"""
    match op.x.op:
        case Transpose(x=x, perm=perm):
            back = _inverse(perm)
            moved = [tuple(each[k] for k in back) for each in (op.low, op.high, op.interior)]
            found: Value = b.transpose(b.pad(x, op.value, *moved), perm)
            return found
    return None


layouts(transpose_of_transpose)
layouts(transpose_to_nothing)
