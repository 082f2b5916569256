"""Inference specialisation: scales and offsets of channels move into the weights before them.

A batch norm that does not train multiplies each channel by a number and adds another, both known
from the state. After
a convolution or product with weights of the state they become other weights and another bias, which
`prepare` computes
once for each version of the state. (Dropout leaves no op in a program for inference.)
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from kgraph.ir import Builder, Function, Op, Value
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.elementwise import Add, Multiply, Subtract
from kgraph.ir.ops.shape import BroadcastInDim
from kgraph.passes.base import Pass
from kgraph.passes.dce import without_dead_ops


class FoldScales(Pass):
    """Moves per-channel factors and offsets behind a contraction into its weights and one bias.

    The results change by rounding alone, some 1e-6 of the largest value in float32. Only for
    programs in which the
    weights do not change; after it, no contraction that could take a factor in is followed by one.
    """

    name: ClassVar[str] = "fold_scales"

    def run(self, fn: Function) -> Function:
        """`fn` with the factors in the weights; `fn` itself where there is none."""
        chains = _chains(fn)
        if not chains:
            return fn
        b = Builder()
        env: dict[Value, Value] = {p: p for p in fn.params}
        for op in fn.ops:
            operands = tuple([env[v] for v in op.operands])
            chain = chains.get(op.results[0])
            if chain is not None:
                with b.at(op.location):
                    env[op.results[0]] = _emit(b, chain, env)
            else:
                env.update(zip(op.results, b.append(op.with_operands(operands)), strict=True))
        results = tuple(env[v] for v in fn.results)
        return without_dead_ops(Function(fn.params, tuple(b.ops), results, fn.name))


@dataclass(frozen=True)
class _Chain:
    """A contraction and what follows it, channel by channel: `(kind, vector)` in order."""

    start: Op
    steps: tuple[tuple[str, Value], ...] = ()


def _chains(fn: Function) -> dict[Value, _Chain]:
    """The last value of each chain that has a factor in it."""
    reads: dict[Value, int] = {}
    for v in (*[v for op in fn.ops for v in op.operands], *fn.results):
        reads[v] = reads.get(v, 0) + 1
    fixed = {p for p in fn.params if not p.type.symbols}
    found: dict[Value, _Chain] = {}
    for op in fn.ops:
        if all(v in fixed for v in op.operands) and not any(v.type.symbols for v in op.results):
            fixed.update(op.results)
        elif _feature(op) is not None and op.operands[1] in fixed:
            found[op.results[0]] = _Chain(op)
        elif isinstance(op, Add | Multiply | Subtract):
            step = _step(op, found, fixed, reads)
            if step is not None:
                before, chain = step
                del found[before]
                found[op.result] = chain
    return {
        v: chain for v, chain in found.items() if any(kind == "scale" for kind, _ in chain.steps)
    }


def _feature(op: Op) -> tuple[int, int] | None:
    """The dim of the channels in the result and in the weights."""
    if isinstance(op, Convolution):
        left, out = op.dims.split("->")
        return out.index("f"), left.split("_")[1].index("o")
    if isinstance(op, DotGeneral) and not op.rhs_batch:
        free = [d for d in range(op.rhs.type.rank) if d not in op.rhs_contract]
        return (op.result.type.rank - 1, free[0]) if len(free) == 1 else None
    return None


def _step(
    op: Add | Multiply | Subtract,
    found: dict[Value, _Chain],
    fixed: set[Value],
    reads: dict[Value, int],
) -> tuple[Value, _Chain] | None:
    """The chain that `op` lengthens, if it does."""
    pairs = [(op.x, op.y)] if isinstance(op, Subtract) else [(op.x, op.y), (op.y, op.x)]
    for v, other in pairs:
        chain = found.get(v)
        if chain is None or reads[v] != 1 or not isinstance(other.op, BroadcastInDim):
            continue
        feature = _feature(chain.start)
        vector = other.op.x
        if feature is None or vector not in fixed or feature[0] not in other.op.dims:
            continue
        at = other.op.dims.index(feature[0])
        if any(
            size != (other.shape[feature[0]] if d == at else 1)
            for d, size in enumerate(vector.shape)
        ):
            continue
        kind = {Add: "add", Multiply: "scale", Subtract: "subtract"}[type(op)]
        return v, _Chain(chain.start, (*chain.steps, (kind, vector)))
    return None


def _emit(b: Builder, chain: _Chain, env: dict[Value, Value]) -> Value:
    """The contraction with other weights, and one offset behind it."""
    op, feature = chain.start, _feature(chain.start)
    assert feature is not None
    scale: Value | None = None
    bias: Value | None = None
    for kind, vector in chain.steps:
        v = env[vector]
        if v.type.rank > 1:
            v = b.reshape(v, (v.type.size,))
        if kind == "scale":
            scale = v if scale is None else b.multiply(scale, v)
            bias = None if bias is None else b.multiply(bias, v)
        elif kind == "add":
            bias = v if bias is None else b.add(bias, v)
        else:
            bias = b.negate(v) if bias is None else b.subtract(bias, v)
    assert scale is not None
    weights = env[op.operands[1]]
    scaled = b.multiply(weights, b.broadcast_in_dim(scale, weights.shape, (feature[1],)))
    (made,) = b.append(op.with_operands((env[op.operands[0]], scaled)))
    if bias is None:
        return made
    found: Value = b.add(made, b.broadcast_in_dim(bias, made.shape, (feature[0],)))
    return found
