"""Tiles of an image on their way to planes: cut out, transformed, one product's operand per plane.

A plane has a row per tile and a column per channel, so that all products of one point of the
transform are a matrix product. Planes lie a cache line more apart than they are large: at powers of
two, the points of a tile would fall on one set of L1.

A tile that reaches over the border of its image is first copied to a patch with zeros around it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from kgraph.codegen.llvm.conv_spec import Dim
from kgraph.codegen.llvm.emit import (
    I1,
    I64,
    PTR,
    Function,
    Index,
    Module,
    Operand,
    constant,
    item_bytes,
)
from kgraph.codegen.llvm.target import Target
from kgraph.codegen.llvm.winograd import Matrices, Matrix, matrices, transform

SKEW = 16  # elements between planes


@dataclass(frozen=True)
class Cut:
    """A spatial dim cut into whole tiles, the last of which may reach over the end.

    Tiles are of outputs, and read what these depend on. Where `adjoint`, they are of inputs, and
    are added to what depends on them.
    """

    dim: Dim
    tile: int
    adjoint: bool = False

    @property
    def matrices(self) -> Matrices:
        """Of this dim; those of a tile of one where it has no taps."""
        return matrices(self.tile)

    @property
    def points(self) -> int:
        """Points of the transform."""
        return self.tile + self.dim.taps - 1

    @property
    def count(self) -> int:
        """Tiles."""
        return -(-(self.dim.x if self.adjoint else self.dim.y) // self.tile)

    @property
    def ragged(self) -> bool:
        """Does the last tile reach over the end?"""
        return (self.dim.x if self.adjoint else self.dim.y) % self.tile != 0


def cut(dim: Dim, tile: int, adjoint: bool = False) -> Cut:
    """The dim in tiles; in tiles of one where it has a single tap."""
    return Cut(dim, tile if dim.taps > 1 else 1, adjoint)


@dataclass(frozen=True)
class Tile:
    """A tile of a block: its number there, and its image, row and column."""

    number: Operand
    image: Operand
    row: Operand
    column: Operand


@contextmanager
def each_tile(f: Function, first: Operand, count: Operand, cuts: tuple[Cut, Cut]) -> Iterator[Tile]:
    """A loop over `count` tiles; `first` is the number of the first one over all images.

    It divides once: from one tile to the next, columns, rows and images count up like digits.
    """
    rows, columns = cuts
    tiles = rows.count * columns.count
    inside = f.urem(first, tiles)
    start = [
        f.udiv(first, tiles), f.udiv(inside, columns.count), f.urem(inside, columns.count)
    ]  # fmt: skip
    with f.carried_loop(0, count, start, name="tile") as loop:
        image, row, column = loop.values
        yield Tile(loop.index, image, row, column)
        next_column = f.add(column, 1)
        end_of_row = f.compare("EQ", next_column, columns.count)
        next_row = f.select(end_of_row, f.add(row, 1), row)
        end_of_image = f.compare("EQ", next_row, rows.count)
        loop.next(
            f.select(end_of_image, f.add(image, 1), image),
            f.select(end_of_image, f.index(0), next_row),
            f.select(end_of_row, f.index(0), next_column),
        )


@dataclass(frozen=True, eq=False)
class Reading:
    """Which tiles of an array with channels side by side become planes, and how.

    Attributes:
        sizes, steps: rows and columns of the array, and the elements between them.
        channels: of a pixel.
        reads: rows and columns of a tile; `moves`: from one tile to the next; `first`: where the
            first one begins.
        matrices: for rows and columns, points x reads.
        dtype: float32 or float64.
    """

    sizes: tuple[int, int]
    steps: tuple[int, int]
    channels: int
    reads: tuple[int, int]
    moves: tuple[int, int]
    first: tuple[int, int]
    counts: tuple[int, int]
    matrices: tuple[Matrix, Matrix]
    dtype: str

    @property
    def inside(self) -> bool:
        """Does no tile reach over the border?"""
        last = [f + (n - 1) * m + r for f, n, m, r in
                zip(self.first, self.counts, self.moves, self.reads, strict=True)]  # fmt: skip
        return min(self.first) >= 0 and last[0] <= self.sizes[0] and last[1] <= self.sizes[1]

    @property
    def patch(self) -> int:
        """Elements of a patch."""
        return 0 if self.inside else self.reads[0] * self.reads[1] * self.steps[1]

    def width(self, target: Target) -> int:
        """Elements of a plane's row."""
        return row_width(self.channels, target.lanes(item_bytes(self.dtype)))


def row_width(channels: int, lanes: int) -> int:
    """Whole vectors; a few more where rows a power of two apart would share the sets of L1."""
    width = -(-channels // lanes) * lanes
    return width + lanes if width % 1024 == 0 else width


def emit_reading(module: Module, name: str, reading: Reading, plane: int) -> str:
    """Defines `name(image, patch, row, column, to)`: a tile of an image to its row of all planes.

    `row` and `column` count tiles, `plane` is the distance of two planes in elements.
    """
    inner = f"{name}.transform"
    _emit_transform(module, inner, reading, plane)
    head = [("image", PTR), ("patch", PTR), ("row", I64), ("column", I64), ("to", PTR)]
    with module.function(name, head, internal=True) as f:
        image, patch, *tile, to = f.parameters
        r, dtype = reading, reading.dtype
        starts = [f.add(f.mul(t, m), s) for t, m, s in zip(tile, r.moves, r.first, strict=True)]

        def place(row: Index, column: Index) -> Operand:
            at = f.add(f.mul(row, r.steps[0]), f.mul(column, r.steps[1]))
            return f.offset(image, at, dtype)

        if r.inside:
            f.call(inner, [place(*starts), r.steps[0], to])
            return name
        whole = constant(1, I1)
        for start, reads, size in zip(starts, r.reads, r.sizes, strict=True):
            whole = f.and_(whole, f.compare("LE", start, size - reads))
            whole = f.and_(whole, f.compare("GE", start, 0))
        choice = f.choose(whole)
        with choice.then():
            choice.give(place(*starts), f.index(r.steps[0]))
        with choice.otherwise():
            line = r.reads[1] * r.steps[1]
            item = item_bytes(dtype)
            f.fill_bytes(patch, 0, r.patch * item)
            ends = [
                f.smin(f.add(start, reads), size)
                for start, reads, size in zip(starts, r.reads, r.sizes, strict=True)
            ]
            firsts = [f.smax(start, 0) for start in starts]
            left = f.mul(f.sub(firsts[1], starts[1]), r.steps[1])
            # The last pixel ends with its channels, which may be fewer than the step.
            pixels = f.sub(ends[1], firsts[1])
            length = f.add(f.mul(f.sub(pixels, 1), r.steps[1]), r.channels)
            with (
                f.when(f.compare("GT", pixels, 0)),
                f.loop(firsts[0], ends[0], name="line") as i,
            ):
                at = f.add(f.mul(f.sub(i, starts[0]), line), left)
                f.copy_bytes(f.offset(patch, at, dtype), place(i, firsts[1]), f.mul(length, item))
            choice.give(patch, f.index(line))
        source, step = choice.results
        f.call(inner, [source, step, to])
    return name


def _emit_transform(module: Module, name: str, reading: Reading, plane: int) -> None:
    """`name(source, step, to)`: the transform of a tile whose rows are `step` apart."""
    head = [("source", PTR), ("step", I64), ("to", PTR)]
    with module.function(name, head, internal=True, noalias=True) as f:
        source, step, to = f.parameters
        r, dtype = reading, reading.dtype
        lanes = f.target.lanes(item_bytes(dtype))
        lines = [f.mul(step, i) for i in range(r.reads[0])]

        def body(channel: Operand, mask: Operand | None) -> None:
            def load(i: int, j: Operand) -> Operand:
                place = f.offset(source, f.add(f.mul(j, r.steps[1]), channel), dtype)
                return f.load_at(f.offset(place, lines[i], dtype), dtype, lanes, mask)

            def store(i: Operand, line: list[Operand]) -> None:
                at = f.offset(to, f.add(f.mul(i, len(line) * plane), channel), dtype)
                for j, value in enumerate(line):
                    f.store_at(f.offset(at, j * plane, dtype), dtype, value)

            transform(f, r.matrices, dtype, load, store)

        f.strips(r.channels, lanes, body, "channel")
