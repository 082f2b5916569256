"""Common subexpression elimination."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Function, Value
from kgraph.passes.base import Pass, in_regions


class CommonSubexpressions(Pass):
    """Computes once what is computed twice. After it, no two ops have equal keys.

    Ops with regions are equal when their regions are one object; `merge_scans` compares what regions do.
    """

    name: ClassVar[str] = "cse"

    def run(self, fn: Function) -> Function:
        """The same results; of equal ops the first remains."""
        fn = in_regions(fn, self.run)
        b = Builder()
        env: dict[Value, Value] = {p: p for p in fn.params}
        for op in fn.ops:
            operands = tuple([env[v] for v in op.operands])
            new = op if operands == op.operands else op.with_operands(operands)
            env.update(zip(op.results, b.append(new), strict=True))
        if len(b.ops) == len(fn.ops):
            return fn
        return Function(fn.params, tuple(b.ops), tuple(env[v] for v in fn.results), fn.name)
