"""Kernels that visit every index of a shape, dim by dim."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.index import ALWAYS, Axis, Guard, Index
from kgraph.codegen.llvm.lower.loops import compute_bytes
from kgraph.codegen.llvm.lower.space import Space
from kgraph.codegen.llvm.lower.tiling import Tiling, strips, tile_elements
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Dim, Shape


@dataclass(frozen=True)
class Grid:
    """The indices of a shape, cut into tiles.

    Attributes:
        space: a run per dim; dims of size 1 have none.
        lanes: of vectors along the last dim; 0 for scalar code.
        elements: of a tile.
    """

    space: Space
    lanes: int
    elements: int

    @staticmethod
    def of(
        shape: Shape, dtypes: Sequence[str], target: Target, cost: int = 2, vectors: bool = True
    ) -> Grid:
        """The grid of a shape; vectors fit the widest of the dtypes, `cost` is operations per
        element.
        """
        space = Space(shape, tuple((d,) for d, size in enumerate(shape) if size != 1))
        lanes = 0
        if vectors and space.runs:
            lanes = target.lanes(max(map(compute_bytes, dtypes)))
            last = space.sizes[-1]
            while not isinstance(last, Dim) and lanes > 1 and lanes // 2 >= last:
                lanes //= 2
        return Grid(space, lanes if lanes > 1 else 0, tile_elements(cost))

    def launch(
        self,
        frame: Frame,
        key: Hashable,
        label: str,
        arguments: Sequence[Operand],
        write: Callable[[Kernel], None],
        symbols: Sequence[str],
    ) -> None:
        """Runs a kernel whose `write` calls `each` once."""
        count = self._tiling(frame).count()
        frame.launch(key, label, arguments, count, write, symbols)

    def each(self, k: Kernel, e: Evaluator, body: Callable[[Index, Guard], None]) -> None:
        """`body` for every vector of the tile."""
        tiling = self._tiling(k)
        rows, columns = tiling.bounds(k.index)
        if not self.space.runs:
            body(self.space.index([]), ALWAYS)
            return

        def row(axes: list[Axis]) -> None:
            def strip(column: Axis, guard: Guard) -> None:
                with e.scope():
                    body(self.space.index([*axes, column]), guard)

            strips(k, columns, self.lanes, strip)

        tiling.each_row(rows, row)

    def _tiling(self, code: Code) -> Tiling:
        return Tiling.of(code, [code.size(s) for s in self.space.sizes], self.elements)
