"""The kernel of a reduction: rows and columns of results, loops over what is reduced."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kgraph.codegen.llvm.emit import Operand, constant, is_floating, register_type
from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.elementwise import accumulator, combine
from kgraph.codegen.llvm.lower.frame import Kernel
from kgraph.codegen.llvm.lower.hoist import Hoisting
from kgraph.codegen.llvm.lower.index import ALWAYS, ZERO, Axis, Guard, Index
from kgraph.codegen.llvm.lower.reduction import CHUNKS, Reduction
from kgraph.codegen.llvm.lower.tiling import strips
from kgraph.ir import TensorType, Value, numpy_dtype
from kgraph.ir.ops.common import identity
from kgraph.ir.ops.reduce import Reduce

_BLOCK = 256  # turns of a loop between which partial sums start anew

Sums: TypeAlias = "tuple[Operand, ...]"


@dataclass(frozen=True, eq=False)
class Stored:
    """Where a value of the space lies that a kernel writes or has written: it has these `dims`."""

    value: Value
    base: Operand
    type: TensorType
    dims: tuple[int, ...]


class ReductionKernel:
    """One reduction kernel being written.

    `stores` are written beside the sums, `reads` are read rather than computed.
    """

    def __init__(
        self,
        plan: Reduction,
        k: Kernel,
        evaluator: Evaluator,
        stores: Sequence[Stored],
        reads: Sequence[Stored] = (),
    ) -> None:
        self.plan, self.k, self.f = plan, k, k.f
        self.sizes = plan.sizes(k)
        self.evaluator = evaluator
        self.stores, self.reads = stores, reads
        self.outputs: dict[Value, Operand] = {}
        self.partials: Operand | None = None
        self.chunk = k.f.index(0)
        self.range: tuple[Operand, Operand] | None = None

    @staticmethod
    def of(plan: Reduction, k: Kernel) -> ReductionKernel:
        """The kernel that was launched with a plan's inputs, outputs and partial results."""
        body = plan.body
        ends = (len(body.params), len(body.params) + len(body.results))
        inputs = dict(zip(body.params, k.arguments[: ends[0]], strict=True))
        outputs = dict(zip(body.results, k.arguments[ends[0] : ends[1]], strict=True))
        stores = [
            Stored(v, outputs[v], v.type, tuple(range(v.type.rank)))
            for v in body.results
            if not isinstance(v.op, Reduce)
        ]
        kernel = ReductionKernel(plan, k, Evaluator(k, body, inputs, plan.lanes), stores)
        kernel.outputs = outputs
        kernel.partials = k.arguments[ends[1]] if plan.chunk else None
        return kernel

    def write(self) -> None:
        plan, f = self.plan, self.f
        tiling = plan.tiling(self.k, self.sizes)
        Hoisting(self.evaluator, plan.body, plan.space).at([])
        index = self.k.index
        if plan.chunk:
            count = tiling.count()
            self.chunk, index = f.udiv(index, count), f.urem(index, count)
            size = plan.length(self.k, self.sizes)
            length = plan.chunk_length(self.k, size)
            first = f.mul(self.chunk, length)
            self.range = (f.smin(first, size), f.smin(f.add(first, length), size))
        rows, columns = tiling.bounds(index)

        def row(axes: list[Axis]) -> None:
            with self.evaluator.scope():
                if plan.columns_kept:
                    self._columns(axes, columns)
                else:
                    self._row(axes)

        tiling.each_row(rows, row)

    # Vectors along kept columns ---------------------------------------------------------------

    def _columns(self, axes: list[Axis], columns: tuple[Operand, Operand]) -> None:
        """Blocks of vectors side by side, then single ones."""
        plan, f = self.plan, self.f
        start, stop = columns
        if plan.lanes and plan.vectors > 1:
            width = plan.lanes * plan.vectors
            whole = f.sub(stop, f.srem(f.sub(stop, start), width))
            with f.loop(start, whole, width, name="c") as c:
                self._column(
                    axes, [Axis(f.add(c, v * plan.lanes), 1) for v in range(plan.vectors)], ALWAYS
                )
            start = whole
        strips(self.k, (start, stop), plan.lanes, lambda c, guard: self._column(axes, [c], guard))

    def _column(self, axes: list[Axis], columns: list[Axis], guard: Guard) -> None:
        plan = self.plan
        known = dict(zip(plan.kept, axes, strict=False))
        last = len(plan.space.runs) - 1

        def element(found: dict[int, Axis]) -> Sums:
            each: list[Operand] = []
            for column in columns:
                each += self._elements({**found, last: column}, guard)
            return tuple(each)

        outer = plan.outer
        levels = [outer, *([k] for k in plan.reduced[len(outer) :])]
        sums = self._nest(levels, known, len(columns), element)
        count = len(plan.reduces)
        for v, column in enumerate(columns):
            self._store({**known, last: column}, sums[v * count : (v + 1) * count], guard)

    # Vectors along reduced columns ------------------------------------------------------------

    def _row(self, axes: list[Axis]) -> None:
        """A row of results."""
        known = dict(zip(self.plan.kept, axes, strict=False))
        self._store(known, self.row(known), ALWAYS)

    def row(self, known: dict[int, Axis]) -> list[Operand]:
        """The results of a row: vectors of partial results, combined at the end."""
        plan, f = self.plan, self.f
        outer, last = plan.reduced[:-1], len(plan.space.runs) - 1

        def column(found: dict[int, Axis]) -> Sums:
            bounds = self._bounds([last], first=not outer)
            return self._along(bounds, lambda c, guard: self._elements({**found, last: c}, guard))

        if not plan.space.runs:
            sums = self._combined(self._fresh(1), tuple(self._elements({}, ALWAYS)))
        else:
            sums = self._nest([outer] if outer else [], known, plan.vectors, column)
        results = []
        for i, op in enumerate(plan.reduces):
            dtype = accumulator(op.x.dtype)
            mine = list(sums[i :: len(plan.reduces)])
            while len(mine) > 1:
                half = len(mine) // 2
                pairs = zip(mine[:half], mine[half : 2 * half], strict=True)
                mine = [combine(f, op.kind, dtype, x, y) for x, y in pairs] + mine[2 * half :]
            results.append(self._lanes(op.kind, dtype, mine[0]))
        return results

    def _lanes(self, kind: str, dtype: str, vector: Operand) -> Operand:
        return self.f.reduce_lanes(vector, lambda x, y: combine(self.f, kind, dtype, x, y))

    def _along(
        self, bounds: tuple[Operand, Operand], element: Callable[[Axis, Guard], list[Operand]]
    ) -> Sums:
        """Partial results over columns: blocks of vectors, then the rest into the first of them."""
        plan, f = self.plan, self.f
        start, stop = bounds
        lanes, count = max(plan.lanes, 1), len(plan.reduces)
        width = lanes * plan.vectors
        whole = f.sub(stop, f.srem(f.sub(stop, start), width))

        def block(c: Operand) -> Sums:
            with self.evaluator.scope():
                each: list[Operand] = []
                for v in range(plan.vectors):
                    each += element(Axis(f.add(c, v * lanes), 1), ALWAYS)
            return tuple(each)

        if whole.constant is not None and whole.constant == start.constant:
            sums = self._fresh(plan.vectors)
        else:
            sums = self._loop(start, whole, width, plan.vectors, block)
        if plan.lanes == 0 or whole.text == stop.text:
            return sums

        def single(c: Axis, guard: Guard) -> Sums:
            with self.evaluator.scope():
                values = tuple(element(c, guard))
            if guard.lanes is not None:
                values = tuple(
                    f.select(guard.lanes, x, y) for x, y in zip(values, self._fresh(1), strict=True)
                )
            return values

        first = sums[:count]
        if plan.vectors > 1:
            ends = f.sub(stop, f.srem(f.sub(stop, whole), lanes))
            with f.carried_loop(whole, ends, first, lanes, name="c") as loop:
                loop.next(*self._combined(loop.values, single(Axis(loop.index, 1), ALWAYS)))
            first, whole = loop.results, ends
        rest = f.sub(stop, whole)
        if rest.constant == 0:
            return (*first, *sums[count:])

        def tail() -> Sums:
            return self._combined(
                first, single(Axis(whole, 1), Guard(lanes=f.tail_mask(rest, lanes)))
            )

        if rest.constant is not None:
            return (*tail(), *sums[count:])
        choice = f.choose(f.compare("GT", rest, 0))
        with choice.then():
            choice.give(*tail())
        with choice.otherwise():
            choice.give(*first)
        return (*choice.results, *sums[count:])

    # Both -------------------------------------------------------------------------------------

    def _nest(
        self,
        levels: Sequence[Sequence[int]],
        known: dict[int, Axis],
        vectors: int,
        element: Callable[[dict[int, Axis]], Sums],
    ) -> Sums:
        """Combines `element` over all indices of the levels: runs that are counted together."""
        if not levels or not levels[0]:
            return element(known)
        runs, f = levels[0], self.f
        first = runs == self.plan.outer

        def turn(i: Operand) -> Sums:
            with self.evaluator.scope():
                axes = {}
                for k in reversed(runs[1:]):
                    axes[k] = Axis(f.urem(i, self.sizes[k]))
                    i = f.udiv(i, self.sizes[k])
                axes[runs[0]] = Axis(i)
                return self._nest(levels[1:], {**known, **axes}, vectors, element)

        return self._loop(*self._bounds(runs, first), 1, vectors, turn)

    def _bounds(self, runs: Sequence[int], first: bool) -> tuple[Operand, Operand]:
        """Of a counter through the runs; the first one is cut into chunks."""
        if first and self.range is not None:
            return self.range
        stop = self.f.index(1)
        for k in runs:
            stop = self.f.mul(stop, self.sizes[k])
        return self.f.index(0), stop

    def _loop(
        self,
        start: Operand,
        stop: Operand,
        step: int,
        vectors: int,
        element: Callable[[Operand], Sums],
    ) -> Sums:
        """Combines `element(i)`; long loops of sums in blocks, each with sums of its own."""
        f = self.f

        def plain(lo: Operand, hi: Operand) -> Sums:
            with f.carried_loop(lo, hi, self._fresh(vectors), step, name="r") as loop:
                loop.next(*self._combined(loop.values, element(loop.index)))
            return loop.results

        exact = all(
            op.kind not in ("sum", "product") or not is_floating(op.x.dtype)
            for op in self.plan.reduces
        )
        length = f.sub(stop, start).constant
        if exact or (isinstance(length, int) and length <= 2 * _BLOCK * step):
            return plain(start, stop)
        with f.carried_loop(start, stop, self._fresh(vectors), step * _BLOCK, name="b") as blocks:
            end = f.smin(f.add(blocks.index, step * _BLOCK), stop)
            blocks.next(*self._combined(blocks.values, plain(blocks.index, end)))
        return blocks.results

    def _fresh(self, vectors: int) -> Sums:
        """What every kind begins with."""
        lanes = self.plan.lanes
        each = []
        for op in self.plan.reduces:
            dtype = accumulator(op.x.dtype)
            number = identity(op.kind, op.x.dtype).astype(numpy_dtype(dtype)).item()
            each.append(constant(number, register_type(dtype, lanes)))
        return tuple(each * vectors)

    def _combined(self, xs: Sequence[Operand], ys: Sequence[Operand]) -> Sums:
        reduces = self.plan.reduces
        each = reduces * (len(xs) // max(len(reduces), 1))
        return tuple(
            combine(self.f, op.kind, accumulator(op.x.dtype), x, y)
            for op, x, y in zip(each, xs, ys, strict=True)
        )

    def _elements(self, found: dict[int, Axis], guard: Guard) -> list[Operand]:
        """The operands of the reductions at an index; elementwise results are stored."""
        plan, f = self.plan, self.f
        index = self._index(found)
        for item in self.reads:
            at = tuple(index[d] for d in item.dims)
            value = self.evaluator.load_from(item.base, item.type, at, guard)
            self.evaluator.give(item.value, index, guard, value)
        wanted = [*(op.x for op in plan.reduces), *(item.value for item in self.stores)]
        values = self.evaluator.values(wanted, index, guard)
        for item, value in zip(self.stores, values[len(plan.reduces) :], strict=True):
            at = tuple(index[d] for d in item.dims)
            self.evaluator.store(item.base, item.type, at, guard, value)
        lanes = plan.lanes
        return [
            f.convert(
                f.splat(x, lanes) if x.lanes != lanes else x, op.x.dtype, accumulator(op.x.dtype)
            )
            for op, x in zip(plan.reduces, values, strict=False)
        ]

    def _index(self, found: dict[int, Axis]) -> Index:
        return self.plan.space.index([found.get(k, ZERO) for k in range(len(self.plan.space.runs))])

    def _store(self, found: dict[int, Axis], sums: Sequence[Operand], guard: Guard) -> None:
        plan, f = self.plan, self.f
        index = self._index(found)
        kept = tuple(d for d in range(len(index)) if d not in plan.dims)
        place = tuple(index[d] for d in kept)
        for i, (op, value) in enumerate(zip(plan.reduces, sums, strict=True)):
            dtype = accumulator(op.x.dtype)
            if self.partials is None:
                value = f.convert(value, dtype, op.x.dtype)
                self.evaluator.store(self.outputs[op.result], op.result.type, place, guard, value)
                continue
            size = self.k.size(op.result.type.size)
            base = f.offset_bytes(self.partials, f.mul(size, 8 * CHUNKS * i))
            base = f.offset(base, f.mul(self.chunk, size), dtype)
            like = op.result.type.with_dtype(dtype)
            self.evaluator.store(base, like, place, guard, value)
