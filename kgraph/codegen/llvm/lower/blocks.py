"""Combining what the blocks of a region give: accumulators of chunks, and the tree over them.

The order is that of `ir/ops/blocks.py`: the blocks of a chunk from the left to the right, then the
chunks by a balanced tree of neighbours. A mean and its variance combine together, weighted by their
counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import DOUBLE, Operand, constant, register_type
from kgraph.codegen.llvm.lower.elementwise import accumulator, combine
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.index import Axis, Guard
from kgraph.codegen.llvm.lower.loops import compute_bytes
from kgraph.codegen.llvm.lower.tiling import Tiling, strips
from kgraph.ir import Size, numpy_dtype
from kgraph.ir.ops.blocks import CHUNKS
from kgraph.ir.ops.common import identity
from kgraph.ir.ops.control import Batched
from kgraph.passes.arena import aligned

__all__ = [
    "CHUNKS", "Partial", "chunk_bound", "launch_accumulate", "launch_clear", "launch_tree",
    "merged_moments", "partials_of",
]  # fmt: skip

_ELEMENTS = 4096  # of a tile of the tree


@dataclass(frozen=True)
class Partial:
    """A combined result, or a mean and its variance, and its accumulators in the scratch memory.

    Attributes:
        kind: of the combination.
        results: the numbers of the results: one, or two for moments.
        dtype: of the results.
        size: the elements of one.
        offset: of the accumulators, chunk after chunk; the variances follow all means.
        block: samples of a block.
        over: samples of all blocks.
    """

    kind: str
    results: tuple[int, ...]
    dtype: str
    size: Size
    offset: Size
    block: int
    over: Size

    @property
    def accumulator(self) -> str:
        """The dtype that is combined in."""
        return accumulator(self.dtype)

    @property
    def nbytes(self) -> Size:
        """Bytes of all accumulators."""
        item = numpy_dtype(self.accumulator).itemsize
        total = len(self.results) * CHUNKS * item * self.size
        return aligned(total)

    @property
    def start(self) -> float | int:
        """What accumulators begin with: moments of no samples are zero."""
        if self.kind == "moments":
            return 0
        found = identity(self.kind, self.dtype).astype(numpy_dtype(self.accumulator))
        number: float | int = found.item()
        return number

    def place(self, code: Code, scratch: Operand, chunk: Operand | int, part: int) -> Operand:
        """The accumulator of a chunk."""
        f, size = code.f, code.size(self.size)
        base = f.offset_bytes(scratch, code.size(self.offset))
        number = f.add(f.index(chunk), part * CHUNKS)
        return f.offset(base, f.mul(number, size), self.accumulator)


def partials_of(op: Batched) -> tuple[Partial, ...]:
    """The combined results of a region."""
    found: list[Partial] = []
    offset: Size = 0
    i = 0
    while i < len(op.gives):
        kind, _ = op.gives[i]
        count = 2 if kind == "moments" else 1
        if kind != "rows":
            t = op.results[i].type
            numbers = tuple(range(i, i + count))
            partial = Partial(kind, numbers, t.dtype, t.size, offset, op.block, op.over)
            found.append(partial)
            offset = offset + partial.nbytes
        i += count
    return tuple(found)


def chunk_bound(code: Code, chunk: Operand, blocks: Operand, count: Operand) -> Operand:
    """The first block of a chunk."""
    f = code.f
    return f.udiv(f.mul(chunk, blocks), f.smax(count, 1))


def _launch_elements(
    frame: Frame,
    key: tuple[object, ...],
    arguments: Sequence[Operand],
    size: Operand,
    body: Callable[[Kernel, Sequence[Operand], Axis, Guard, int], None],
) -> None:
    """A flat loop over `size` elements; `key` begins with a name and a dtype."""
    lanes = frame.target.lanes(compute_bytes(str(key[1])))

    def write(k: Kernel) -> None:
        *others, elements = k.arguments
        bounds = Tiling.of(k, [elements], _ELEMENTS).bounds(k.index)[1]
        strips(k, bounds, lanes, lambda c, guard: body(k, others, c, guard, lanes))

    count = Tiling.of(frame, [size], _ELEMENTS).count()
    frame.launch(key, str(key[0]), [*arguments, size], count, write)


def launch_clear(frame: Frame, partial: Partial, scratch: Operand, chunk: Operand) -> None:
    """Accumulators as of no blocks."""
    dtype, start = partial.accumulator, partial.start

    def body(k: Kernel, others: Sequence[Operand], c: Axis, guard: Guard, lanes: int) -> None:
        value = constant(start, register_type(dtype, lanes))
        k.f.store_at(k.f.offset(others[0], c.base, dtype), dtype, value, guard.lanes)

    for part in range(len(partial.results)):
        place = partial.place(frame, scratch, chunk, part)
        key = ("clear", dtype, repr(start))
        _launch_elements(frame, key, [place], frame.size(partial.size), body)


def launch_accumulate(
    frame: Frame,
    partial: Partial,
    scratch: Operand,
    chunk: Operand,
    parts: Sequence[Operand],
    counts: tuple[Operand, Operand],
) -> None:
    """Combines a block's results into the accumulators.

    `counts` are the samples of the blocks before it and of the block.
    """
    dtype, source, kind = partial.accumulator, partial.dtype, partial.kind
    totals = [partial.place(frame, scratch, chunk, i) for i in range(len(parts))]

    def body(k: Kernel, others: Sequence[Operand], c: Axis, guard: Guard, lanes: int) -> None:
        f = k.f
        into, new = others[: len(parts)], others[len(parts) : 2 * len(parts)]
        old = [f.load_at(f.offset(p, c.base, dtype), dtype, lanes, guard.lanes) for p in into]
        more = [
            f.convert(
                f.load_at(f.offset(p, c.base, source), source, lanes, guard.lanes), source, dtype
            )
            for p in new
        ]
        if kind == "moments":
            found = merged_moments(k, (others[-2], old), (others[-1], more))
        else:
            found = [combine(f, kind, dtype, old[0], more[0])]
        for p, value in zip(into, found, strict=True):
            f.store_at(f.offset(p, c.base, dtype), dtype, value, guard.lanes)

    arguments = [*totals, *parts, *(counts if kind == "moments" else ())]
    key = ("accumulate", dtype, source, kind)
    _launch_elements(frame, key, arguments, frame.size(partial.size), body)


def merged_moments(
    k: Kernel,
    x: tuple[Operand, Sequence[Operand]],
    y: tuple[Operand, Sequence[Operand]],
) -> list[Operand]:
    """Mean and variance of two sets of samples: Chan, Golub and LeVeque (1979).

    Each set is the number of its samples, their mean and their variance.
    """
    f = k.f
    (n, (mean, variance)), (m, (other, spread)) = x, y
    kind = mean.type.scalar
    total = f.cast("sitofp", f.smax(f.add(n, m), 1), DOUBLE)
    ratio = f.div(f.cast("sitofp", m, DOUBLE), total)
    share = ratio if kind is DOUBLE else f.cast("fptrunc", ratio, kind)
    weight = f.mul(share, f.sub(constant(1.0, kind), share))
    apart = f.sub(other, mean)
    # In this order the first set, whose weight is 0, may be of any finite size.
    between = f.mul(apart, f.mul(apart, weight))
    merged = f.add(mean, f.mul(apart, share))
    infinite = f.compare("EQ", f.abs_(apart), constant(math.inf, kind))
    merged = f.select(infinite, f.add(mean, other), merged)
    spread = f.add(f.add(variance, f.mul(f.sub(spread, variance), share)), between)
    nothing = f.compare("EQ", m, 0)
    return [f.select(nothing, mean, merged), f.select(nothing, variance, spread)]


def launch_tree(
    frame: Frame,
    partial: Partial,
    scratch: Operand,
    results: Sequence[Operand],
    blocks_of: Callable[[Code], Operand],
) -> None:
    """Combines the accumulators of all chunks into the results."""
    f, dtype, kind = frame.f, partial.accumulator, partial.kind
    blocks = blocks_of(frame)
    total, block = frame.size(partial.over), f.index(partial.block)
    sources = [partial.place(frame, scratch, 0, i) for i in range(len(partial.results))]
    targets = [results[i] for i in partial.results]
    start, result = partial.start, partial.dtype

    def body(k: Kernel, others: Sequence[Operand], c: Axis, guard: Guard, lanes: int) -> None:
        f = k.f
        count = len(partial.results)
        into, sums = others[:count], others[count : 2 * count]
        all_blocks, samples, each, size = others[2 * count :]
        chunks = f.smin(all_blocks, CHUNKS)
        level: list[tuple[Operand, list[Operand]]] = []
        first = f.index(0)
        for i in range(CHUNKS):
            last = chunk_bound(k, f.index(i + 1), all_blocks, chunks)
            there = f.compare("LT", f.index(i), chunks)
            number = f.sub(f.smin(f.mul(last, each), samples), f.mul(first, each))
            at = f.smax(f.smin(f.index(i), f.sub(chunks, 1)), 0)
            values = []
            for p in sums:
                place = f.offset(f.offset(p, f.mul(at, size), dtype), c.base, dtype)
                value = f.load_at(place, dtype, lanes, guard.lanes)
                values.append(f.select(there, value, constant(start, value.type)))
            level.append((f.select(there, number, f.index(0)), values))
            first = last
        while len(level) > 1:
            level = [
                _pair(k, kind, dtype, x, y) for x, y in zip(level[::2], level[1::2], strict=True)
            ]
        for p, value in zip(into, level[0][1], strict=True):
            value = f.convert(value, dtype, result)
            f.store_at(f.offset(p, c.base, result), result, value, guard.lanes)

    size = frame.size(partial.size)
    arguments = [*targets, *sources, blocks, total, block, size]
    key = ("tree", dtype, result, kind)
    _launch_elements(frame, key, arguments, size, body)


def _pair(
    k: Kernel,
    kind: str,
    dtype: str,
    x: tuple[Operand, list[Operand]],
    y: tuple[Operand, list[Operand]],
) -> tuple[Operand, list[Operand]]:
    """Two neighbours of the tree."""
    count = k.f.add(x[0], y[0])
    if kind == "moments":
        return count, merged_moments(k, x, y)
    return count, [combine(k.f, kind, dtype, x[1][0], y[1][0])]
