"""Constant folding."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from kgraph.ir import Builder, Dim, Fact, Function, Literal, Op, Value, product
from kgraph.ir.ops.shape import Constant
from kgraph.passes.base import Pass, in_regions


class Fold(Pass):
    """Computes ops on constants at compile time, by their own `reference`.

    A result of more than `limit` bytes stays an op, and so does one that only repeats its operand
    (a broadcast of a scalar is shorter than its elements). After it, no op below the limit has only
    constants as operands.
    """

    name: ClassVar[str] = "fold"
    limit: int = 4096

    def run(self, fn: Function) -> Function:
        """The same results, from fewer ops."""
        fn = in_regions(fn, self.run)
        b = Builder()
        env: dict[Value, Value] = {p: p for p in fn.params}
        changed = False
        for op in fn.ops:
            operands = tuple([env[v] for v in op.operands])
            new = op if operands == op.operands else op.with_operands(operands)
            if self._foldable(new):
                with b.at(op.location):
                    env.update(zip(op.results, _constants(b, new), strict=True))
                changed = True
            else:
                env.update(zip(op.results, b.append(new), strict=True))
        if not changed:
            return fn
        return Function(fn.params, tuple(b.ops), tuple(env[v] for v in fn.results), fn.name)

    def _foldable(self, op: Op) -> bool:
        if (
            not op.operands
            or op.region_fields
            or not all(isinstance(v.op, Constant) for v in op.operands)
        ):
            return False
        sizes = [v.type.nbytes for v in op.results]
        if any(isinstance(d, Dim) for d in sizes) or _has_symbols(op):
            return False
        grows = Fact.MOVES in op.facts and product(op.result.shape) > max(
            (product(v.shape) for v in op.operands), default=0
        )
        return not grows and all(isinstance(n, int) and n <= self.limit for n in sizes)


def _has_symbols(op: Op) -> bool:
    """Does an attribute name a symbol?"""
    pending: list[object] = [op.__dict__[f] for f in op.attribute_fields]
    while pending:
        value = pending.pop()
        if isinstance(value, Dim):
            return True
        if isinstance(value, tuple):
            pending += value
    return False


def _constants(b: Builder, op: Op) -> list[Value]:
    with np.errstate(all="ignore"):
        found = op.reference(*[v.op.value.array for v in op.operands if isinstance(v.op, Constant)])
    arrays = found if isinstance(found, tuple) else (found,)
    return [b.constant(Literal.of(a, v.dtype)) for a, v in zip(arrays, op.results, strict=True)]
