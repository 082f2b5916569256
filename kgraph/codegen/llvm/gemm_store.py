"""The end of a register tile: sums to memory, through the epilogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Function, Index, Operand, View, register_type
from kgraph.codegen.llvm.gemm_spec import GemmSpec
from kgraph.codegen.llvm.gemm_tile import Shape, compute_dtype


@dataclass(frozen=True, eq=False)
class Store:
    """Stores tiles of C inside a tile function, whose parameters it reads.

    A whole tile without an epilogue, or with an inline one, goes straight from the accumulators to
    C. Otherwise the accumulators go to the stack and a small loop takes them from there: it masks
    the columns beyond the matrix, runs the epilogue, adds what C holds from earlier chunks of k.
    """

    f: Function
    spec: GemmSpec
    shape: Shape
    rows: int
    one_chunk: bool
    whole: bool  # no panel is partial

    def write(self, sums: Sequence[Operand]) -> None:
        """Stores the accumulators (row-major: rows, then vectors)."""
        f, spec = self.f, self.spec
        straight = spec.epilogue is None or spec.inline_epilogue
        if not straight or (spec.n is not None and spec.n < self.shape.columns):
            self._by_loop(sums)
            return
        whole = f.compare("EQ", f.parameter("left"), self.shape.columns)
        if not self.one_chunk:
            only = f.and_(f.parameter("first"), f.parameter("last"))
            whole = f.and_(whole, only)
        elif self.whole:
            self._straight(sums)
            return
        choice = f.choose(whole)
        with choice.then():
            self._straight(sums)
            choice.give()
        with choice.otherwise():
            self._by_loop(sums)
            choice.give()

    def _straight(self, sums: Sequence[Operand]) -> None:
        """Whole vectors of the only chunk."""
        f, vectors = self.f, self.shape.vectors
        for i, value in enumerate(sums):
            row = f.add(f.parameter("row"), i // vectors)
            column = f.add(f.parameter("column"), i % vectors * self.shape.lanes)
            if self.spec.accumulate:
                value = f.add(value, self._load(row, column, None))
            self._finish(row, column, value, None)

    def _by_loop(self, sums: Sequence[Operand]) -> None:
        f, shape, compute = self.f, self.shape, compute_dtype(self.spec.dtype)
        stack = f.alloca(register_type(compute, shape.lanes), len(sums), name="tile")
        for i, value in enumerate(sums):
            f.store_at(f.offset(stack, i * shape.lanes, compute), compute, value)
        with f.loop(0, self.rows, name="m") as m:
            row = f.add(f.parameter("row"), m)
            line = f.offset(stack, f.mul(m, shape.columns), compute)

            def body(start: Operand, mask: Operand | None) -> None:
                value = f.load_at(f.offset(line, start, compute), compute, shape.lanes)
                self._vector(row, f.add(f.parameter("column"), start), value, mask)

            f.strips(shape.columns if self.whole else f.parameter("left"), shape.lanes, body, "n")

    def _vector(self, row: Operand, column: Operand, value: Operand, mask: Operand | None) -> None:
        """One vector on its way from the stack to C."""
        f = self.f
        if self.spec.accumulate:
            value = f.add(value, self._load(row, column, mask))
        elif not self.one_chunk:
            choice = f.choose(f.parameter("first"))
            with choice.then():
                choice.give(value)
            with choice.otherwise():
                choice.give(f.add(value, self._load(row, column, mask)))
            (value,) = choice.results
        if self.one_chunk:
            self._finish(row, column, value, mask)
            return
        end = f.choose(f.parameter("last"))
        with end.then():
            self._finish(row, column, value, mask)
            end.give()
        with end.otherwise():
            f.store(self._view(), [row, column], value, mask=mask)
            end.give()

    def _finish(self, row: Operand, column: Operand, value: Operand, mask: Operand | None) -> None:
        f, spec = self.f, self.spec
        result = spec.result or spec.dtype
        if spec.epilogue is None:
            stored: Operand | None = f.convert(value, compute_dtype(spec.dtype), result)
        else:
            stored = spec.epilogue(f, row, column, value, mask)
        if stored is not None:
            f.store(self._view(), [row, column], stored, mask=mask)

    def _load(self, row: Operand, column: Operand, mask: Operand | None) -> Operand:
        """What C holds, in the compute dtype."""
        spec = self.spec
        value = self.f.load(self._view(), [row, column], self.shape.lanes, mask=mask)
        return self.f.convert(value, spec.result or spec.dtype, compute_dtype(spec.dtype))

    def _view(self) -> View:
        f = self.f
        strides: list[Index] = [
            f.parameter(name) if value is None else value
            for name, value in zip(("c_m", "c_n"), self.spec.c_strides, strict=True)
        ]
        return View(f.parameter("c"), self.spec.result or self.spec.dtype, tuple(strides))
