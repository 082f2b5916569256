"""A function run by the interpreter."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kgraph.codegen.arrays import accept_array
from kgraph.codegen.base import Array
from kgraph.ir import Function, TensorType, bind, run

# Functions bound to sizes that are kept: a training step sees two batch sizes, the full one and the
# last.
_KEPT = 8


class ReferenceExecutable:
    """Interprets `fn`. Functions bound to sizes are kept: binding costs as much as tracing did."""

    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self._bound: dict[tuple[tuple[str, int], ...], Function] = {}

    def accept(self, value: object, type_: TensorType, name: str) -> Array:
        return accept_array(value, type_, name)

    def run(
        self, arrays: list[Array], sizes: Mapping[str, int], in_place: bool = False
    ) -> tuple[Array, ...]:
        results = run(self._function(sizes), arrays)
        # A result may be an argument, a view of one, a constant of the graph, or another result.
        return tuple(np.array(a, order="C", copy=True) for a in results)

    def _function(self, sizes: Mapping[str, int]) -> Function:
        if not sizes:
            return self.fn
        key = tuple(sorted(sizes.items()))
        found = self._bound.get(key)
        if found is None:
            found = bind(self.fn, sizes)
            kept = dict(list(self._bound.items())[1 - _KEPT :])
            # One assignment: another thread sees the old table or the new one.
            self._bound = {**kept, key: found}
        return found
