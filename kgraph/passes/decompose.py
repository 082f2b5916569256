"""Decomposition of higher ops into basic ones."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Function, Op, Value
from kgraph.passes.base import Pass, in_regions


class Decompose(Pass):
    """Replaces the ops that others define (`softmax`, `layer_norm`, ...), except those in `keep`.

    After it, every op is basic or in `keep`.
    """

    name: ClassVar[str] = "decompose"
    keep: tuple[str, ...] = ()

    def run(self, fn: Function) -> Function:
        """The same results by basic ops."""
        fn = in_regions(fn, self.run)
        b = _DecomposingBuilder(self.keep)
        env: dict[Value, Value] = {p: p for p in fn.params}
        for op in fn.ops:
            operands = tuple([env[v] for v in op.operands])
            with b.at(op.location):
                results = b.append(op if operands == op.operands else op.with_operands(operands))
            env.update(zip(op.results, results, strict=True))
        if not b.replaced:
            return fn
        return Function(fn.params, tuple(b.ops), tuple(env[v] for v in fn.results), fn.name)


class _DecomposingBuilder(Builder):
    """A builder that takes basic ops only; what a decomposition makes is decomposed in turn."""

    def __init__(self, keep: tuple[str, ...]) -> None:
        super().__init__()
        self.replaced = False
        self._keep = frozenset(keep)

    def append(self, op: Op) -> tuple[Value, ...]:
        parts = None if op.name in self._keep else op.decompose(self)
        if parts is None:
            return super().append(op)
        self.replaced = True
        return parts if isinstance(parts, tuple) else (parts,)
