"""An op over all steps of a loop at once: operands are stacked along a new dim 0, or the same."""

from __future__ import annotations

from collections.abc import Sequence

from kgraph.ir import Builder, Fact, Op, Size, Value
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import BroadcastInDim, Reshape, Transpose


def liftable(op: Op, stacked: Sequence[bool]) -> bool:
    """Has `lift` a form for the op, when these operands are stacked?"""
    if isinstance(op, DotGeneral):
        return all(stacked) or not op.lhs_batch
    if Fact.ELEMENTWISE in op.facts:
        ranks = {v.type.rank for v, s in zip(op.operands, stacked, strict=True) if s}
        return len(op.results) == 1 and ranks == {op.results[0].type.rank}
    return isinstance(op, BroadcastInDim | Reduce | Reshape | Transpose)


def lift(
    b: Builder, op: Op, operands: Sequence[Value], stacked: Sequence[bool], length: Size
) -> Value:
    """The results of `length` steps, stacked along dim 0; some operand is stacked."""
    found: Value
    if isinstance(op, DotGeneral):
        return _lift_dot(b, op, operands, stacked)
    if isinstance(op, BroadcastInDim):
        found = b.broadcast_in_dim(operands[0], (length, *op.shape), (0, *(d + 1 for d in op.dims)))
    elif isinstance(op, Reduce):
        found = b.reduce(operands[0], op.kind, tuple(d + 1 for d in op.dims))
    elif isinstance(op, Reshape):
        found = b.reshape(operands[0], (length, *op.shape))
    elif isinstance(op, Transpose):
        found = b.transpose(operands[0], (0, *(d + 1 for d in op.perm)))
    else:
        shape = (length, *op.results[0].shape)
        wide = [
            v if is_stacked or v.type.rank < op.results[0].type.rank
            else b.broadcast(v, shape, tuple(range(1, len(shape))))
            for v, is_stacked in zip(operands, stacked, strict=True)
        ]  # fmt: skip
        (found,) = b.append(op.with_operands(tuple(wide)))
    return found


def _lift_dot(
    b: Builder, op: DotGeneral, operands: Sequence[Value], stacked: Sequence[bool]
) -> Value:
    """The steps are one more batch dim, or free dim where one operand is the same for all."""
    lhs, rhs = operands
    left, right = stacked
    fields: dict[str, tuple[int, ...]] = {
        "lhs_batch": _moved(op.lhs_batch, left),
        "rhs_batch": _moved(op.rhs_batch, right),
        "lhs_contract": _moved(op.lhs_contract, left),
        "rhs_contract": _moved(op.rhs_contract, right),
    }
    if left and right:
        fields["lhs_batch"] = (0, *fields["lhs_batch"])
        fields["rhs_batch"] = (0, *fields["rhs_batch"])
    found: Value = b.dot_general(lhs, rhs, **fields)
    if left:
        return found
    at = len(op.lhs_free)  # behind the free dims of lhs, of which none is the steps
    rank = found.type.rank
    moved: Value = b.transpose(found, (at, *(d for d in range(rank) if d != at)))
    return moved


def _moved(dims: tuple[int, ...], stacked: bool) -> tuple[int, ...]:
    return tuple([d + stacked for d in dims])
