"""Attention of one head without the matrix of all scores: a few queries at a time against all keys.

For each tile of queries (as many as the register tile has rows):

    scores    queries x keys, a product with the keys in panels, to a buffer of the tile's rows
    weights   scaled, masked, less the maximum, exponentials, their sum: some rows of the buffer
              at a time
    result    weights x values, a product with the values in panels; one over the sum at the end

`attention_grad.py` makes the weights once more with the same code.

Where it is causal, a tile stops behind the last key that one of its queries looks at.

Keys and values are packed once for the head (`gemm_pack`), which also converts 16-bit floats: all
is computed in float32 or float64. Rows beyond the last query repeat it and are not stored; keys
beyond the last one have the score -inf and so the weight 0. Sums run in one order, whatever the
number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kgraph.codegen.llvm.emit import Function, Index, Operand, constant, register_type
from kgraph.codegen.llvm.exponential import LOG2_E, exp2_below
from kgraph.codegen.llvm.gemm_pack import Source, pack
from kgraph.codegen.llvm.gemm_tile import Shape, Streams, accumulate, zeros


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows in memory: the first one, and the elements from one to the next."""

    base: Operand
    step: Index

    def at(self, f: Function, row: Index, dtype: str) -> Operand:
        """Row `row`."""
        return f.offset(self.base, f.mul(row, self.step), dtype)


@dataclass(frozen=True, eq=False)
class Mask:
    """Bools, False where a query must not look: steps from query to query and from key to key."""

    base: Operand
    query: Index
    key: Index


@dataclass(frozen=True, eq=False)
class Head:
    """A head and how it is computed.

    Attributes:
        f: the function being written; `shape` is the register tile.
        dtype: in memory; `compute` is what it is computed in.
        time, span, size, width: queries, keys, elements of a key, elements of a value.
        scale: of the scores; `never` is the score of a key that must not be looked at.
        q, k, v: the operands; `mask` and `causal` say which keys a query looks at.
        places: memory for each entry of the layout (`forward_layout`).
    """

    f: Function
    shape: Shape
    dtype: str
    compute: str
    time: Index
    span: Index
    size: Index
    width: Index
    scale: float
    never: float
    q: Rows
    k: Rows
    v: Rows
    mask: Mask | None
    causal: bool
    places: Mapping[str, Operand]

    @property
    def columns(self) -> int:
        """The columns of a panel."""
        return self.shape.columns

    def padded(self, count: Index) -> Operand:
        """A count of columns in whole panels."""
        f = self.f
        return f.mul(f.udiv(f.add(count, self.columns - 1), self.columns), self.columns)

    def buffer(self, name: str) -> Rows:
        """Rows of a weight per key, apart from each other in L1 also where keys fill pages."""
        return Rows(self.places[name], self.f.add(self.padded(self.span), self.shape.lanes))

    def across(self, rows: Rows, count: Index, inner: Index, name: str) -> Operand:
        """Panels of a right operand whose columns are rows in memory, of `inner` elements each."""
        source = Source(rows.base, self.dtype, self.compute, rows.step, 1, count)
        return self._panels(source, count, inner, inner, name)

    def along(
        self, rows: Rows, count: Index, inner: Index, name: str, room: Index | None = None
    ) -> Operand:
        """Panels of a right operand whose rows are rows in memory: `inner` rows of `count`.

        `room` is how many rows a panel has memory for.
        """
        source = Source(rows.base, self.dtype, self.compute, 1, rows.step, count)
        return self._panels(source, count, inner, inner if room is None else room, name)

    def _panels(
        self, source: Source, count: Index, inner: Index, room: Index, name: str
    ) -> Operand:
        f, to = self.f, self.places[name]
        with f.loop(0, count, self.columns, name="panel") as first:
            place = f.offset(to, f.mul(first, room), self.compute)
            pack(f, source, place, first, self.columns, 0, inner)
        return to

    def seen(self, query: Operand) -> Index:
        """Of a tile of queries: so many keys, from the first on, are looked at.

        With a mask that may be all, by a query that may look at none.
        """
        if not self.causal or self.mask is not None:
            return self.span
        return self.f.smin(self.span, self.f.add(query, self.shape.rows))

    def products(
        self, rows: Rows, first: Operand, inner: Index, panels: Operand, to: Rows, name: str
    ) -> None:
        """A tile of rows from `first` on times each key that is seen: to the rows of a buffer."""
        f, shape = self.f, self.shape
        tile, offsets, step = self._tile(rows, first, inner, name)
        with f.loop(0, self.seen(first), self.columns, name="key") as key:
            panel = f.offset(panels, f.mul(key, inner), self.compute)
            streams = self.streams(tile, offsets, step, panel)
            sums = accumulate(f, streams, inner, self._zeros())
            for i, value in enumerate(sums):
                line = to.at(f, i // shape.vectors, self.compute)
                place = f.add(key, i % shape.vectors * shape.lanes)
                f.store_at(f.offset(line, place, self.compute), self.compute, value)

    def _tile(
        self, rows: Rows, first: Operand, inner: Index, name: str
    ) -> tuple[Operand, list[Index], int]:
        """A tile of rows, from one to the next, and from one element to the next.

        They are read where they lie if all tiles are whole.
        """
        f, count = self.f, self.shape.rows
        if self.dtype == self.compute and f.srem(self.time, count).constant == 0:
            offsets: list[Index] = [f.mul(m, rows.step) for m in range(count)]
            return rows.at(f, first, self.dtype), offsets, 1
        source = Source(rows.base, self.dtype, self.compute, rows.step, 1, self.time)
        pack(f, source, self.places[name], first, count, 0, inner)
        return self.places[name], list(range(count)), count

    @property
    def together(self) -> int:
        """So many rows go through the exponentials at a time: their chains overlap."""
        return math.gcd(self.shape.rows, 4 if self.f.target.vector_registers >= 32 else 2)

    def exponentials(self, rows: Sequence[Operand], first: Operand, seen: Index) -> list[Operand]:
        """Turns rows of products into weights that are not divided by their sums, which it gives.

        They are those of the queries from `first` on. The rows have whole panels of what is seen.
        Scores are scaled so that weights are powers of 2.
        """
        f, lanes = self.f, self.shape.lanes
        kind = register_type(self.compute, lanes)
        keys, scale = self.padded(seen), self.scale * LOG2_E
        ragged = f.srem(self.span, self.columns).constant != 0
        plain = not (self.causal or self.mask or ragged)

        def larger(a: Operand, b: Operand) -> Operand:
            """Without NaN: the exponential of a NaN makes its sum one."""
            return f.select(f.compare("GT", b, a), b, a)

        with f.carried_loop(0, keys, [constant(self.never, kind)] * len(rows), lanes) as top:
            found = []
            for i, (row, before) in enumerate(zip(rows, top.values, strict=True)):
                place = f.offset(row, top.index, self.compute)
                score = f.mul(f.load_at(place, self.compute, lanes), scale)
                allowed = self.allowed(f.add(first, i), top.index)
                if allowed is not None:
                    score = f.select(allowed, score, constant(self.never, kind))
                if ragged:
                    left = f.smin(f.smax(f.sub(self.span, top.index), 0), lanes)
                    exists = f.tail_mask(left, lanes)
                    score = f.select(exists, score, constant(float("-inf"), kind))
                if not plain:
                    f.store_at(place, self.compute, score)
                found.append(larger(before, score))
            top.next(*found)
        largest = [f.splat(f.reduce_lanes(x, larger), lanes) for x in top.results]
        with f.carried_loop(0, keys, [constant(0, kind)] * len(rows), lanes) as total:
            found = []
            for row, most, before in zip(rows, largest, total.values, strict=True):
                place = f.offset(row, total.index, self.compute)
                score = f.load_at(place, self.compute, lanes)
                # What the first loop stored is scaled.
                less = f.fma(score, scale, f.neg(most)) if plain else f.sub(score, most)
                e = exp2_below(f, less)
                f.store_at(place, self.compute, e)
                found.append(f.add(before, e))
            total.next(*found)
        return [f.reduce_lanes(x, f.add) for x in total.results]

    def allowed(self, query: Operand, key: Operand) -> Operand | None:
        """Which of the keys from `key` on the query may look at; None for all."""
        f, lanes = self.f, self.shape.lanes
        found: Operand | None = None
        if self.causal:
            found = f.tail_mask(f.smin(f.smax(f.sub(f.add(query, 1), key), 0), lanes), lanes)
        if self.mask is not None:
            m = self.mask
            query = f.smin(query, f.sub(self.time, 1))
            place = f.add(f.mul(query, m.query), f.mul(key, m.key))
            pointer = f.offset(m.base, place, "bool")
            if f.index(m.key).constant == 0:
                looks = f.splat(f.load_at(pointer, "bool"), lanes)
            else:
                left = f.smin(f.smax(f.sub(self.span, key), 0), lanes)
                looks = f.load_at(pointer, "bool", lanes, f.tail_mask(left, lanes))
            found = looks if found is None else f.and_(found, looks)
        return found

    def weighted(
        self, weights: Rows, panels: Operand, count: Index, live: Operand, seen: Index,
        finish: Callable[[Operand, Operand, Operand, Operand | None], None],
    ) -> None:  # fmt: skip
        """A tile of weights times `count` columns; `finish(row, column, value, mask)` stores."""
        f, shape = self.f, self.shape
        stack = self.places["tile"]
        with f.loop(0, count, self.columns, name="column") as column:
            panel = f.offset(panels, f.mul(column, self.span), self.compute)
            offsets = [f.mul(m, weights.step) for m in range(shape.rows)]
            streams = self.streams(weights.base, offsets, 1, panel)
            for i, value in enumerate(accumulate(f, streams, seen, self._zeros())):
                f.store_at(f.offset(stack, i * shape.lanes, self.compute), self.compute, value)
            with f.loop(0, live, name="row") as row:
                line = f.offset(stack, f.mul(row, shape.columns), self.compute)
                for v in range(shape.vectors):
                    at = v * shape.lanes
                    value = f.load_at(f.offset(line, at, self.compute), self.compute, shape.lanes)
                    finish(row, f.add(column, at), value, self.tail(count, f.add(column, at)))

    def tail(self, count: Index, start: Operand) -> Operand | None:
        """The mask of a vector that may reach beyond `count`; None where none does."""
        f, lanes = self.f, self.shape.lanes
        if f.srem(count, self.columns).constant == 0:
            return None
        return f.tail_mask(f.smin(f.smax(f.sub(count, start), 0), lanes), lanes)

    def streams(self, a: Operand, rows: Any, a_step: Index, panel: Operand) -> Streams:
        """What a register tile reads: rows of weights, and a panel."""
        shape = self.shape
        return Streams(
            self.compute, a, list(rows), a_step, panel, self.columns, shape.lanes,
            [None] * shape.vectors,
        )  # fmt: skip

    def _zeros(self) -> tuple[Operand, ...]:
        return zeros(self.compute, self.shape.rows * self.shape.vectors, self.shape.lanes)

    def store(self, to: Operand, value: Operand, mask: Operand | None) -> None:
        """A vector to a result."""
        self.f.store_at(to, self.dtype, self.f.convert(value, self.compute, self.dtype), mask)


def forward_layout(shape: Shape, span: Any, size: Any, width: Any) -> dict[str, Any]:
    """The elements of each piece of memory of `emit_forward`; sizes may be symbolic."""
    keys = _whole(span, shape.columns)
    return {
        "keys": keys * size,
        "values": _whole(width, shape.columns) * span,
        "queries": shape.rows * size,
        "weights": shape.rows * (keys + shape.lanes),
        "sums": shape.rows,
        "tile": shape.rows * shape.columns,
    }


def emit_forward(head: Head, y: Rows) -> None:
    """Writes the result of a head to the rows of y."""
    f, rows = head.f, head.shape.rows
    keys = head.across(head.k, head.span, head.size, "keys")
    values = head.along(head.v, head.width, head.span, "values")
    weights, sums = head.buffer("weights"), head.places["sums"]
    with f.loop(0, head.time, rows, name="query") as query:
        live, seen = f.smin(f.sub(head.time, query), rows), head.seen(query)
        head.products(head.q, query, head.size, keys, weights, "queries")
        with f.loop(0, rows, head.together, name="row") as row:
            lines = [weights.at(f, f.add(row, i), head.compute) for i in range(head.together)]
            one = constant(1, register_type(head.compute))
            for i, total in enumerate(head.exponentials(lines, f.add(query, row), seen)):
                place = f.offset(sums, f.add(row, i), head.compute)
                f.store_at(place, head.compute, f.div(one, total))

        def finish(row: Operand, column: Operand, value: Operand, mask: Operand | None) -> None:
            share = f.load_at(f.offset(sums, row, head.compute), head.compute)
            place = f.offset(y.at(f, f.add(query, row), head.dtype), column, head.dtype)
            head.store(place, f.mul(value, f.splat(share, value.lanes)), mask)

        head.weighted(weights, values, head.width, live, seen, finish)


def _whole(count: Any, unit: int) -> Any:
    return (count + (unit - 1)) // unit * unit
