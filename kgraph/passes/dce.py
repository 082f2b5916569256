"""Dead code elimination."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Function, Value
from kgraph.passes.base import Pass, in_regions


class DeadCode(Pass):
    """Removes the ops that no result depends on, in regions too. After it, every op has a use."""

    name: ClassVar[str] = "dce"

    def run(self, fn: Function) -> Function:
        """The same parameters and results with the ops that matter."""
        return without_dead_ops(in_regions(fn, self.run))


def without_dead_ops(fn: Function) -> Function:
    """`fn` without the ops that no result depends on; `fn` itself where all are alive."""
    live: set[Value] = set(fn.results)
    kept = []
    for op in reversed(fn.ops):
        if not live.isdisjoint(op.results):
            kept.append(op)
            live.update(op.operands)
    if len(kept) == len(fn.ops):
        return fn
    return Function(fn.params, tuple(reversed(kept)), fn.results, fn.name)
