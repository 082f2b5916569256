"""How a reduction is computed: runs of dims, vectors, tiles, chunks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.frame import Code
from kgraph.codegen.llvm.lower.loops import body_cost, vector_lanes
from kgraph.codegen.llvm.lower.space import Space, space_of
from kgraph.codegen.llvm.lower.tiling import Tiling, divided_up, likely, tile_elements
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Size, product
from kgraph.ir.ops.reduce import Reduce

CHUNKS = 64  # the most that a reduction is split into
_VECTORS = 4  # of partial results side by side
_CHEAP = 16  # operations per element; more keep a core busy with one vector


@dataclass(frozen=True)
class Reduction:
    """A body with reductions of one shape over the same dims, and how it is computed.

    Attributes:
        reduces: the reductions along `dims`; results of the body that are none of theirs are
            elementwise.
        space: of their operands; no run has both kept and reduced dims.
        elements: kept elements of a tile.
        chunk: 0, or the least length of a chunk of the outer reduced runs.
    """

    body: Function
    reduces: tuple[Reduce, ...]
    dims: tuple[int, ...]
    space: Space
    lanes: int
    vectors: int
    elements: int
    chunk: int

    @staticmethod
    def of(body: Function, target: Target) -> Reduction:
        """How the body is computed on a target."""
        reduces = tuple(op for op in body.ops if isinstance(op, Reduce))
        first = reduces[0]
        roots = [op.x for op in reduces]
        roots += [v for v in body.results if not isinstance(v.op, Reduce)]
        labels = [d in first.dims for d in range(first.x.type.rank)]
        space = space_of(body, roots, first.x.shape, labels)
        lanes = vector_lanes(body, space, target)
        cost = body_cost(body)
        wanted = tile_elements(cost)
        kept = likely(
            product(
                s for r, s in zip(space.runs, space.sizes, strict=True) if r[0] not in first.dims
            )
        )
        total = likely(first.x.type.size)
        depth = max(total // max(kept, 1), 1)
        elements = max(wanted // depth, max(lanes, 1) * _VECTORS)
        chunk = 0
        runs = [s for r, s in zip(space.runs, space.sizes, strict=True) if r[0] in first.dims]
        if runs and total >= 4 * wanted and kept // elements < 8:
            chunk = max(1, wanted * likely(product(runs[:-1] or runs)) // total)
        vectors = vectors_of(space, lanes, cost)
        return Reduction(body, reduces, first.dims, space, lanes, vectors, elements, chunk)

    def is_reduced(self, run: Sequence[int]) -> bool:
        """Is it a run of reduced dims?"""
        return run[0] in self.dims

    @property
    def kept(self) -> list[int]:
        """The runs that are kept."""
        return [k for k, run in enumerate(self.space.runs) if not self.is_reduced(run)]

    @property
    def reduced(self) -> list[int]:
        """The runs that are reduced."""
        return [k for k, run in enumerate(self.space.runs) if self.is_reduced(run)]

    @property
    def outer(self) -> list[int]:
        """The reduced runs that are counted together and cut into chunks: all but the last.

        The first alone may be short: it may be the samples of a block.
        """
        return self.reduced[:-1] or self.reduced

    def length(self, code: Code, sizes: Sequence[Operand]) -> Operand:
        """How many indices the outer reduced runs have."""
        total = code.f.index(1)
        for k in self.outer:
            total = code.f.mul(total, sizes[k])
        return total

    def scratch(self) -> Size:
        """Bytes for the partial results."""
        if not self.chunk:
            return 0
        return CHUNKS * 8 * len(self.reduces) * self.reduces[0].result.type.size

    def sizes(self, code: Code) -> list[Operand]:
        """Those of the runs."""
        return [code.size(s) for s in self.space.sizes]

    def tiling(self, code: Code, sizes: Sequence[Operand]) -> Tiling:
        """Of the kept runs; where the last run is reduced, a column of its own stands for it."""
        kept = [sizes[k] for k in self.kept]
        if not self.columns_kept:
            kept.append(code.f.index(1))
        return Tiling.of(code, kept, self.elements)

    @property
    def columns_kept(self) -> bool:
        """Do vectors run along a kept run?"""
        return bool(self.space.runs) and not self.is_reduced(self.space.runs[-1])

    def chunk_length(self, code: Code, size: Operand) -> Operand:
        """The length of a chunk of the outer reduced runs, which have so many indices."""
        f = code.f
        length = f.smax(divided_up(code, size, CHUNKS), self.chunk)
        if self.reduced == [len(self.space.runs) - 1] and self.lanes:
            step = self.lanes * self.vectors
            length = f.mul(divided_up(code, length, step), step)
        return length


def vectors_of(space: Space, lanes: int, cost: int) -> int:
    """The vectors of partial results side by side, for so many operations per element."""
    if not lanes or cost > _CHEAP:
        return 1
    columns = likely(space.sizes[-1]) if space.runs else 1
    return min(_VECTORS, max(1, columns // lanes))
