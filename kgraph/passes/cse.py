"""Common subexpression elimination."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Fact, Function, Op, Value, to_text
from kgraph.passes.base import Pass, in_regions


class CommonSubexpressions(Pass):
    """Computes once what is computed twice. After it, no two ops have equal keys.

    The operands of a commutative op may stand in either order, and regions are equal when they do
    the same, op by op.
    """

    name: ClassVar[str] = "cse"

    def run(self, fn: Function) -> Function:
        """The same results; of equal ops the first remains."""
        fn = in_regions(fn, self.run)
        b = _SharingBuilder()
        env: dict[Value, Value] = {p: p for p in fn.params}
        for op in fn.ops:
            operands = tuple([env[v] for v in op.operands])
            new = op if operands == op.operands else op.with_operands(operands)
            env.update(zip(op.results, b.append(new), strict=True))
        if len(b.ops) == len(fn.ops):
            return fn
        return Function(fn.params, tuple(b.ops), tuple(env[v] for v in fn.results), fn.name)


class _SharingBuilder(Builder):
    """A builder that also knows equals by what their regions do, or with operands swapped."""

    def __init__(self) -> None:
        super().__init__()
        self._first: dict[tuple[object, ...], Op] = {}

    def append(self, op: Op) -> tuple[Value, ...]:
        key: tuple[object, ...] | None = None
        if op.region_fields:
            texts = tuple([to_text(region, labels=False) for region in op.regions])
            key = op.key(texts)
        elif Fact.COMMUTATIVE in op.facts and op.operands[0] is not op.operands[1]:
            x, y = op.operands
            key = (type(op), frozenset((x, y)))
        if key is None:
            return super().append(op)
        same = self._first.setdefault(key, op)
        return super().append(op) if same is op else same.results
