"""How a kernel's index space is cut into tiles, and the loops over one tile.

The number and the shape of the tiles follow from the program and its sizes alone, never from the
number of threads. The last run of dims, the columns, is the one that vectors run along; all before
it are rows. A tile is a range of rows of the outer runs, whole, or a range of columns of one row
where rows are long.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.frame import Code
from kgraph.codegen.llvm.lower.index import ALWAYS, ZERO, Axis, Guard
from kgraph.ir import Size, bind_size, symbols_of

_LIKELY = 128

Bounds: TypeAlias = "tuple[Operand, Operand]"

WORK = 1 << 16  # elementary operations of a tile: some ten microseconds, against one of a launch
_LEAST, _MOST = 1024, 16384  # elements of a tile


def tile_elements(cost: int) -> int:
    """The elements of a tile, for so many operations per element."""
    return max(_LEAST, min(_MOST, WORK // max(cost, 1) // 64 * 64))


def likely(size: Size) -> int:
    """A number to weigh work with: symbols are taken to be 128."""
    number = bind_size(size, dict.fromkeys(symbols_of(size), _LIKELY))
    assert isinstance(number, int)
    return number


@dataclass(frozen=True)
class Tiling:
    """Tiles over runs of dims.

    `sizes` are i64 values or constants, those of a kernel inside it and those of its launch
    outside. The first `outer` runs are counted together and cut into ranges; `elements` is what a
    tile should have.
    """

    code: Code
    sizes: tuple[Operand, ...]
    elements: int
    outer: int

    @staticmethod
    def of(code: Code, sizes: Sequence[Operand], elements: int) -> Tiling:
        """The tiling of a space; as few runs are outer as make no tile too large."""
        outer = max(len(sizes) - 1, 0)
        inner = sizes[-1].constant if sizes else None
        while outer > 1 and inner is not None:
            size = sizes[outer - 1].constant
            if size is None or inner * size > elements:
                break
            inner, outer = inner * size, outer - 1
        return Tiling(code, tuple(sizes), elements, outer)

    @property
    def rows(self) -> Operand:
        """How many indices the outer runs have."""
        f = self.code.f
        total = f.index(1)
        for size in self.sizes[: self.outer]:
            total = f.mul(total, size)
        return total

    def _shape(self) -> tuple[Operand, Operand, Operand]:
        """Rows of a tile, columns of a tile, and how many tiles a row has."""
        f = self.code.f
        if not self.sizes:
            return f.index(1), f.index(1), f.index(1)
        columns = self.sizes[-1]
        long = f.compare("GT", columns, 2 * self.elements)
        if isinstance(columns.constant, int):
            long = f.constant(int(columns.constant > 2 * self.elements), long.type)
        width = f.select(long, f.index(self.elements), columns)
        across = divided_up(self.code, columns, self.elements)
        across = f.select(long, across, f.index(1))
        each = width
        for size in self.sizes[self.outer : -1]:
            each = f.mul(each, size)
        fit = f.smax(f.udiv(f.index(self.elements), f.smax(each, 1)), 1)
        # Several tiles are an even number of nearly equal ones: two threads have the same to do.
        tiles = divided_up(self.code, self.rows, fit)
        odd = f.mul(f.urem(tiles, 2), f.smin(f.sub(tiles, 1), 1))  # and not the only one
        high = divided_up(self.code, self.rows, f.smax(f.add(tiles, odd), 1))
        return f.smax(high, 1), width, across

    def count(self) -> Operand:
        """How many tiles there are."""
        high, _, across = self._shape()
        return self.code.f.mul(divided_up(self.code, self.rows, high), across)

    def bounds(self, index: Operand) -> tuple[Bounds, Bounds]:
        """The rows and the columns of a tile."""
        f = self.code.f
        high, width, across = self._shape()
        first = f.mul(f.udiv(index, across), high)
        rows = (first, f.smin(f.add(first, high), self.rows))
        if not self.sizes:
            return rows, (f.index(0), f.index(1))
        start = f.mul(f.urem(index, across), width)
        return rows, (start, f.smin(f.add(start, width), self.sizes[-1]))

    def each_row(self, rows: Bounds, body: Callable[[list[Axis]], None]) -> None:
        """Loops over all runs but the last: `body` gets an axis for each of them."""
        f = self.code.f
        with f.loop(*rows, name="row") as row:
            axes = [ZERO] * self.outer
            left = row
            for k in range(self.outer - 1, 0, -1):
                axes[k] = Axis(f.urem(left, self.sizes[k]))
                left = f.udiv(left, self.sizes[k])
            if self.outer:
                axes[0] = Axis(left)
            self._nest(axes, self.outer, body)

    def _nest(self, axes: list[Axis], at: int, body: Callable[[list[Axis]], None]) -> None:
        if at >= len(self.sizes) - 1:
            body(axes)
            return
        with self.code.f.loop(0, self.sizes[at], name="j") as i:
            self._nest([*axes, Axis(i)], at + 1, body)


def divided_up(code: Code, size: Operand, by: Operand | int) -> Operand:
    """`size / by`, rounded up."""
    f = code.f
    divisor = f.index(by)
    return f.udiv(f.add(size, f.sub(divisor, 1)), divisor)


def strips(
    code: Code,
    columns: Bounds,
    lanes: int,
    body: Callable[[Axis, Guard], None],
) -> None:
    """`body` for each vector of columns; the last, partial one is guarded. Scalars for 0 lanes."""
    f = code.f
    start, stop = columns
    if lanes == 0:
        with f.loop(start, stop, name="i") as i:
            body(Axis(i, 1), ALWAYS)
        return
    length = f.sub(stop, start)
    rest = f.srem(length, lanes)
    whole = f.sub(stop, rest)
    if whole.constant is None or whole.constant != start.constant:
        with f.loop(start, whole, lanes, name="i") as i:
            body(Axis(i, 1), ALWAYS)
    if rest.constant != 0:
        nonempty = rest.constant is not None

        def tail() -> None:
            body(Axis(whole, 1), Guard(lanes=f.tail_mask(rest, lanes)))

        if nonempty:
            tail()
        else:
            with f.when(f.compare("GT", rest, 0)):
                tail()
