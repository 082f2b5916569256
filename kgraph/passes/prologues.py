"""Loops that a depthwise convolution computes while it copies its input.

It moves no more numbers than the loops around it, so that memory is its bound. With a loop in front
it copies a few rows of its input to a buffer that stays in a core's cache, and applies the loop on
their way: the normalised image is never stored.
"""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Fact, Function, Op, Value, users
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.shape import BroadcastInDim, Constant
from kgraph.passes.base import Pass, exchanged, in_regions
from kgraph.passes.dce import without_dead_ops


class FusePrologues(Pass):
    """Joins a loop that nobody else reads to the depthwise convolution, or gradient, of its result.

    The same values. The loop has one array of the result's shape, vectors of channels and numbers.
    """

    name: ClassVar[str] = "fuse_prologues"

    def run(self, fn: Function) -> Function:
        """The loops are in the bodies of the convolutions' fusions."""
        fn = in_regions(fn, self.run)
        readers, returned = users(fn), set(fn.results)
        made: dict[Op, Op] = {}
        for op in fn.ops:
            x = _image(op)
            if x is not None and len(readers[x]) == 1 and x not in returned and _is_loop(x):
                assert isinstance(x.op, Fusion)
                made[op] = _joined(op, x.op)
        return without_dead_ops(exchanged(fn, made)) if made else fn


def _image(op: Op) -> Value | None:
    """What an op reads as the input of a depthwise convolution, if it holds one."""
    found = [x for x in (op.body.ops if isinstance(op, Fusion) else (op,)) if _is_depthwise(x)]
    if not found:
        return None
    x = found[0].operands[0]
    if not isinstance(op, Fusion):
        return x
    return op.inputs[op.body.params.index(x)] if x in op.body.params else None


def _is_depthwise(op: Op) -> bool:
    """Has it a group for each channel, which are the last dim, and images of known size?"""
    if not isinstance(op, Convolution) or op.algorithm != "direct" or {*op.lhs_dilation} != {1}:
        return False
    # Groups of the batch are those of a kernel's gradient, whose batch are the channels.
    groups, role = max((op.feature_groups, "f"), (op.batch_groups, "b"))
    sizes = op.lhs.shape[1:]
    known = all(isinstance(size, int) for size in sizes)
    return known and groups > 1 and sizes[-1] == groups and op.roles.lhs[-1] == role


def _is_loop(x: Value) -> bool:
    op, last = x.op, (x.type.rank - 1,)
    if not isinstance(op, Fusion) or len(op.results) > 1:
        return False
    for inner in op.body.ops:
        if isinstance(inner, Constant):
            continue
        repeats = isinstance(inner, BroadcastInDim) and inner.dims in ((), last)
        if inner.results[0].shape != x.shape or not (repeats or Fact.ELEMENTWISE in inner.facts):
            return False
    return sum(v.shape == x.shape for v in op.inputs) == 1


def _joined(op: Op, loop: Fusion) -> Op:
    b = Builder()
    outer: dict[Value, Value] = {}
    for v in (*loop.inputs, *op.operands):
        if v is not loop.result and v not in outer:
            outer[v] = b.param(f"x{len(outer)}", v.type)
    (made,) = b.inline(loop.body, [outer[v] for v in loop.inputs])
    operands = [made if v is loop.result else outer[v] for v in op.operands]
    if isinstance(op, Fusion):
        results = b.inline(op.body, operands)
    else:
        results = b.append(op.with_operands(tuple(operands)))
    return Fusion(tuple(outer), b.function(*results)).located(op.location)
