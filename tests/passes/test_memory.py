"""Memory plans, by a checker that runs the schedule and notes for each byte who wrote it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from kgraph.ir import Builder, Function, Op, Size, TensorType, Value, bind_size, parse, symbol
from kgraph.ir.ops.shape import AssumeShape, Constant, Reshape
from kgraph.passes.arena import ALIGNMENT
from kgraph.passes.base import run_passes
from kgraph.passes.memory import (
    Arena,
    Elsewhere,
    MemoryPlan,
    Param,
    Result,
    plan_memory,
    writes_over,
)
from kgraph.passes.pipeline import llvm_pipeline
from tests.programs import programs

batch = symbol("batch")
SIZES = ({"batch": 7, "block": 3}, {"batch": 1, "block": 1}, {"batch": 100, "block": 8})


def bytes_of(size: Size, sizes: Mapping[str, int]) -> int:
    found = bind_size(size, sizes)
    assert isinstance(found, int)
    return found


class Memory:
    """Who wrote each byte last: buffers by name, donated ones under the name of the parameter."""

    def __init__(
        self,
        fn: Function,
        donated: Mapping[int, int],
        plan: MemoryPlan,
        sizes: Mapping[str, int],
    ) -> None:
        self.plan, self.donated, self.sizes = plan, donated, sizes
        self.bytes: dict[tuple[str, int], np.ndarray] = {}
        for i, p in enumerate(fn.params):
            self.bytes["param", i] = np.full(self.bytes_of(p.type.nbytes), id(p))
        for i, v in enumerate(fn.results):
            if i not in donated:
                self.bytes["result", i] = np.zeros(self.bytes_of(v.type.nbytes), np.int64)
        self.bytes["arena", 0] = np.zeros(self.bytes_of(plan.arena), np.int64)

    def bytes_of(self, size: Size) -> int:
        return bytes_of(size, self.sizes)

    def at(self, place: object, nbytes: Size) -> np.ndarray:
        if isinstance(place, Arena):
            start = self.bytes_of(place.offset)
            assert start % ALIGNMENT == 0
            found = self.bytes["arena", 0][start : start + self.bytes_of(nbytes)]
        elif isinstance(place, Param):
            found = self.bytes["param", place.index][: self.bytes_of(nbytes)]
        else:
            assert isinstance(place, Result)
            home = self.donated.get(place.index)
            key = ("result", place.index) if home is None else ("param", home)
            found = self.bytes[key][: self.bytes_of(nbytes)]
        assert len(found) == self.bytes_of(nbytes), "a value lies beyond its buffer"
        return found

    def written(self, v: Value) -> bool:
        """Is the value still where it was written?"""
        place = self.plan.places[v]
        if isinstance(place, Elsewhere):
            return True
        return bool(np.all(self.at(place, v.type.nbytes) == id(root(v))))

    def scribble(self, op: Op) -> None:
        """Uses the scratch memory of the op."""
        if op in self.plan.scratch:
            self.at(Arena(self.plan.scratch[op]), scratch(op))[:] = -1
        assert all(self.written(v) for v in op.operands), f"scratch of {op.name}"

    def write(self, op: Op, k: int) -> None:
        """Writes a result; what it overwrites must have been read in step."""
        before = [v for v in op.operands if self.written(v)]
        place = self.plan.places[op.results[k]]
        if not isinstance(place, Elsewhere):
            self.at(place, op.results[k].type.nbytes)[:] = id(op.results[k])
        for j in [op.operands.index(v) for v in before if not self.written(v)]:
            assert writes_over(op, j, k), f"{op.name} still reads operand {j}"

    def run(self, op: Op) -> None:
        """Reads the operands, writes the results."""
        assert all(self.written(v) for v in op.operands), f"an operand of {op.name} is gone"
        if isinstance(op, Reshape | AssumeShape):
            assert self.plan.places[op.result] == self.plan.places[op.x]
            return
        self.scribble(op)
        for k in range(len(op.results)):
            self.write(op, k)
        if op in self.plan.scratch:
            self.at(Arena(self.plan.scratch[op]), scratch(op))[:] = -1
        assert all(self.written(v) for v in op.results), f"results of {op.name} overlap"


def root(v: Value) -> Value:
    while isinstance(v.op, Reshape | AssumeShape):
        v = v.op.x
    return v


def check(fn: Function, plan: MemoryPlan, donated: Mapping[int, int]) -> None:
    """Every read finds what was written for it, and every result is there in the end."""
    for sizes in SIZES:
        memory = Memory(fn, donated, plan, sizes)
        for op in fn.ops:
            memory.run(op)
        for i, v in enumerate(fn.results):
            assert memory.written(v), f"result {i} was lost"
            assert (v, i) in plan.copies or plan.places[v] == Result(i)


def random_function(seed: int) -> tuple[Function, dict[int, int]]:
    """Elementwise ops, moves, views, reductions and sorts of two operands over few shapes."""
    random = np.random.default_rng(seed)
    b = Builder()
    types = [TensorType(s, "float32") for s in ((4,), (batch,), (4, 2), (2 * batch,), (16,))]
    values = [b.param(f"x{i}", types[random.integers(len(types))]) for i in range(4)]
    for _ in range(random.integers(3, 30)):
        x = values[random.integers(len(values))]
        same = [v for v in values if v.type is x.type]
        y = same[random.integers(len(same))]
        kind = random.integers(7)
        if kind < 2:
            values.append(b.add(x, y))
        elif kind == 2:
            values.append(b.tanh(x))
        elif kind == 3:
            values.append(b.reverse(x, tuple(range(x.type.rank))))
        elif kind == 4 and x.shape in ((4, 2), (2 * batch,)):
            values.append(b.reshape(x, (8,) if x.shape == (4, 2) else (batch, 2)))
        elif kind == 5:
            values += b.sort((x, y), 0, 1, False)
        else:
            values.append(b.concatenate((x, y), 0))
    results = [values[random.integers(len(values))] for _ in range(random.integers(1, 5))]
    fn = b.function(*results)
    free = list(range(4))
    donated = {}
    for i, v in enumerate(results):
        fitting = [p for p in free if fn.params[p].type is v.type]
        if fitting and random.random() < 0.7:
            donated[i] = fitting[0]
            free.remove(fitting[0])
    return fn, donated


def scratch(op: Op) -> Size:
    return 40 if op.name in ("sort", "concatenate") else 0


@pytest.mark.parametrize("chunk", range(10))
def test_no_value_is_written_over_while_it_is_wanted(chunk: int) -> None:
    for seed in range(chunk * 40, chunk * 40 + 40):
        fn, donated = random_function(seed)
        check(fn, plan_memory(fn, donated=donated, scratch=scratch), donated)
        check(fn, plan_memory(fn, scratch=scratch), {})


@pytest.mark.parametrize("program", programs(), ids=str)
def test_programs(program: object) -> None:
    fn = run_passes(program.fn, llvm_pipeline())  # type: ignore[attr-defined]
    donated = {}
    for i, v in enumerate(fn.results):
        fitting = [j for j, p in enumerate(fn.params) if p.type is v.type]
        fitting = [j for j in fitting if j not in donated.values()]
        if fitting:
            donated[i] = fitting[0]
    elsewhere = {"elsewhere": lambda op: isinstance(op, Constant)}
    for body in [fn, *[r for op in fn.ops if op.name == "batched" for r in op.regions]]:
        to = donated if body is fn else {}
        check(body, plan_memory(body, donated=to), to)
        check(body, plan_memory(body, donated=to, **elsewhere), to)


def read(text: str) -> Function:
    return parse(text)


def test_a_chain_needs_one_buffer() -> None:
    fn = read("""
        fn(%x: f32[batch,16])
          %0: f32[batch,16] = negate %x
          %1: f32[batch,16] = tanh %0
          %2: f32[batch,16] = sine %1
          %3: f32[] = reduce %2, kind='sum', dims=(0, 1)
          return %3
    """)
    plan = plan_memory(fn)
    assert plan.arena == 64 * batch
    assert plan.copies == ()


def test_a_donated_state_is_updated_in_place() -> None:
    fn = read("""
        fn(%w: f32[8], %g: f32[8])
          %0: f32[8] = subtract %w, %g
          return %0
    """)
    plan = plan_memory(fn, donated={0: 0})
    assert plan.places[fn.results[0]] == Result(0)
    assert plan.copies == ()
    assert plan.arena == 0


def test_a_donated_state_that_is_read_later_is_copied() -> None:
    fn = read("""
        fn(%w: f32[8], %g: f32[8])
          %0: f32[8] = subtract %w, %g
          %1: f32[8] = reverse %w, dims=(0,)
          return %0, %1
    """)
    plan = plan_memory(fn, donated={0: 0})
    assert plan.copies == ((fn.results[0], 0),)


def test_a_donated_state_that_is_read_out_of_step_is_copied() -> None:
    fn = read("""
        fn(%w: f32[8])
          %0: f32[8] = reverse %w, dims=(0,)
          return %0
    """)
    assert plan_memory(fn, donated={0: 0}).copies == ((fn.results[0], 0),)
    assert plan_memory(fn).copies == ()


def test_states_that_change_places_are_copies() -> None:
    fn = read("""
        fn(%a: f32[8], %b: f32[8])
          return %b, %a
    """)
    plan = plan_memory(fn, donated={0: 0, 1: 1})
    assert plan.copies == ((fn.params[1], 0), (fn.params[0], 1))


def test_a_result_that_is_returned_twice_is_copied_once() -> None:
    fn = read("""
        fn(%a: f32[8])
          %0: f32[8] = negate %a
          return %0, %0
    """)
    assert plan_memory(fn).copies == ((fn.results[0], 1),)


def test_constants_may_lie_elsewhere() -> None:
    fn = read("""
        fn(%a: f32[2])
          %0: f32[2] = constant value=f32([1.0, 2.0])
          %1: f32[2] = add %a, %0
          %2: f32[2] = constant value=f32([3.0, 4.0])
          return %1, %2
    """)
    plan = plan_memory(fn, elsewhere=lambda op: isinstance(op, Constant))
    first, second = [op.result for op in fn.ops if isinstance(op, Constant)]
    assert plan.places[first] == Elsewhere()
    assert plan.places[second] == Result(1)
    assert plan.arena == 0


def test_incomparable_sizes_do_not_share() -> None:
    fn = read("""
        fn(%x: f32[batch], %y: f32[100])
          %0: f32[batch] = reverse %x, dims=(0,)
          %1: f32[] = reduce %0, kind='max', dims=(0,)
          %2: f32[100] = reverse %y, dims=(0,)
          %3: f32[] = reduce %2, kind='max', dims=(0,)
          %4: f32[] = add %1, %3
          return %4
    """)
    plan = plan_memory(fn)
    check(fn, plan, {})
    assert bytes_of(plan.arena, SIZES[0]) >= 448 + 64
