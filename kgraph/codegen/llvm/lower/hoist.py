"""Reads that do not change in the inner loops, made in front of them."""

from __future__ import annotations

from collections.abc import Sequence

from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.index import ALWAYS, ZERO, Axis
from kgraph.codegen.llvm.lower.space import Space
from kgraph.ir import Function, Value
from kgraph.ir.ops.shape import BroadcastInDim


class Hoisting:
    """What is broadcast along inner dims is loaded as soon as its index is known."""

    def __init__(self, evaluator: Evaluator, body: Function, space: Space) -> None:
        self._evaluator = evaluator
        self._space = space
        self._levels: dict[int, list[BroadcastInDim]] = {}
        params = set(body.params)
        run_of = {d: k for k, run in enumerate(space.runs) for d in run}
        for op in body.ops:
            if not isinstance(op, BroadcastInDim) or op.x not in params:
                continue
            if op.shape != space.shape:
                continue
            dims = [d for d, size in zip(op.dims, op.x.shape, strict=True) if size != 1]
            level = max((run_of[d] + 1 for d in dims if d in run_of), default=0)
            if level < len(space.runs):
                self._levels.setdefault(level, []).append(op)
        self._scalars: list[Value] = [
            p for p in body.params if p.type.rank == 0 and any(p in op.operands for op in body.ops)
        ]

    def at(self, axes: Sequence[Axis]) -> None:
        """Loads what is known once the outer axes are, in the scope where that is so."""
        self._load(len(axes), axes)

    def _load(self, known: int, axes: Sequence[Axis]) -> None:
        levels = [known] if known == 0 else range(1, known + 1)
        index = self._space.index([*axes, *[ZERO] * (len(self._space.runs) - len(axes))])
        reads = [
            (op.x, _under(op, index), ALWAYS) for k in levels for op in self._levels.get(k, ())
        ]
        if known == 0:
            reads += [(p, (), ALWAYS) for p in self._scalars]
        self._evaluator.read(reads)


def _under(op: BroadcastInDim, index: Sequence[Axis]) -> tuple[Axis, ...]:
    """The index of a broadcast's operand."""
    return tuple(
        ZERO if size == 1 else index[d] for size, d in zip(op.x.shape, op.dims, strict=True)
    )
