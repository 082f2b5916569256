"""Decomposition of higher ops into basic ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, TypeAlias

from kgraph.ir import Builder, Function, Op, Value
from kgraph.passes.base import Pass, in_regions

# the name of an op, or what says of one with these attributes and types whether it is kept
Keep: TypeAlias = "str | Callable[[Op], bool]"


class Decompose(Pass):
    """Replaces the ops that others define (`softmax`, `layer_norm`, ...), except those in `keep`.

    After it, every op is basic or in `keep`.
    """

    name: ClassVar[str] = "decompose"
    keep: tuple[Keep, ...] = ()

    def run(self, fn: Function) -> Function:
        """The same results by basic ops."""
        fn = in_regions(fn, self.run)
        b = _DecomposingBuilder(self.keep)
        env: dict[Value, Value] = {p: p for p in fn.params}
        for op in fn.ops:
            operands = tuple([env[v] for v in op.operands])
            b.location = op.location
            results = b.append(op if operands == op.operands else op.with_operands(operands))
            env.update(zip(op.results, results, strict=True))
        if not b.replaced:
            return fn
        return Function(fn.params, tuple(b.ops), tuple(env[v] for v in fn.results), fn.name)


class _DecomposingBuilder(Builder):
    """A builder that takes basic ops only; what a decomposition makes is decomposed in turn."""

    def __init__(self, keep: tuple[Keep, ...]) -> None:
        super().__init__()
        self.replaced = False
        self._names = frozenset(k for k in keep if isinstance(k, str))
        self._tests = tuple(k for k in keep if not isinstance(k, str))

    def append(self, op: Op) -> tuple[Value, ...]:
        kept = op.name in self._names or any(test(op) for test in self._tests)
        parts = None if kept else op.decompose(self)
        if parts is None:
            return super().append(op)
        self.replaced = True
        return parts if isinstance(parts, tuple) else (parts,)
