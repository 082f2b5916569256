"""Structured control of the builder: loops, choices and the phi nodes between their blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from kgraph.codegen.llvm.memory import Memory
from kgraph.codegen.llvm.values import I64, Index, Operand, constant

# Kernels are unrolled and vectorised by hand; LLVM must not try again.
LOOP_NOTE = ", !llvm.loop !0"


class CarriedLoop:
    """A loop that hands values from one turn to the next.

    Inside the loop: `index` (counted loops), `values`; end it with `next(...)`. After it:
    `results`.
    """

    def __init__(self, index: Operand, values: tuple[Operand, ...]) -> None:
        self.index = index
        self.values = values
        self.given: tuple[Operand, ...] = values
        self.results: tuple[Operand, ...] = ()

    def next(self, *values: Operand) -> None:
        """The values of the next turn, or the results when this was the last."""
        assert [item.type for item in values] == [item.type for item in self.values], values
        self.given = values


class WhileLoop(CarriedLoop):
    """A loop whose first part computes the condition: call `test(condition)` exactly once."""

    def __init__(self, function: Control, values: tuple[Operand, ...], body: str, end: str) -> None:
        super().__init__(constant(0, I64), values)
        self._function, self._body, self._end = function, body, end

    def test(self, condition: Operand) -> None:
        """Leaves the loop, with the turn's `values` as results, unless the i1 holds."""
        self._function.branch_if(condition, self._body, self._end)
        self._function.start_block(self._body)


class Choice:
    """Values of an if-else: fill both `then()` and `otherwise()`, each ending in `give(...)`."""

    def __init__(self, function: Control, condition: Operand) -> None:
        self._function = function
        self._condition = condition
        self._labels = [function.fresh(name) for name in ("then", "else", "join")]
        self._given: list[tuple[str, tuple[Operand, ...]]] = []
        self._values: tuple[Operand, ...] = ()
        self.results: tuple[Operand, ...] = ()

    def give(self, *values: Operand) -> None:
        """The results of this side."""
        self._values = values

    @contextmanager
    def then(self) -> Iterator[None]:
        """The side taken when the condition holds."""
        then, otherwise, _ = self._labels
        self._function.branch_if(self._condition, then, otherwise)
        yield from self._side(then)

    @contextmanager
    def otherwise(self) -> Iterator[None]:
        """The other side; after it `results` are ready."""
        yield from self._side(self._labels[1])
        function = self._function
        function.start_block(self._labels[2])
        (first, a), (second, b) = self._given
        self.results = tuple(
            function.phi([(x, first), (y, second)]) for x, y in zip(a, b, strict=True)
        )

    def _side(self, label: str) -> Iterator[None]:
        function = self._function
        function.start_block(label)
        with function.scope():
            self._values = ()
            yield
        self._given.append((function.label, self._values))
        function.branch(self._labels[2])


class Control(Memory):
    """Loops test their condition at the end; one that may have no turn is guarded before."""

    @property
    def label(self) -> str:
        """The block that is being written."""
        return self._label

    def phi(self, sources: Sequence[tuple[Operand, str]], name: str = "v") -> Operand:
        """A value per predecessor block. Only this file needs it."""
        kind = sources[0][0].type
        pairs = ", ".join(f"[ {value.text}, %{label} ]" for value, label in sources)
        return self.instruction(kind, f"phi {kind.text} {pairs}", name, pure=False)

    @contextmanager
    def loop(
        self, start: Index, stop: Index, step: Index = 1, name: str = "i", nonempty: bool = False
    ) -> Iterator[Operand]:
        """`for i in range(start, stop, step)`; step > 0. `nonempty` skips the guard."""
        with self.carried_loop(start, stop, (), step, name, nonempty) as loop:
            yield loop.index

    @contextmanager
    def carried_loop(
        self,
        start: Index,
        stop: Index,
        initial: Sequence[Operand],
        step: Index = 1,
        name: str = "i",
        nonempty: bool = False,
    ) -> Iterator[CarriedLoop]:
        """A counted loop with accumulators; without a turn `results` are the initial values."""
        start, stop, step = self.index(start), self.index(stop), self.index(step)
        first, last = start.constant, stop.constant
        if first is not None and last is not None:
            nonempty = first < last
        loop, done = self.fresh(f"loop.{name}"), self.fresh(f"done.{name}")
        before = self.label
        guarded = not nonempty
        if guarded:
            self.branch_if(self.compare("LT", start, stop), loop, done)
        else:
            self.branch(loop)
        self.start_block(loop)
        head = len(self._lines)
        index = Operand(I64, "%" + self.fresh(name))
        values = tuple(Operand(item.type, "%" + self.fresh("acc")) for item in initial)
        carried = CarriedLoop(index, values)
        with self.scope():
            yield carried
            following = self.instruction(
                I64, f"add nsw i64 {index.text}, {step.text}", f"{name}.next", pure=False
            )
            again = self.compare("LT", following, stop)
            self.branch_if(again, loop, done, LOOP_NOTE)
        latch = self.label
        phis = [(index, start, following), *zip(values, initial, carried.given, strict=True)]
        self._lines[head:head] = [_phi(*item, before, latch) for item in phis]
        self.start_block(done)
        if guarded:
            carried.results = tuple(
                self.phi([(first_value, before), (given, latch)])
                for first_value, given in zip(initial, carried.given, strict=True)
            )
        else:
            carried.results = carried.given

    @contextmanager
    def while_loop(self, initial: Sequence[Operand]) -> Iterator[WhileLoop]:
        """`while test: values = next`; code before `test` runs once more than code after it."""
        head_label, body, end = (self.fresh(name) for name in ("while", "do", "end"))
        before = self.label
        self.branch(head_label)
        self.start_block(head_label)
        head = len(self._lines)
        values = tuple(Operand(item.type, "%" + self.fresh("acc")) for item in initial)
        loop = WhileLoop(self, values, body, end)
        with self.scope():
            yield loop
            latch = self.label
            self.statement(f"br label %{head_label}{LOOP_NOTE}")
        phis = zip(values, initial, loop.given, strict=True)
        self._lines[head:head] = [_phi(*item, before, latch) for item in phis]
        self.start_block(end)
        loop.results = values

    @contextmanager
    def when(self, condition: Operand) -> Iterator[None]:
        """Runs the block if the i1 holds."""
        then, join = self.fresh("then"), self.fresh("join")
        self.branch_if(condition, then, join)
        self.start_block(then)
        with self.scope():
            yield
        self.branch(join)
        self.start_block(join)

    def choose(self, condition: Operand) -> Choice:
        """An if-else with values, see `Choice`."""
        return Choice(self, condition)

    def strips(
        self,
        stop: Index,
        lanes: int,
        body: Callable[[Operand, Operand | None], None],
        name: str = "i",
    ) -> None:
        """`body(i, None)` for each whole vector of `lanes` below `stop`, then `body(i, mask)`.

        The last, partial vector gets the mask of its live lanes; `body` writes the code of both.
        """
        stop = self.index(stop)
        whole = self.sub(stop, self.srem(stop, lanes))
        if whole.constant != 0:
            with self.loop(0, whole, lanes, name) as i:
                body(i, None)
        if whole.constant is None or whole.constant != stop.constant:
            rest = self.sub(stop, whole)
            with self.when(self.compare("GT", rest, 0)):
                body(whole, self.tail_mask(rest, lanes))


def _phi(value: Operand, initial: Operand, given: Operand, before: str, latch: str) -> str:
    return (
        f"  {value.text} = phi {value.type.text} "
        f"[ {initial.text}, %{before} ], [ {given.text}, %{latch} ]"
    )
