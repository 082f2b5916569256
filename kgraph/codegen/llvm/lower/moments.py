"""Mean and variance of columns, in one pass over memory.

Rows are taken in blocks that stay in the first cache: there the means of a block come first, then
the squares of what is apart from them, which keeps the digits that a difference of large sums would
lose. Means are counted from the first row, so that one that is large rounds no more than another.
Blocks are combined in order, weighted by their rows, in accumulators of their chunk; chunks
are tiles, and a second kernel combines them in order. All bounds follow from the sizes alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeAlias

from kgraph.codegen.llvm.emit import Operand, constant, register_type
from kgraph.codegen.llvm.lower.blocks import merged_moments
from kgraph.codegen.llvm.lower.elementwise import accumulator
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.index import ALWAYS, Axis, Guard
from kgraph.codegen.llvm.lower.loops import compute_bytes
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch
from kgraph.codegen.llvm.lower.tiling import Tiling, divided_up, strips
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Size, numpy_dtype, product
from kgraph.ir.ops.neural import Moments

_ROWS = 64  # of a block
_CHUNKS = 64  # the most that the rows are split into
_ELEMENTS = 16384  # the least of a chunk
_COLUMNS = 4096  # of a tile
_VECTORS = 6  # of sums side by side, at most: as many hold the means

Pair: TypeAlias = "tuple[Operand, Operand]"


@lowers(Moments)
def lower_moments(frame: Frame, op: Moments) -> None:
    """The dims of the op are the first ones of x."""
    f = frame.f
    plan = _Plan.of(op, frame.target)
    rows = frame.size(product(op.x.shape[: len(op.dims)]))
    columns = frame.size(op.results[0].type.size)
    length = plan.length(frame, rows, columns)
    chunks = f.smax(divided_up(frame, rows, length), 1)
    across = Tiling.of(frame, [columns], _COLUMNS).count()
    source, *results = [frame.pointer(v) for v in (op.x, *op.results)]
    scratch, sizes = frame.scratch(op), [rows, columns, length]
    arguments = [source, scratch, *sizes]
    frame.launch(plan, "moments", arguments, f.mul(chunks, across), plan.write_chunk)
    key, arguments = ("combine", plan), [*results, source, scratch, *sizes, chunks]
    frame.launch(key, "combine_moments", arguments, across, plan.write_combination)


@wants_scratch(Moments)
def moments_scratch(op: Moments, target: Target) -> Size:
    """The means and variances of all chunks."""
    item = numpy_dtype(accumulator(op.x.dtype)).itemsize
    return 2 * _CHUNKS * item * op.results[0].type.size


@dataclass(frozen=True)
class _Plan:
    """What the kernels depend on.

    Attributes:
        vectors: of columns side by side.
    """

    dtype: str
    lanes: int
    vectors: int

    @staticmethod
    def of(op: Moments, target: Target) -> _Plan:
        dtype, columns = op.x.dtype, op.results[0].type.size
        lanes = target.lanes(compute_bytes(dtype))
        if not isinstance(columns, int):
            return _Plan(dtype, lanes, 1)
        while lanes > 1 and lanes // 2 >= columns:
            lanes //= 2
        count = max(columns // lanes, 1)
        # A sum waits for its last step, so that few vectors take as long as many: none are left.
        whole = [v for v in range(3, _VECTORS + 1) if count % v == 0]
        return _Plan(dtype, lanes, max(whole, default=min(count, 4)))

    @property
    def accumulator(self) -> str:
        """The dtype of sums."""
        return accumulator(self.dtype)

    def length(self, code: Code, rows: Operand, columns: Operand) -> Operand:
        """The rows of a chunk: whole blocks."""
        f = code.f
        length = f.smax(
            divided_up(code, rows, _CHUNKS), f.udiv(f.index(_ELEMENTS), f.smax(columns, 1))
        )
        return f.mul(f.smax(divided_up(code, length, _ROWS), 1), _ROWS)

    def first(self, k: Kernel, source: Operand, column: Operand, guard: Guard) -> Operand:
        """The first row, or zero where it is not finite: what all means are counted from."""
        f, dtype = k.f, self.accumulator
        place = f.offset(source, column, self.dtype)
        value = f.load_at(place, self.dtype, self.lanes, guard.lanes)
        value = f.convert(value, self.dtype, dtype)
        finite = f.compare("LT", f.abs_(value), constant(math.inf, value.type))
        return f.select(finite, value, constant(0.0, value.type))

    def write_chunk(self, k: Kernel) -> None:
        """Writes the kernel over blocks of rows."""
        f = k.f
        source, scratch, rows, columns, length = k.arguments
        tiling = Tiling.of(k, [columns], _COLUMNS)
        across = tiling.count()
        chunk = f.udiv(k.index, across)
        bounds = tiling.bounds(f.urem(k.index, across))[1]
        first = f.mul(chunk, length)
        last = f.smin(f.add(first, length), rows)
        places = self._places(k, scratch, columns, chunk)
        dtype, zero = self.accumulator, constant(0.0, register_type(self.accumulator, self.lanes))

        def clear(c: Axis, guard: Guard) -> None:
            for place in places:
                f.store_at(f.offset(place, c.base, dtype), dtype, zero, guard.lanes)

        strips(k, bounds, self.lanes, clear)
        with f.loop(first, last, _ROWS, name="block") as start:
            here = f.offset(source, f.mul(start, columns), self.dtype)
            count = f.sub(f.smin(f.add(start, _ROWS), last), start)
            block = _Block(self, k, source, here, columns, places, f.sub(start, first), count)
            width = self.vectors * self.lanes
            whole = f.sub(bounds[1], f.urem(f.sub(bounds[1], bounds[0]), width))
            with f.loop(bounds[0], whole, width, name="c") as c:
                block.write([f.add(c, v * self.lanes) for v in range(self.vectors)], ALWAYS)
            left = (whole, bounds[1])
            strips(k, left, self.lanes, lambda c, guard: block.write([c.base], guard))

    def write_combination(self, k: Kernel) -> None:
        """Writes the kernel that combines the chunks; of no rows both results are NaN."""
        f, dtype, lanes = k.f, self.accumulator, self.lanes
        mean, variance, source, scratch, rows, columns, length, chunks = k.arguments
        zero = constant(0.0, register_type(dtype, lanes))
        undefined = constant(math.nan, zero.type)

        def column(c: Axis, guard: Guard) -> None:
            with f.carried_loop(0, chunks, [zero, zero], name="chunk") as loop:
                before = f.mul(loop.index, length)
                count = f.smin(f.sub(rows, before), length)
                places = self._places(k, scratch, columns, loop.index)
                new = [
                    f.load_at(f.offset(p, c.base, dtype), dtype, lanes, guard.lanes) for p in places
                ]
                loop.next(*merged_moments(k, (before, loop.values), (count, new)))
            choice = f.choose(f.compare("GT", rows, 0))
            with choice.then():
                first = self.first(k, source, c.base, guard)
                choice.give(f.add(first, loop.results[0]), loop.results[1])
            with choice.otherwise():
                choice.give(undefined, undefined)
            for p, value in zip((mean, variance), choice.results, strict=True):
                value = f.convert(value, dtype, self.dtype)
                f.store_at(f.offset(p, c.base, self.dtype), self.dtype, value, guard.lanes)

        strips(k, Tiling.of(k, [columns], _COLUMNS).bounds(k.index)[1], lanes, column)

    def _places(self, k: Kernel, scratch: Operand, columns: Operand, chunk: Operand) -> Pair:
        """The accumulators of a chunk: the means of all chunks come before the variances."""
        f, dtype = k.f, self.accumulator
        mean = f.offset(scratch, f.mul(chunk, columns), dtype)
        return mean, f.offset(mean, f.mul(columns, _CHUNKS), dtype)


@dataclass(frozen=True)
class _Block:
    """Rows that stay in the first cache.

    Attributes:
        array: its first row.
        source: the first row of the block.
        columns: elements of a row.
        places: the accumulators.
        before: rows of the chunk before the block.
        rows: of the block, at least one.
    """

    plan: _Plan
    k: Kernel
    array: Operand
    source: Operand
    columns: Operand
    places: Pair
    before: Operand
    rows: Operand

    def place(self, row: Operand, column: Operand) -> Operand:
        """The address of an element, or of one that a prefetch asks for behind the array."""
        f = self.k.f
        return f.offset(self.source, f.add(f.mul(row, self.columns), column), self.plan.dtype)

    def write(self, columns: list[Operand], guard: Guard) -> None:
        """Means, then variances, of vectors side by side; and into the accumulators."""
        plan, f = self.plan, self.k.f
        dtype, lanes = plan.accumulator, plan.lanes
        zero = constant(0.0, register_type(dtype, lanes))

        def load(row: Operand, c: Operand) -> Operand:
            value = f.load_at(self.place(row, c), plan.dtype, lanes, guard.lanes)
            return f.convert(value, plan.dtype, dtype)

        count = f.cast("sitofp", self.rows, zero.type.scalar)
        count = f.splat(count, lanes)
        firsts = [plan.first(self.k, self.array, c, guard) for c in columns]
        with f.carried_loop(0, self.rows, [zero] * len(columns), name="r", nonempty=True) as sums:
            given = []
            for total, first, c in zip(sums.values, firsts, columns, strict=True):
                given.append(f.add(total, f.sub(load(sums.index, c), first)))
            sums.next(*given)
        means = [f.div(total, count) for total in sums.results]
        with f.carried_loop(
            0, self.rows, [zero] * len(columns), name="r", nonempty=True
        ) as squares:
            given = []
            for total, first, mean, c in zip(squares.values, firsts, means, columns, strict=True):
                apart = f.sub(f.sub(load(squares.index, c), first), mean)
                # Memory goes on while the block is read again.
                f.prefetch(self.place(f.add(squares.index, _ROWS), c), level=2)
                given.append(f.add(total, f.mul(apart, apart)))
            squares.next(*given)
        for c, mean, total in zip(columns, means, squares.results, strict=True):
            into = [f.offset(p, c, dtype) for p in self.places]
            old = [f.load_at(p, dtype, lanes, guard.lanes) for p in into]
            new = [mean, f.div(total, count)]
            found = merged_moments(self.k, (self.before, old), (self.rows, new))
            for p, value in zip(into, found, strict=True):
                f.store_at(p, dtype, value, guard.lanes)
