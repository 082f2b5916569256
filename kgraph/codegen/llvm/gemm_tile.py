"""The register tile that GEMM and convolution share: rows of A against vectors of B.

A tile holds `rows x vectors` accumulators in registers. Each step of k loads `vectors` vectors of
one row of B and, per tile row, one element of A, which is spread over the lanes: so A is read in
place whatever its layout, as long as the displacements of the tile's rows are known, and only B
must be contiguous. Nothing is reloaded, the loop is bound by the multiply-add units alone when
there are enough accumulators to cover their latency (8 to 10 on all known CPUs).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import (
    Function,
    Index,
    Operand,
    constant,
    is_floating,
    item_bytes,
    register_type,
)
from kgraph.codegen.llvm.target import Target

LINE = 64  # bytes of a cache line
UNROLL = 4  # steps of k in a turn of the loop
LATENCY = 4  # of a multiply-add, in cycles; there are two in each


def compute_dtype(dtype: str) -> str:
    """The dtype in which products of this dtype are summed."""
    if dtype in ("float64", "float32"):
        return dtype
    if is_floating(dtype):
        return "float32"
    return "int64" if dtype in ("int64", "uint64") else "int32"


@dataclass(frozen=True)
class Shape:
    """Register tile: rows of A, vectors of B, lanes per vector."""

    rows: int
    vectors: int
    lanes: int

    @property
    def columns(self) -> int:
        """Columns of C in one tile, the width of a packed panel of B."""
        return self.vectors * self.lanes


def choose_shape(target: Target, dtype: str, m: int | None, n: int | None) -> Shape:
    """The tile for a compute dtype and the sizes that are known.

    32 registers take 8 rows x 2 vectors (12 rows alias in L1 when the row stride is a multiple of
    4 KB), 16 registers 6 x 2. Few columns need few vectors, which leaves registers for rows; few
    rows need more vectors to cover the latency.
    """
    lanes = target.lanes(item_bytes(dtype))
    wide = target.vector_registers >= 32
    needed = 8 if n is None else -(-n // lanes)
    if m is not None and m <= 2:
        vectors = min(8 // m, needed)
        return Shape(m, vectors, lanes)
    if m is not None and m <= 4:
        return Shape(m, min(4 if wide else 3, needed), lanes)
    if needed == 1:
        rows = 12 if wide else 10
    elif needed == 3:
        rows = 8 if wide else 4
        return Shape(rows if m is None else min(rows, m), 3, lanes)
    else:
        rows = 8 if wide else 6
    if not target.fused:
        rows = min(rows, 4)  # the product needs a register of its own
    return Shape(rows if m is None else min(rows, m), min(2, needed), lanes)


def parts_shape(target: Target, dtype: str, m: int | None, parts: int) -> Shape:
    """The tile with a vector of each part: 16 accumulators, or 8 where registers are few."""
    room = 16 if target.vector_registers >= 32 else 8
    rows = max(1, room // parts)
    lanes = target.lanes(item_bytes(dtype))
    return Shape(rows if m is None else min(rows, m), parts, lanes)


def multiply_add(f: Function, a: Operand, b: Operand, total: Operand) -> Operand:
    """`total + a * b` of floats or integers."""
    if a.type.is_float:
        return f.fma(a, b, total)
    return f.add(total, f.mul(a, b))


@dataclass(frozen=True, eq=False)
class Streams:
    """What a tile reads: pointers at k = 0 and how they move with k, in elements.

    `rows` are the displacements of the tile's rows in A; `masks` has one per vector of B, or None
    for a whole one. `ahead` is memory that will be wanted soon: in each turn of the loop, so many
    `lines` of it are brought to L2.
    """

    dtype: str
    a: Operand
    rows: Sequence[Index]
    a_step: Index
    b: Operand
    b_step: Index
    lanes: int
    masks: Sequence[Operand | None]
    ahead: Operand | None = None
    lines: int = 1


def accumulate(
    f: Function, streams: Streams, k: Index, initial: Sequence[Operand], unroll: int = UNROLL
) -> tuple[Operand, ...]:
    """Adds the products over `k` steps to the accumulators (row-major: rows, then vectors).

    Where so few would wait for each other, k is cut into as many parts as a turn has steps, each
    with accumulators of its own: memory then comes from as many places at once.
    """
    count = f.index(k)
    whole = f.sub(count, f.srem(count, unroll))
    totals = tuple(initial)
    if whole.constant is not None and whole.constant <= unroll:
        for step in range(int(whole.constant)):
            totals = _step(f, streams, streams.a, streams.b, step, totals)
    else:
        few = len(totals) * 2 <= LATENCY
        parts = unroll if few else 1
        turn = unroll // parts  # steps of a part in a turn
        length = f.udiv(whole, parts)
        more = zeros(streams.dtype, len(totals) * (parts - 1), streams.lanes)
        with f.carried_loop(0, length, totals + more, step=turn, name="k") as loop:
            a = f.offset(streams.a, f.mul(loop.index, streams.a_step), streams.dtype)
            b = f.offset(streams.b, f.mul(loop.index, streams.b_step), streams.dtype)
            if streams.ahead is not None:
                step = LINE * streams.lines // turn
                ahead = f.offset_bytes(streams.ahead, f.mul(loop.index, step))
                for line in range(streams.lines):
                    f.prefetch(f.offset_bytes(ahead, line * LINE), 2)
            sums = _groups(loop.values, len(totals))
            for part, step in itertools.product(range(parts), range(turn)):
                place = f.add(f.mul(length, part), step) if part else step
                sums[part] = _step(f, streams, a, b, place, sums[part])
            loop.next(*itertools.chain(*sums))
        totals, *others = _groups(loop.results, len(totals))
        for other in others:
            totals = tuple(f.add(x, y) for x, y in zip(totals, other, strict=True))
    rest = f.sub(count, whole)
    if rest.constant is not None:
        a = f.offset(streams.a, f.mul(whole, streams.a_step), streams.dtype)
        b = f.offset(streams.b, f.mul(whole, streams.b_step), streams.dtype)
        for step in range(int(rest.constant)):
            totals = _step(f, streams, a, b, step, totals)
        return totals
    with f.carried_loop(whole, count, totals, name="k") as tail:
        a = f.offset(streams.a, f.mul(tail.index, streams.a_step), streams.dtype)
        b = f.offset(streams.b, f.mul(tail.index, streams.b_step), streams.dtype)
        tail.next(*_step(f, streams, a, b, 0, tail.values))
    return tail.results


def _groups(values: Sequence[Operand], size: int) -> list[tuple[Operand, ...]]:
    return [tuple(values[i : i + size]) for i in range(0, len(values), size)]


def zeros(dtype: str, count: int, lanes: int) -> tuple[Operand, ...]:
    """Fresh accumulators."""
    return (constant(0, register_type(dtype, lanes)),) * count


def _step(
    f: Function, s: Streams, a: Operand, b: Operand, step: Index, totals: Sequence[Operand]
) -> tuple[Operand, ...]:
    """One k: `step` beyond the pointers a and b."""
    dtype, lanes = s.dtype, s.lanes
    b_row = f.offset(b, f.mul(s.b_step, step), dtype)
    columns = []
    for v, mask in enumerate(s.masks):
        columns.append(f.load_at(f.offset(b_row, v * lanes, dtype), dtype, lanes, mask, name="b"))
    a_row = f.offset(a, f.mul(s.a_step, step), dtype)
    result = []
    for m, row in enumerate(s.rows):
        element = f.load_at(f.offset(a_row, row, dtype), dtype, name="a")
        spread = f.splat(element, lanes)
        for v, column in enumerate(columns):
            result.append(multiply_add(f, spread, column, totals[m * len(s.masks) + v]))
    return tuple(result)
