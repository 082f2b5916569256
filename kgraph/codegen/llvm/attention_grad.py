"""The gradients of attention of one head, again without the matrix of all scores.

For each chunk of queries, and in it for each tile of them:

    weights    made once more (attention.py)
    slopes     gradients of the scores: weights * (g x values - sum of g * result), scaled, masked
    of q       slopes x keys

and for the chunk, tile of keys by tile of keys, what it adds:

    of k       slopes, turned over, x queries
    of v       weights, turned over, x g

A chunk has so many queries that a tile's sums seldom go to memory and back, but few enough for its
weights and slopes to stay in L2. Nothing is turned over in memory: the register tile reads columns
of a buffer as well as rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kgraph.codegen.llvm.attention import Head, Rows
from kgraph.codegen.llvm.emit import Index, Operand, constant, item_bytes, register_type
from kgraph.codegen.llvm.gemm_tile import Shape, accumulate

_QUERIES = 128  # of a chunk, at most
_WEIGHTS = 1 << 16  # of a chunk


def chunk_rows(shape: Shape, keys: int) -> int:
    """The queries of a chunk, in whole tiles, for about so many keys."""
    wanted = min(_QUERIES, _WEIGHTS // max(1, keys))
    return max(1, wanted // shape.rows) * shape.rows


def backward_layout(shape: Shape, chunk: int, span: Any, size: Any, width: Any) -> dict[str, Any]:
    """The elements of each piece of memory of `emit_backward`; sizes may be symbolic."""
    keys, sizes, widths = (_whole(n, shape.columns) for n in (span, size, width))
    lines = _whole(span, shape.rows)
    row = keys + shape.lanes
    return {
        "keys": keys * size,
        "values": keys * width,
        "turned": sizes * span,
        "queries": shape.rows * size,
        "gradients": shape.rows * width,
        "weights": chunk * row + shape.rows,  # a tile of keys may reach beyond the last row
        "slopes": chunk * row + shape.rows,
        "all queries": sizes * chunk,
        "all gradients": widths * chunk,
        "of keys": sizes * lines,
        "of values": widths * lines,
        "tile": shape.rows * shape.columns,
    }


def emit_backward(head: Head, y: Rows, g: Rows, of: tuple[Rows, Rows, Rows], chunk: int) -> None:
    """Writes the gradients of q, k and v; `chunk` is what the layout was made for."""
    f, rows, compute = head.f, head.shape.rows, head.compute
    keys = head.across(head.k, head.span, head.size, "keys")
    values = head.across(head.v, head.span, head.width, "values")
    turned = head.along(head.k, head.size, head.span, "turned")
    sums = [
        _Sums.of(head, name, count)
        for name, count in (("of keys", head.size), ("of values", head.width))
    ]
    weights, slopes = head.buffer("weights"), head.buffer("slopes")
    with f.loop(0, head.time, chunk, name="chunk") as start:
        live = f.smin(f.sub(head.time, start), chunk)
        with f.loop(0, live, rows, name="query") as inside:
            query = f.add(start, inside)
            some = f.smin(f.sub(head.time, query), rows)
            lines = [Rows(b.at(f, inside, compute), b.step) for b in (weights, slopes)]
            head.products(head.q, query, head.size, keys, lines[0], "queries")
            head.products(g, query, head.width, values, lines[1], "gradients")
            with f.loop(0, rows, head.together, name="row") as row:
                places = [
                    (lines[0].at(f, at, compute), lines[1].at(f, at, compute))
                    for at in (f.add(row, i) for i in range(head.together))
                ]
                _slopes(head, places, f.add(query, row), head.seen(query), y, g)
            _of_queries(head, lines[1], turned, query, some, of[0])
        queries, gradients = (Rows(x.at(f, start, head.dtype), x.step) for x in (head.q, g))
        _add(head, sums[0], slopes, queries, (start, live), chunk, "all queries")
        _add(head, sums[1], weights, gradients, (start, live), chunk, "all gradients")
    for total, to in zip(sums, of[1:], strict=True):
        total.store(head, to)


def _inner(head: Head, y: Rows, g: Rows, row: Operand) -> Operand:
    """The sum of g * y of a query."""
    f, lanes, compute = head.f, head.shape.lanes, head.compute
    whole = f.sub(head.width, f.srem(head.width, lanes))

    def step(column: Operand, mask: Operand | None, total: Operand) -> Operand:
        pair = []
        for x in (y, g):
            place = f.offset(x.at(f, row, head.dtype), column, head.dtype)
            pair.append(f.convert(f.load_at(place, head.dtype, lanes, mask), head.dtype, compute))
        return f.fma(pair[0], pair[1], total)

    zero = constant(0, register_type(compute, lanes))
    with f.carried_loop(0, whole, [zero], lanes, "column") as loop:
        loop.next(step(loop.index, None, loop.values[0]))
    if f.sub(head.width, whole).constant == 0:
        return f.reduce_lanes(loop.results[0], f.add)
    rest = f.tail_mask(f.sub(head.width, whole), lanes)
    return f.reduce_lanes(step(whole, rest, loop.results[0]), f.add)


def _slopes(
    head: Head, rows: Sequence[tuple[Operand, Operand]], first: Operand, seen: Index,
    y: Rows, g: Rows,
) -> None:  # fmt: skip
    """Rows of products to weights, and of g x values to slopes: of the queries from `first` on."""
    f, lanes, compute = head.f, head.shape.lanes, head.compute
    queries = [f.smin(f.add(first, i), f.sub(head.time, 1)) for i in range(len(rows))]
    taken = [f.splat(_inner(head, y, g, query), lanes) for query in queries]
    totals = head.exponentials([weights for weights, _ in rows], first, seen)
    shares = [f.splat(f.div(constant(1, total.type), total), lanes) for total in totals]
    with f.loop(0, head.padded(seen), lanes, name="key") as key:
        for i, pair in enumerate(rows):
            places = [f.offset(row, key, compute) for row in pair]
            e, product = (f.load_at(place, compute, lanes) for place in places)
            weight = f.mul(e, shares[i])
            slope = f.mul(f.mul(weight, f.sub(product, taken[i])), head.scale)
            allowed = head.allowed(queries[i], key)
            if allowed is not None:
                slope = f.select(allowed, slope, constant(0, slope.type))
            f.store_at(places[0], compute, weight)
            f.store_at(places[1], compute, slope)


def _of_queries(
    head: Head, slopes: Rows, turned: Operand, query: Operand, some: Operand, to: Rows
) -> None:
    f = head.f

    def finish(row: Operand, column: Operand, value: Operand, mask: Operand | None) -> None:
        place = to.at(f, f.add(query, row), head.dtype)
        head.store(f.offset(place, column, head.dtype), value, mask)

    head.weighted(slopes, turned, head.size, some, head.seen(query), finish)


class _Sums:
    """Sums over queries: a row for each key, panel after panel."""

    def __init__(self, base: Operand, count: Index, lines: Operand) -> None:
        self.base, self.count, self.lines = base, count, lines

    @staticmethod
    def of(head: Head, name: str, count: Index) -> _Sums:
        """Sums for each key of `count` columns, all zero."""
        f, rows = head.f, head.shape.rows
        lines = f.mul(f.udiv(f.add(head.span, rows - 1), rows), rows)
        found = _Sums(head.places[name], count, lines)
        size = f.mul(f.mul(head.padded(count), lines), item_bytes(head.compute))
        f.fill_bytes(found.base, 0, size)
        return found

    def place(self, head: Head, line: Operand, column: Operand) -> Operand:
        """The sums of a key from the first column of a panel on."""
        f = head.f
        at = f.add(f.mul(column, self.lines), f.mul(line, head.columns))
        return f.offset(self.base, at, head.compute)

    def store(self, head: Head, to: Rows) -> None:
        """To the rows of a result."""
        f, shape = head.f, head.shape
        with (
            f.loop(0, self.count, head.columns, name="column") as column,
            f.loop(0, head.span, name="key") as key,
        ):
            source = self.place(head, key, column)
            for v in range(shape.vectors):
                at = f.add(column, v * shape.lanes)
                piece = f.offset(source, v * shape.lanes, head.compute)
                value = f.load_at(piece, head.compute, shape.lanes)
                place = f.offset(to.at(f, key, head.dtype), at, head.dtype)
                head.store(place, value, head.tail(self.count, at))


def _add(
    head: Head, sums: _Sums, buffer: Rows, rows: Rows, queries: tuple[Operand, Operand],
    chunk: int, name: str,
) -> None:  # fmt: skip
    """Adds a chunk's columns of the buffer, times its rows of an operand.

    `queries` are the first one and how many. Where it is causal, those in front of a tile of keys
    add nothing to it; the buffer has what is behind, as tiles of keys begin where tiles of queries
    do.
    """
    f, shape = head.f, head.shape
    start, live = queries
    panels = head.along(rows, sums.count, live, name, room=chunk)
    skips = head.causal and head.mask is None
    keys = f.smin(head.span, f.add(start, live)) if skips else head.span
    with (
        f.loop(0, sums.count, head.columns, name="column") as column,
        f.loop(0, keys, shape.rows, name="key") as key,
    ):
        before = f.smax(f.sub(key, start), 0) if skips else f.index(0)
        place = f.add(f.mul(column, chunk), f.mul(before, head.columns))
        panel = f.offset(panels, place, head.compute)
        columns = f.offset(buffer.at(f, before, head.compute), key, head.compute)
        streams = head.streams(columns, range(shape.rows), buffer.step, panel)
        target = sums.place(head, key, column)
        places = [
            f.offset(target, i * shape.lanes, head.compute)
            for i in range(shape.rows * shape.vectors)
        ]
        old = [f.load_at(place, head.compute, shape.lanes) for place in places]
        new = accumulate(f, streams, f.sub(live, before), old)
        for place, value in zip(places, new, strict=True):
            f.store_at(place, head.compute, value)


def _whole(count: Any, unit: int) -> Any:
    return (count + (unit - 1)) // unit * unit
