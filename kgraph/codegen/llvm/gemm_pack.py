"""Packing: copies of parts of A and B in the order in which the register tile reads them.

B becomes panels [k][columns of a tile], A becomes tiles [k][rows of a tile]; both are converted to
the compute dtype on the way. Contiguous rows are copied as vectors; where the other direction is
contiguous, square blocks are turned over in registers (a scalar copy would cost as much as 15 % of
a product with 128 rows). Columns and rows beyond the matrix are filled with something harmless:
their results are never stored.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kgraph.codegen.llvm.emit import Function, Index, Operand, item_bytes

# prologue(f, i, k, value, along_k): the value to be packed instead, elements of row (or column) i
# and inner index k; the lanes of a vector value run along k, or else along i.
Prologue = Callable[[Function, Operand, Operand, Operand, bool], Operand]


@dataclass(frozen=True, eq=False)
class Source:
    """A matrix to be packed: element (i, k) is at `i * stride + k * k_stride`; i < `count`.

    `parts`: i counts through so many equal parts, see `GemmSpec`. `across`: what is packed has so
    many elements from one k to the next; 0 for as many as are packed.
    """

    base: Operand
    dtype: str
    compute: str
    stride: Index
    k_stride: Index
    count: Index
    prologue: Prologue | None = None
    parts: int = 1
    across: int = 0

    def element(self, f: Function, i: Index, k: Index) -> Operand:
        """The pointer to element (i, k)."""
        place = f.add(f.mul(i, self.stride), f.mul(k, self.k_stride))
        return f.offset(self.base, place, self.dtype)

    def finish(self, f: Function, i: Index, k: Index, value: Operand, along_k: bool) -> Operand:
        """The loaded value as it is packed."""
        value = f.convert(value, self.dtype, self.compute)
        if self.prologue is None:
            return value
        return self.prologue(f, f.index(i), f.index(k), value, along_k)


def transpose(f: Function, rows: Sequence[Operand]) -> list[Operand]:
    """The columns of a square block of vectors; the count is a power of two."""
    result = list(rows)
    count = len(result)
    step = 1
    while step < count:
        # Swaps the off-diagonal quarters of every block of twice the step.
        low = [j if not j & step else count + j - step for j in range(count)]
        high = [j + step if not j & step else count + j for j in range(count)]
        for i in range(count):
            if not i & step:
                a, b = result[i], result[i + step]
                result[i], result[i + step] = f.shuffle(a, low, b), f.shuffle(a, high, b)
        step *= 2
    return result


def pack(
    f: Function, source: Source, to: Operand, first: Index, width: int, k0: Index, k: Index
) -> None:
    """Writes rows `first` .. `first + width` of the source as [k][width]; k0 .. k0 + k.

    Of a source in parts, the rows are as many of each part as make up the width.
    """
    parts = source.parts
    if parts > 1:
        size, first, lanes = f.udiv(source.count, parts), f.udiv(first, parts), width // parts
        for part in range(parts):
            one = replace(source, parts=1, across=width)
            place = f.offset(to, part * lanes, source.compute)
            pack(f, one, place, f.add(first, f.mul(size, part)), lanes, k0, k)
        return
    source = replace(source, across=source.across or width)
    if f.index(source.stride).constant == 1:
        _pack_contiguous(f, source, to, first, width, k0, k)
    elif f.index(source.k_stride).constant == 1:
        _pack_turned(f, source, to, first, width, k0, k)
    else:
        with f.loop(0, k, name="k") as step:
            _pack_scalars(f, source, to, first, width, f.add(k0, step), f.mul(step, source.across))


def _pack_contiguous(
    f: Function, source: Source, to: Operand, first: Index, width: int, k0: Index, k: Index
) -> None:
    """Vectors of elements that lie side by side; masked where the matrix ends."""
    lanes = _chunk(f, source, width)
    left = f.sub(source.count, first)
    partial = f.compare("LT", left, width)
    static = left.constant is not None

    def rows(masked: bool) -> None:
        with f.loop(0, k, name="k") as step:
            inner = f.add(k0, step)
            for start in range(0, width, lanes):
                size = min(lanes, width - start)
                mask = f.tail_mask(f.smax(f.sub(left, start), 0), size) if masked else None
                place = source.element(f, f.add(first, start), inner)
                value = f.load_at(place, source.dtype, size, mask)
                value = source.finish(f, f.add(first, start), inner, value, False)
                target = f.add(f.mul(step, source.across), start)
                f.store_at(f.offset(to, target, source.compute), source.compute, value)

    if static:
        rows(masked=int(left.constant or 0) < width)
        return
    choice = f.choose(partial)
    with choice.then():
        rows(masked=True)
        choice.give()
    with choice.otherwise():
        rows(masked=False)
        choice.give()


def _pack_turned(
    f: Function, source: Source, to: Operand, first: Index, width: int, k0: Index, k: Index
) -> None:
    """Square blocks, loaded along k and turned over."""
    # Larger blocks than 8 x 8 need more shuffles per element.
    side, limit = 1, min(8, f.target.lanes(4))
    while side < min(width, limit):
        side *= 2
    count = f.index(k)
    whole = f.sub(count, f.srem(count, side))
    last = f.sub(source.count, 1)

    def turn(step: Operand, start: Index, size: int) -> None:
        """A block of so many rows; the last one stands for those behind it."""
        inner = f.add(k0, step)
        block = []
        for i in range(side):
            row = f.smin(f.add(first, f.add(start, min(i, size - 1))), last)
            value = f.load_at(source.element(f, row, inner), source.dtype, side)
            block.append(source.finish(f, row, inner, value, True))
        for j, column in enumerate(transpose(f, block)):
            place = f.add(f.mul(f.add(step, j), source.across), start)
            kept = column if size == side else f.shuffle(column, range(size))
            f.store_at(f.offset(to, place, source.compute), source.compute, kept)

    rest = width % side
    with f.loop(0, whole, side, name="k") as step:
        if width >= 2 * side:
            with f.loop(0, width - rest, side, name="start") as start:
                turn(step, start, side)
        elif width >= side:
            turn(step, 0, side)
        if rest:
            turn(step, width - rest, rest)
    with f.loop(whole, count, name="k") as step:
        _pack_scalars(f, source, to, first, width, f.add(k0, step), f.mul(step, source.across))


def _pack_scalars(
    f: Function, source: Source, to: Operand, first: Index, width: int, inner: Index, at: Index
) -> None:
    """One k, element by element in a rolled loop, to `at` elements behind `to`."""
    last = f.sub(source.count, 1)
    with f.loop(0, width, name="lane") as lane:
        row = f.smin(f.add(first, lane), last)
        value = f.load_at(source.element(f, row, inner), source.dtype)
        value = source.finish(f, row, inner, value, True)
        place = f.offset(to, f.add(at, lane), source.compute)
        f.store_at(place, source.compute, value)


def _chunk(f: Function, source: Source, width: int) -> int:
    lanes = f.target.lanes(item_bytes(source.compute))
    return min(lanes, width)
