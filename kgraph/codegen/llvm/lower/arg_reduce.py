"""The index of the greatest or smallest element."""

from __future__ import annotations

from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Operand, constant, is_floating, is_signed, register_type
from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.elementwise import accumulator
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.index import ALWAYS, ZERO, Axis, Guard, Index
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.loop_ops import as_body
from kgraph.codegen.llvm.lower.loops import vector_lanes
from kgraph.codegen.llvm.lower.space import Space, space_of
from kgraph.codegen.llvm.lower.table import lowers
from kgraph.codegen.llvm.lower.tiling import Tiling, likely, strips, tile_elements
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Value
from kgraph.ir.ops.reduce import ArgReduce


@dataclass(frozen=True)
class Best:
    """The best values so far and their indices, in scalars or lanes."""

    value: Operand
    index: Operand


@lowers(ArgReduce)
def lower_arg_reduce(frame: Frame, op: ArgReduce) -> None:
    """Vectors run along the last dim, be it kept or searched."""
    plan = _Search(op, frame.target)
    places = [frame.pointer(op.x), frame.pointer(op.result)]
    count = plan.tiling(frame).count()
    key = ("arg_reduce", op_key(op))
    frame.launch(key, f"arg_{op.kind}", places, count, plan.write, op_symbols(op))


class _Search:
    def __init__(self, op: ArgReduce, target: Target) -> None:
        self.op = op
        self.body: Function = as_body(op)
        self.x: Value = self.body.params[0]
        labels = [d == op.dim for d in range(op.x.type.rank)]
        self.space: Space = space_of(Function(self.body.params, (), ()), [], op.x.shape, labels)
        self.lanes = vector_lanes(self.body, self.space, target)
        # Positions count in lanes as wide as the values.
        size = op.x.shape[op.dim]
        self.position = "int32" if isinstance(size, int) and size < 2**31 else "int64"
        self.dtype = accumulator(op.x.dtype)

    @property
    def searched(self) -> int | None:
        """The run that is searched; None where it has one element."""
        found = [k for k, run in enumerate(self.space.runs) if run[0] == self.op.dim]
        return found[0] if found else None

    @property
    def along(self) -> bool:
        """Do vectors run along the searched dim?"""
        return self.searched is not None and self.searched == len(self.space.runs) - 1

    def tiling(self, code: Code) -> Tiling:
        """Of the kept runs, with a column of its own where the last run is searched."""
        kept = [code.size(s) for k, s in enumerate(self.space.sizes) if k != self.searched]
        if self.along or not kept:
            kept.append(code.f.index(1))
        length = max(likely(self.op.x.shape[self.op.dim]), 1)
        return Tiling.of(code, kept, max(tile_elements(4) // length, 64))

    def write(self, k: Kernel) -> None:
        """Writes the kernel."""
        source, target = k.arguments
        evaluator = Evaluator(k, self.body, {self.x: source}, self.lanes)
        tiling = self.tiling(k)
        rows, columns = tiling.bounds(k.index)

        def row(axes: list[Axis]) -> None:
            def strip(column: Axis, guard: Guard) -> None:
                with evaluator.scope():
                    best = self._columns(evaluator, axes, column, guard)
                    self._store(evaluator, target, [*axes, column], guard, best)

            if self.along or not self.space.runs:
                with evaluator.scope():
                    best = self._row(evaluator, axes)
                with evaluator.scope(lanes=0):
                    self._store(evaluator, target, axes, ALWAYS, best)
            else:
                strips(k, columns, self.lanes, strip)

        tiling.each_row(rows, row)

    def _index(self, axes: list[Axis], at: Axis) -> Index:
        """The index in x from the axes of the kept runs and the place in the searched one."""
        axes = list(axes)
        if self.searched is not None:
            axes.insert(self.searched, at)
        return self.space.index(axes[: len(self.space.runs)])

    def _load(self, e: Evaluator, axes: list[Axis], at: Axis, guard: Guard, lanes: int) -> Operand:
        f = e.f
        value = e.load(self.x, self._index(axes, at), guard)
        value = f.convert(value, self.op.x.dtype, self.dtype)
        return value if value.lanes == lanes else f.splat(value, lanes)

    def _columns(self, e: Evaluator, axes: list[Axis], column: Axis, guard: Guard) -> Best:
        """A lane for each kept index."""
        f, lanes = e.f, self.lanes
        kept = [*axes, column]
        first = self._load(e, kept, ZERO, guard, lanes)
        index = constant(0, register_type(self.position, lanes))
        if self.searched is None:
            return Best(first, index)
        size = e.code.size(self.op.x.shape[self.op.dim])
        with f.carried_loop(1, size, [first, index], name="r") as loop:
            value = self._load(e, kept, Axis(loop.index), guard, lanes)
            at = f.splat(f.convert(loop.index, "int64", self.position), lanes)
            wins = self._wins(e, value, loop.values[0])
            loop.next(f.select(wins, value, loop.values[0]), f.select(wins, at, loop.values[1]))
        return Best(*loop.results)

    def _row(self, e: Evaluator, axes: list[Axis]) -> Best:
        """Every lane looks at some of the elements, beginning with the first for all of them."""
        f, lanes = e.f, self.lanes
        first = self._load(e, axes, ZERO, ALWAYS, lanes)
        start = Best(first, constant(0, register_type(self.position, lanes)))
        if self.searched is None:
            return start
        size = e.code.size(self.op.x.shape[self.op.dim])
        step = max(lanes, 1)
        whole = f.sub(size, f.srem(size, step))

        def turn(best: Best, at: Operand, guard: Guard) -> Best:
            value = self._load(e, axes, Axis(at, 1), guard, lanes)
            numbers = f.convert(at, "int64", self.position)
            if lanes:
                numbers = f.add(f.lane_numbers(start.index.type), numbers)
            wins = self._wins(e, value, best.value)
            if guard.lanes is not None:
                wins = f.and_(wins, guard.lanes)
            return Best(f.select(wins, value, best.value), f.select(wins, numbers, best.index))

        with f.carried_loop(0, whole, [start.value, start.index], step, name="r") as loop:
            found = turn(Best(*loop.values), loop.index, ALWAYS)
            loop.next(found.value, found.index)
        best = Best(*loop.results)
        if lanes:
            rest = f.sub(size, whole)
            choice = f.choose(f.compare("GT", rest, 0))
            with choice.then():
                tail = turn(best, whole, Guard(lanes=f.tail_mask(rest, lanes)))
                choice.give(tail.value, tail.index)
            with choice.otherwise():
                choice.give(best.value, best.index)
            best = self._lanes(e, Best(*choice.results))
        return best

    def _lanes(self, e: Evaluator, best: Best) -> Best:
        """The best of all lanes, the first of equal ones."""
        f = e.f
        found = Best(f.extract(best.value, 0), f.extract(best.index, 0))
        for lane in range(1, best.value.lanes):
            value, index = f.extract(best.value, lane), f.extract(best.index, lane)
            wins = self._wins(e, value, found.value)
            loses = self._wins(e, found.value, value)
            earlier = f.and_(f.not_(loses), f.compare("LT", index, found.index))
            wins = f.or_(wins, earlier)
            found = Best(f.select(wins, value, found.value), f.select(wins, index, found.index))
        return found

    def _wins(self, e: Evaluator, new: Operand, best: Operand) -> Operand:
        """Is the new value better? A NaN is better than any number."""
        f = e.f
        direction = "GT" if self.op.kind == "max" else "LT"
        better = f.compare(direction, new, best, signed=is_signed(self.dtype))
        if not is_floating(self.dtype):
            return better
        return f.or_(better, f.and_(f.is_nan(new), f.not_(f.is_nan(best))))

    def _store(
        self, e: Evaluator, target: Operand, axes: list[Axis], guard: Guard, best: Best
    ) -> None:
        index = self._index(axes, ZERO)
        place = tuple(axis for d, axis in enumerate(index) if d != self.op.dim)
        value = e.f.convert(best.index, self.position, self.op.dtype)
        e.store(target, self.op.result.type, place, guard, value)
