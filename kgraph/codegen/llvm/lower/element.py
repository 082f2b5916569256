"""The elements of a fusion body's values at an index: loads, moves and arithmetic in registers.

An `Evaluator` is asked for values at an index and writes the code for them. It works in two walks
over the body, none of them recursive: backwards it finds which values are wanted at which indices
(a transpose wants its operand at the permuted index, a broadcast at fewer dims), forwards it loads
and computes. What was computed is remembered in the scope of the builder's block.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeAlias

from kgraph.codegen.llvm.emit import Operand, View, constant, register_type
from kgraph.codegen.llvm.floats import any_lane
from kgraph.codegen.llvm.lower.elementwise import apply
from kgraph.codegen.llvm.lower.frame import Code
from kgraph.codegen.llvm.lower.index import Guard, Index
from kgraph.ir import Function, Op, TensorType, Value, product

Read: TypeAlias = "tuple[Value, Index, Guard]"
_Key: TypeAlias = "tuple[Value, tuple[tuple[str, int], ...], tuple[str, str]]"


@dataclass(frozen=True, eq=False)
class Step:
    """What an op wants for its results at one index, and how they are made of it."""

    reads: Sequence[Read]
    finish: Callable[[Sequence[Operand]], tuple[Operand, ...]]


# move(evaluator, op, index, guard): for ops that are not elementwise. moves.py fills the table.
Move: TypeAlias = "Callable[[Evaluator, Op, Index, Guard], Step]"
MOVES: dict[type[Op], Move] = {}


class Evaluator:
    """Writes the code of a body's values into a kernel.

    Attributes:
        code: the kernel.
        lanes: of the vectors along the dim whose axis has a step; 0 for scalar code.
    """

    def __init__(
        self, code: Code, body: Function, pointers: Mapping[Value, Operand], lanes: int
    ) -> None:
        self.code = code
        self.f = code.f
        self.lanes = lanes
        self._body = body
        self._pointers = pointers
        self._known: list[dict[_Key, Operand]] = [{}]

    @contextmanager
    def scope(self, lanes: int | None = None) -> Iterator[None]:
        """What is computed inside is forgotten after it; for the body of a loop."""
        before = self.lanes
        self.lanes = before if lanes is None else lanes
        self._known.append({})
        yield
        self._known.pop()
        self.lanes = before

    def give(self, value: Value, index: Index, guard: Guard, operand: Operand) -> None:
        """Sets the value at an index, such as the sum that an epilogue begins with."""
        self._known[-1][_key(value, index, guard)] = operand

    def values(self, wanted: Sequence[Value], index: Index, guard: Guard) -> list[Operand]:
        """The values at an index, which all of them have; scalars where all lanes are the same."""
        return self.read([(v, index if v.type.rank else (), guard) for v in wanted])

    def read(self, reads: Sequence[Read]) -> list[Operand]:
        """Values at an index each."""
        asked: dict[Op, dict[object, Read]] = {}
        for item in reads:
            self._ask(asked, item)
        steps: dict[Op, list[tuple[Read, Step]]] = {}
        for op in reversed(self._body.ops):
            for item in asked.get(op, {}).values():
                step = self._step(op, item[1], item[2])
                steps.setdefault(op, []).append((item, step))
                for read in step.reads:
                    self._ask(asked, read)
        for p in self._body.params:
            for _, index, guard in asked.get(p.op, {}).values():
                self._remember(p, index, guard, self.load(p, index, guard))
        for op in self._body.ops:
            for (_, index, guard), step in steps.get(op, ()):
                results = step.finish([self._found(read) for read in step.reads])
                for v, result in zip(op.results, results, strict=True):
                    self._remember(v, index, guard, result)
        return [self._found(item) for item in reads]

    def _ask(self, asked: dict[Op, dict[object, Read]], item: Read) -> None:
        value, index, guard = item
        if self._lookup(_key(value, index, guard)) is None:
            _, place, conditions = _key(value, index, guard)
            asked.setdefault(value.op, {})[place, conditions] = item

    def _step(self, op: Op, index: Index, guard: Guard) -> Step:
        move = MOVES.get(type(op))
        if move is not None:
            return move(self, op, index, guard)
        reads = [(v, index if v.type.rank else (), guard) for v in op.operands]
        return Step(reads, lambda operands: apply(self.f, op, operands))

    def _lookup(self, key: _Key) -> Operand | None:
        for scope in reversed(self._known):
            if key in scope:
                return scope[key]
        return None

    def _found(self, item: Read) -> Operand:
        operand = self._lookup(_key(*item))
        assert operand is not None
        return operand

    def _remember(self, value: Value, index: Index, guard: Guard, operand: Operand) -> None:
        self._known[-1][_key(value, index, guard)] = operand

    # Memory ---------------------------------------------------------------------------------

    def load(self, value: Value, index: Index, guard: Guard) -> Operand:
        """The elements of a value in memory; 0 where the guard does not hold."""
        return self.load_from(self._pointers[value], value.type, index, guard)

    def load_from(self, base: Operand, type_: TensorType, index: Index, guard: Guard) -> Operand:
        """The elements of a dense array at `base`; 0 where the guard does not hold."""
        f, dtype = self.f, type_.dtype
        pointer, step = self.place(base, type_, index)
        lanes = 0 if step.constant == 0 else self.lanes
        needed = guard.whole
        if lanes == 0 and guard.ragged and guard.lanes is not None:
            some = any_lane(f, guard.lanes)
            needed = some if needed is None else f.and_(needed, some)

        def read() -> Operand:
            if lanes == 0:
                return f.load_at(pointer, dtype)
            if step.constant == -1 and guard.lanes is None:
                last = f.offset(pointer, 1 - lanes, dtype)
                return f.shuffle(f.load_at(last, dtype, lanes), range(lanes - 1, -1, -1))
            return f.load(View(pointer, dtype, (step,)), [0], lanes, mask=guard.lanes)

        if needed is None:
            return read()
        choice = f.choose(needed)
        with choice.then():
            choice.give(read())
        with choice.otherwise():
            choice.give(constant(0, register_type(dtype, lanes)))
        return choice.results[0]

    def store(
        self, base: Operand, type_: TensorType, index: Index, guard: Guard, operand: Operand
    ) -> None:
        """Writes elements of a dense array at `base`."""
        f = self.f
        pointer, step = self.place(base, type_, index)
        if step.constant == 0 or self.lanes == 0:
            f.store_at(pointer, type_.dtype, f.extract(operand, 0))
            return
        if operand.lanes == 0:
            operand = f.splat(operand, self.lanes)
        f.store(View(pointer, type_.dtype, (step,)), [0], operand, mask=guard.lanes)

    def place(self, base: Operand, type_: TensorType, index: Index) -> tuple[Operand, Operand]:
        """The address of the first lane, and the elements from lane to lane."""
        f = self.f
        pointer = base
        step = f.index(0)
        for d, axis in enumerate(index):
            if axis.step == 0 and axis.base.constant == 0:
                continue
            stride = self.code.size(product(type_.shape[d + 1 :]))
            # Outer dims first: their part does not change in the loop over the inner ones.
            pointer = f.offset(pointer, f.mul(axis.base, stride), type_.dtype)
            if self.lanes:
                step = f.add(step, f.mul(stride, axis.step))
        return pointer, step


def _key(value: Value, index: Index, guard: Guard) -> _Key:
    if guard.lanes is not None and not guard.ragged and all(axis.step == 0 for axis in index):
        guard = replace(guard, lanes=None)  # the same for all lanes, and some lane is on
    return (value, tuple([axis.key for axis in index]), guard.key)
