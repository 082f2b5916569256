"""Matrix products: C[m, n] (+)= sum over k of A[m, k] B[k, n], tiled for registers and caches.

Loop order, from the outside:

    chunks of k        so that a panel of B (chunk x tile columns) takes a quarter of L2: one
                       chunk up to about 2000, or chunks of 512 when k is unknown
    blocks of rows     so that their part of A stays in half of L2 while all panels pass by
    panels of columns  packed at the beginning of a chunk
    tiles of rows      A from L1, the panel from L2: the register tile (gemm_tile.py), which
                       brings a part of the next panel nearer where all are packed

A is read in place when its rows are at known displacements that leave L1 room for them, else
packed. B is read in place when every element is used by one tile only (few rows), or when its rows
are one tile wide. k is never split over threads: a caller gives each thread a range of row tiles or
of column panels, and results do not depend on the split.

Sizes may be numbers or run-time arguments. 16-bit floats are summed in float32, small integers in
int32, and rounded once.
"""

from __future__ import annotations

from kgraph.codegen.llvm.emit import (
    I1,
    I64,
    PTR,
    Function,
    Index,
    Module,
    Operand,
    Type,
    constant,
    item_bytes,
)
from kgraph.codegen.llvm.gemm_dot import dots, emit_dots
from kgraph.codegen.llvm.gemm_pack import Source, pack
from kgraph.codegen.llvm.gemm_spec import (
    FEW_ROWS,
    Epilogue,
    GemmSpec,
    block_rows,
    depth,
    direct_a,
    direct_b,
    few_rows_shape,
    one_chunk,
    splittable,
    whole_panels,
)
from kgraph.codegen.llvm.gemm_store import Store
from kgraph.codegen.llvm.gemm_tile import (
    LINE,
    UNROLL,
    Shape,
    Streams,
    accumulate,
    compute_dtype,
    zeros,
)

__all__ = ["Epilogue", "GemmSpec", "emit_gemm", "emit_pack_b"]


def emit_gemm(module: Module, name: str, spec: GemmSpec) -> str:
    """Defines the function `name` with `spec.parameters()`, no result; returns its name.

    The arrays need no alignment but that of their elements. C must not overlap A or B.
    """
    target = module.target
    shape = spec.shape(target)
    if dots(spec):
        emit_dots(module, name, spec)
        return name
    few = few_rows_shape(spec, target)
    if few is not None:
        with module.function(name + ".few", spec.parameters(), internal=True) as f:
            _Gemm(module, f, spec, few, in_place=True).emit()
    with module.function(name, spec.parameters()) as f:
        body = _Gemm(module, f, spec, shape, in_place=direct_b(spec, shape))
        if few is None:
            body.emit()
        else:
            choice = f.choose(f.compare("LE", body.m, FEW_ROWS))
            with choice.then():
                f.call(name + ".few", f.parameters)
                choice.give()
            with choice.otherwise():
                body.emit()
                choice.give()
    return name


def emit_pack_b(module: Module, name: str, spec: GemmSpec) -> str:
    """Defines `name(b, packed, lo, hi, ...)`: writes panels lo .. hi of B for `packed_b`.

    Further parameters are those of n, k and B's strides that are not constant, then `extra`.
    """
    names = ("n", "k", "b_k", "b_n")
    values = (spec.n, spec.k, *spec.b_strides)
    unknown = [(item, I64) for item, value in zip(names, values, strict=True) if value is None]
    head = [("b", PTR), ("packed", PTR), ("lo", I64), ("hi", I64)]
    with module.function(name, [*head, *unknown, *spec.extra]) as f:
        shape, compute = spec.shape(module.target), compute_dtype(spec.dtype)
        n, k, b_k, b_n = (
            f.parameter(item) if value is None else value
            for item, value in zip(names, values, strict=True)
        )
        b, packed = f.parameter("b"), f.parameter("packed")
        source = Source(b, spec.dtype, compute, b_n, b_k, n, spec.prologue_b, spec.parts)
        with f.loop(f.parameter("lo"), f.parameter("hi"), name="panel") as panel:
            first = f.mul(panel, shape.columns)
            to = f.offset(packed, f.mul(first, k), compute)
            pack(f, source, to, first, shape.columns, 0, k)
    return name


_TOGETHER = 16  # k of a tile that are packed before those of the next tile


class _Gemm:
    """One function being emitted, with a register tile; `in_place`: B is not packed."""

    def __init__(
        self, module: Module, f: Function, spec: GemmSpec, shape: Shape, in_place: bool
    ) -> None:
        self.module, self.f, self.spec, self.shape = module, f, spec, shape
        self.target = module.target
        self.compute = compute_dtype(spec.dtype)
        self.direct_a = direct_a(spec, self.target)
        self.direct_b = in_place
        self.packs_b = not (in_place or spec.packed_b)
        self.m, self.n, self.k = (
            self._size(name, value) for name, value in (("m", spec.m), ("n", spec.n), ("k", spec.k))
        )
        self.a_m, self.a_k = self._pair("a", "mk", spec.a_strides)
        self.b_k, self.b_n = self._pair("b", "kn", spec.b_strides)
        self.c_m, self.c_n = self._pair("c", "mn", spec.c_strides)

    def _size(self, name: str, value: int | None) -> Index:
        return self.f.parameter(name) if value is None else value

    def _pair(self, matrix: str, dims: str, values: tuple[int | None, int | None]) -> list[Index]:
        return [self._size(f"{matrix}_{d}", v) for d, v in zip(dims, values, strict=True)]

    def emit(self) -> None:
        """The nest of chunks, blocks, panels and tiles."""
        f, spec, shape = self.f, self.spec, self.shape
        unit = spec.shape(self.target)
        lo, hi = f.parameter("lo"), f.parameter("hi")
        rows: tuple[Index, Index] = (0, self.m)
        columns: tuple[Index, Index] = (0, self.n)
        if spec.split != "columns":
            rows = (f.mul(lo, unit.rows), f.smin(f.mul(hi, unit.rows), self.m))
        if spec.split == "both":
            lo, hi = f.parameter("from"), f.parameter("to")
        if spec.split != "rows":
            columns = (f.mul(lo, unit.columns), f.smin(f.mul(hi, unit.columns), self.n))
        scratch = f.align_up(f.parameter("scratch"), 64)
        deep = depth(spec, self.target, unit)
        block = block_rows(spec, self.target, unit)
        # Sums that have no place between chunks are made in one, however long.
        chunk: Index = deep if splittable(spec) else f.smax(self.k, 1)
        a_bytes = f.mul(chunk, (block + unit.rows) * item_bytes(self.compute))
        packed_b = f.offset_bytes(scratch, f.and_(f.add(a_bytes, 63), -64))
        tiles = _Tiles(self)
        limit = f.index(self.k).constant
        # k == 0 is one empty chunk, which stores zeros.
        stop = max(1, int(limit)) if limit is not None else f.smax(self.k, 1)
        single = one_chunk(spec, self.target)
        with f.loop(0, stop, chunk, name="chunk") as start:
            k = f.smin(chunk, f.sub(self.k, start))
            first = constant(1, I1) if single else f.compare("EQ", start, 0)
            if spec.continued:
                first = f.and_(first, f.compare("NE", f.parameter("fresh"), 0))
            rest = f.add(start, chunk)
            last = constant(1, I1) if single else f.compare("GE", rest, stop)
            start = constant(0, I64) if single else start
            k = f.index(self.k) if single else k
            if self.packs_b:
                self._pack_b(packed_b, columns, start, k)
            with f.loop(*rows, block, name="block") as row:
                row_end = f.smin(f.add(row, block), rows[1])
                if not self.direct_a:
                    self._pack_a(scratch, row, row_end, start, k)
                with f.loop(*columns, shape.columns, name="column") as column:
                    b, b_step = self._panel(packed_b, column, columns[0], start, k)
                    left = f.smin(f.sub(columns[1], column), shape.columns)
                    tiles.run(scratch, b, b_step, (row, row_end), (column, left), (start, k),
                              (first, last))  # fmt: skip

    def _pack_a(
        self, scratch: Operand, row: Operand, row_end: Operand, start: Operand, k: Operand
    ) -> None:
        f, spec, shape = self.f, self.spec, self.shape
        source = Source(
            f.parameter("a"), spec.dtype, self.compute, self.a_m, self.a_k, self.m, spec.prologue_a
        )
        ends = (row, row_end)
        self._pack(source, scratch, ends, shape.rows, start, k)

    def _pack_b(
        self, packed: Operand, columns: tuple[Index, Index], start: Operand, k: Operand
    ) -> None:
        f, spec = self.f, self.spec
        source = Source(
            f.parameter("b"), spec.dtype, self.compute, self.b_n, self.b_k, self.n,
            spec.prologue_b, spec.parts,
        )  # fmt: skip
        self._pack(source, packed, columns, self.shape.columns, start, k)

    def _pack(
        self, source: Source, to: Operand, ends: tuple[Index, Index], width: int,
        start: Operand, k: Operand,
    ) -> None:  # fmt: skip
        """Packs the tiles of a chunk of k.

        Of a long sum, where what is next to each other belongs to the same k, some k of all tiles
        are packed before the next, so that memory is read along: it comes before it is asked for.
        """
        f = self.f
        along = self.spec.long and f.index(source.stride).constant == 1
        some: Index = _TOGETHER if along else f.smax(k, 1)
        with (
            f.loop(0, k, some, name="some") as done,
            f.loop(*ends, width, name="pack") as first,
        ):
            place = f.add(f.mul(f.sub(first, ends[0]), k), f.mul(done, width))
            whole = f.srem(k, some).constant == 0
            left = some if whole else f.smin(f.sub(k, done), some)
            target = f.offset(to, place, self.compute)
            pack(f, source, target, first, width, f.add(start, done), left)

    def _panel(
        self,
        packed: Operand,
        column: Operand,
        first_column: Index,
        start: Operand,
        k: Operand,
    ) -> tuple[Operand, Index]:
        """Pointer to the panel at its first k, and the elements between its steps."""
        f, spec, shape = self.f, self.spec, self.shape
        b = f.parameter("b")
        if self.direct_b:
            return f.offset(b, f.add(f.mul(start, self.b_k), column), self.compute), self.b_k
        if spec.packed_b:
            place = f.add(f.mul(column, self.k), f.mul(start, shape.columns))
            return f.offset(b, place, self.compute), shape.columns
        panel = f.offset(packed, f.mul(f.sub(column, first_column), k), self.compute)
        return panel, shape.columns


class _Tiles:
    """The calls of the tile functions for one panel and one block of rows."""

    def __init__(self, gemm: _Gemm) -> None:
        self.gemm = gemm

    def run(
        self,
        packed_a: Operand,
        b: Operand,
        b_step: Index,
        rows: tuple[Operand, Operand],
        columns: tuple[Operand, Operand],
        inner: tuple[Operand, Operand],
        ends: tuple[Operand, Operand],
    ) -> None:
        """Whole tiles in a loop, then what remains in halves."""
        gemm, f = self.gemm, self.gemm.f
        spec, height = gemm.spec, gemm.shape.rows
        (row, row_end), (start, k) = rows, inner
        heights = [height]
        if spec.m is None:
            heights += [size for size in (height // 2, 1) if 0 < size < height]
        elif spec.m % height:
            heights.append(spec.m % height)

        def call(first: Operand, count: int) -> None:
            if gemm.direct_a:
                place = f.add(f.mul(first, gemm.a_m), f.mul(start, gemm.a_k))
                a = f.offset(f.parameter("a"), place, gemm.compute)
            else:
                inside = f.sub(first, row)
                lane = f.urem(inside, height)
                place = f.add(f.mul(f.sub(inside, lane), k), lane)
                a = f.offset(packed_a, place, gemm.compute)
            name = self._tile(count)
            arguments = [a, b, f.index(b_step), k, first, *columns, *ends]
            if spec.packed_b:
                # Each tile brings a part of the next panel nearer.
                done = f.mul(f.udiv(f.sub(first, row), height), f.mul(k, LINE // UNROLL))
                panel = f.mul(gemm.k, gemm.shape.columns * item_bytes(gemm.compute))
                arguments.append(f.offset_bytes(b, f.add(panel, done)))
            f.call(name, [*arguments, *(f.parameter(name) for name, _ in _passed(spec))])

        whole = f.sub(row_end, f.srem(f.sub(row_end, row), height))
        with f.loop(row, whole, height, name="row") as first:
            call(first, height)
        for count in heights[1:]:
            start_row = whole
            whole = f.sub(row_end, f.srem(f.sub(row_end, start_row), count))
            with f.loop(start_row, whole, count, name="row") as first:
                call(first, count)

    def _tile(self, rows: int) -> str:
        gemm = self.gemm
        name = f"{gemm.f.name}.tile{rows}x{gemm.shape.columns}"
        if name not in gemm.module:
            _emit_tile(gemm, name, rows)
        return name


def _passed(spec: GemmSpec) -> list[tuple[str, Type]]:
    """What a tile needs besides its own place: C, its strides, and the hooks' parameters."""
    sizes = [n for n, v in zip(("c_m", "c_n"), spec.c_strides, strict=True) if v is None]
    sizes += ["n"] if spec.partial and spec.n is None else []
    memory = ["c", *(["partial"] if spec.partial else [])]
    return [*((name, PTR) for name in memory), *((name, I64) for name in sizes), *spec.extra]


def _emit_tile(gemm: _Gemm, name: str, rows: int) -> None:
    """`name(a, b, b_step, k, row, column, left, first, last, c, ...)`: one register tile."""
    spec, shape = gemm.spec, gemm.shape
    head = [("a", PTR), ("b", PTR), ("b_step", I64), ("k", I64), ("row", I64), ("column", I64),
            ("left", I64), ("first", I1), ("last", I1)]  # fmt: skip
    head += [("ahead", PTR)] if spec.packed_b else []
    with gemm.module.function(name, [*head, *_passed(spec)], internal=True) as f:
        packed = not gemm.direct_a
        row_step = 1 if packed else spec.a_strides[0] or 0
        offsets = [m * row_step for m in range(rows)]
        a_step = shape.rows if packed else spec.a_strides[1]
        known = not gemm.direct_b
        b_step: Index = shape.columns if known else f.parameter("b_step")
        if gemm.direct_b and spec.b_strides[0] is not None:
            b_step = spec.b_strides[0]
        k: Index = f.parameter("k")
        if one_chunk(spec, gemm.target):
            k = spec.k or 0
        assert a_step is not None
        lanes, compute = shape.lanes, gemm.compute

        def sums(left: Operand | None) -> tuple[Operand, ...]:
            masks = [
                None if left is None else f.tail_mask(f.smax(f.sub(left, v * lanes), 0), lanes)
                for v in range(shape.vectors)
            ]
            streams = Streams(
                compute, f.parameter("a"), offsets, a_step, f.parameter("b"), b_step, lanes, masks,
                ahead=f.parameter("ahead") if spec.packed_b else None,
            )  # fmt: skip
            unroll = UNROLL if rows in (1, shape.rows) else 2
            start = zeros(compute, rows * shape.vectors, lanes)
            return accumulate(f, streams, k, start, unroll)

        whole = whole_panels(spec, gemm.target, shape)
        single = one_chunk(spec, gemm.target) or not splittable(spec)
        store = Store(f, spec, shape, rows, single, whole)
        store.approach()
        if whole or not gemm.direct_b:
            store.write(sums(None))
            return
        # B in place: the last panel must not be read beyond its end.
        left = f.parameter("left")
        choice = f.choose(f.compare("EQ", left, shape.columns))
        with choice.then():
            store.write(sums(None))
            choice.give()
        with choice.otherwise():
            store.write(sums(left))
            choice.give()
