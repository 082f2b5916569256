"""The end of a register tile: sums to memory, through the epilogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Function, Index, Operand, View, item_bytes, register_type
from kgraph.codegen.llvm.gemm_spec import GemmSpec
from kgraph.codegen.llvm.gemm_tile import LINE, Shape, compute_dtype


@dataclass(frozen=True, eq=False)
class Store:
    """Stores tiles of C inside a tile function, whose parameters it reads.

    A whole tile without an epilogue, or with an inline one, goes straight from the accumulators to
    C, without one added to the sums of earlier chunks of k. Otherwise the accumulators go to the
    stack and a small loop takes them from there: it masks the columns beyond the matrix, runs the
    epilogue, adds the sums of earlier chunks.

    `whole`: no panel is partial. Rows of the tile are `row_step` apart, as the epilogue counts
    them; with `local`, the parameter c points at the tile's first row, not at that of C.
    """

    f: Function
    spec: GemmSpec
    shape: Shape
    rows: int
    one_chunk: bool
    whole: bool
    row_step: int = 1
    local: bool = False

    def approach(self) -> None:
        """Asks for what the epilogue reads, so that it comes while the tile sums."""
        f, step = self.f, self._view().strides[0]
        first = f.add(f.mul(f.parameter("row"), step), f.parameter("column"))
        for name, dtype in self.spec.streams:
            tile = View(f.offset(f.parameter(name), first, dtype), dtype, (step, 1))
            for m in range(self.rows):
                for column in range(0, self.shape.columns, LINE // item_bytes(dtype)):
                    f.prefetch(f.address(tile, [m * self.row_step, column]), 2)

    def write(self, sums: Sequence[Operand]) -> None:
        """Stores the accumulators (row-major: rows, then vectors)."""
        f, spec = self.f, self.spec
        if spec.parts > 1:
            self._parts(sums)
            return
        straight = spec.epilogue is None or spec.inline_epilogue
        if not straight or (spec.n is not None and spec.n < self.shape.columns):
            self._by_loop(sums)
            return
        whole = f.compare("EQ", f.parameter("left"), self.shape.columns)
        sums_in_c = not self.one_chunk and spec.epilogue is None and not spec.partial
        if not self.one_chunk and not sums_in_c:
            only = f.and_(f.parameter("first"), f.parameter("last"))
            whole = f.and_(whole, only)
        elif self.whole:
            self._to_c(sums, sums_in_c)
            return
        choice = f.choose(whole)
        with choice.then():
            self._to_c(sums, sums_in_c)
            choice.give()
        with choice.otherwise():
            self._by_loop(sums)
            choice.give()

    def _to_c(self, sums: Sequence[Operand], chunks: bool) -> None:
        """Whole vectors; of `chunks`, all but the first are added to what C holds."""
        if not chunks or self.spec.accumulate:
            self._straight(sums, self.spec.accumulate)
            return
        choice = self.f.choose(self.f.parameter("first"))
        with choice.then():
            self._straight(sums, False)
            choice.give()
        with choice.otherwise():
            self._straight(sums, True)
            choice.give()

    def _straight(self, sums: Sequence[Operand], add: bool) -> None:
        f, vectors = self.f, self.shape.vectors
        for i, value in enumerate(sums):
            m = f.index(i // vectors)
            column = f.add(f.parameter("column"), i % vectors * self.shape.lanes)
            if add:
                value = f.add(value, self._load(m, column, None, value.lanes))
            self._finish(m, column, value, None)

    def _parts(self, sums: Sequence[Operand]) -> None:
        """The vectors of all parts together, row by row from the stack."""
        f, spec, shape, compute = self.f, self.spec, self.shape, compute_dtype(self.spec.dtype)
        assert spec.parts_epilogue is not None
        stack = f.alloca(register_type(compute, shape.lanes), len(sums), name="tile")
        for i, value in enumerate(sums):
            f.store_at(f.offset(stack, i * shape.lanes, compute), compute, value)
        column = f.udiv(f.parameter("column"), spec.parts)
        with f.loop(0, self.rows, name="m") as m:
            line = f.offset(stack, f.mul(m, shape.columns), compute)
            values = [
                f.load_at(f.offset(line, v * shape.lanes, compute), compute, shape.lanes)
                for v in range(spec.parts)
            ]
            row = f.add(f.parameter("row"), f.mul(m, self.row_step))
            spec.parts_epilogue(f, row, column, values)

    def _by_loop(self, sums: Sequence[Operand]) -> None:
        f, shape, compute = self.f, self.shape, compute_dtype(self.spec.dtype)
        stack = f.alloca(register_type(compute, shape.lanes), len(sums), name="tile")
        for i, value in enumerate(sums):
            f.store_at(f.offset(stack, i * shape.lanes, compute), compute, value)
        two = self.spec.long_epilogue and self.whole and shape.vectors % 2 == 0
        lanes = shape.lanes * 2 if two else shape.lanes
        with f.loop(0, self.rows, name="m") as m:
            line = f.offset(stack, f.mul(m, shape.columns), compute)

            def body(start: Operand, mask: Operand | None) -> None:
                value = f.load_at(f.offset(line, start, compute), compute, lanes)
                self._vector(m, f.add(f.parameter("column"), start), value, mask)

            f.strips(shape.columns if self.whole else f.parameter("left"), lanes, body, "n")

    def _vector(self, m: Operand, column: Operand, value: Operand, mask: Operand | None) -> None:
        """One vector on its way from the stack to C."""
        f = self.f
        if self.spec.accumulate:
            value = f.add(value, self._load(m, column, mask, value.lanes))
        elif not self.one_chunk:
            choice = f.choose(f.parameter("first"))
            with choice.then():
                choice.give(value)
            with choice.otherwise():
                before = self._unfinished()
                sums = f.load(before, [m, column], value.lanes, mask=mask)
                choice.give(f.add(value, sums))
            (value,) = choice.results
        if self.one_chunk:
            self._finish(m, column, value, mask)
            return
        end = f.choose(f.parameter("last"))
        with end.then():
            self._finish(m, column, value, mask)
            end.give()
        with end.otherwise():
            f.store(self._unfinished(), [m, column], value, mask=mask)
            end.give()

    def _finish(self, m: Operand, column: Operand, value: Operand, mask: Operand | None) -> None:
        f, spec = self.f, self.spec
        result = spec.result or spec.dtype
        if spec.epilogue is None:
            stored: Operand | None = f.convert(value, compute_dtype(spec.dtype), result)
        else:
            row = f.add(f.parameter("row"), f.mul(m, self.row_step))
            stored = spec.epilogue(f, row, column, value, mask)
        if stored is not None:
            f.store(self._view(), [m, column], stored, mask=mask)

    def _load(self, m: Operand, column: Operand, mask: Operand | None, lanes: int) -> Operand:
        """What C holds, in the compute dtype."""
        spec = self.spec
        value = self.f.load(self._view(), [m, column], lanes, mask=mask)
        return self.f.convert(value, spec.result or spec.dtype, compute_dtype(spec.dtype))

    def _unfinished(self) -> View:
        """The tile's rows where sums are held between chunks of k."""
        f, spec = self.f, self.spec
        if not spec.partial:
            return self._view()
        row: Index = f.parameter("n") if spec.n is None else spec.n
        return self._rows(View(f.parameter("partial"), compute_dtype(spec.dtype), (row, 1)))

    def _view(self) -> View:
        """The tile's rows of C."""
        f = self.f
        strides: list[Index] = [
            f.parameter(name) if value is None else value
            for name, value in zip(("c_m", "c_n"), self.spec.c_strides, strict=True)
        ]
        return self._rows(
            View(f.parameter("c"), self.spec.result or self.spec.dtype, tuple(strides))
        )

    def _rows(self, whole: View) -> View:
        """From the tile's first row on: what follows is at known distances from there."""
        if self.local:
            return whole
        f = self.f
        start = f.offset(whole.base, f.mul(f.parameter("row"), whole.strides[0]), whole.dtype)
        return View(start, whole.dtype, whole.strides)
