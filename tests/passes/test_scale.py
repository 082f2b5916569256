"""Graphs of 20,000 ops: no recursion, no work that grows faster than the graph."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from kgraph.ir import Builder, Function, TensorType, Value, symbol, verify
from kgraph.passes.autodiff import gradients
from kgraph.passes.cse import CommonSubexpressions
from kgraph.passes.dce import DeadCode
from kgraph.passes.decompose import Decompose
from kgraph.passes.fold import Fold
from kgraph.passes.fuse import Fuse
from kgraph.passes.memory import plan_memory
from kgraph.passes.outline import Outline
from kgraph.passes.prepare import split
from kgraph.passes.scans import MergeScans
from kgraph.passes.simplify import Simplify

OPS = 20_000
SECONDS = 6.0  # on a slow machine with other work; a quadratic step takes minutes
batch = symbol("batch")


def chain(b: Builder, x: Value, ops: int) -> Value:
    """Ops one after the other, with some that vanish."""
    for i in range(ops // 2):
        x = b.sine(x) if i % 3 else b.add(x, b.transpose(b.transpose(x, (1, 0)), (1, 0)))
        x = b.negate(x)
    return x


def ladder(b: Builder, x: Value, ops: int) -> Value:
    """Each value read at once and at the end, and one read by all: many live, many readers."""
    first, values = x, [x]
    for _ in range(ops // 4):
        values.append(b.multiply(b.tanh(values[-1]), first))
    total = values[0]
    for v in reversed(values):
        total = b.add(b.multiply(total, v), first)
    return total


def sums(b: Builder, x: Value, ops: int) -> Value:
    """Sums over the batch one after the other: as many regions as there are sums."""
    for _ in range(ops // 20):
        s = b.reduce(x, "sum", (0,))
        x = b.add(x, b.broadcast(b.tanh(s), x.shape, (1,)))
    return x


def scalars(b: Builder, x: Value, ops: int) -> Value:
    """Constants that fold."""
    total = b.constant(1.0, "float32")
    for i in range(ops // 2):
        total = b.multiply(total, b.constant(1 + 1 / (i + 1), "float32"))
    return b.add(x, b.broadcast(total, x.shape))


GRAPHS: dict[str, Callable[[Builder, Value, int], Value]] = {
    "chain": chain, "ladder": ladder, "sums": sums, "scalars": scalars,
}  # fmt: skip

PASSES = (
    Simplify(), DeadCode(), Fold(), CommonSubexpressions(), MergeScans(), Decompose(), Outline(),
    Fuse(),
)  # fmt: skip


def graph(name: str) -> Function:
    b = Builder()
    x = b.param("x", TensorType((batch, 3), "float32"))
    return b.function(GRAPHS[name](b, x, OPS))


def within(seconds: float, what: str, run: Callable[[], object]) -> object:
    started = time.process_time()
    found = run()
    spent = time.process_time() - started
    assert spent < seconds, f"{what} took {spent:.1f} s"
    return found


@pytest.mark.parametrize("name", GRAPHS)
def test_passes(name: str) -> None:
    fn = graph(name)
    for pass_ in PASSES:
        fn = within(SECONDS, pass_.name, lambda p=pass_, f=fn: p.run(f))  # type: ignore[misc]
        within(SECONDS, "plan_memory", lambda f=fn: plan_memory(f))  # type: ignore[misc]
    verify(fn)


@pytest.mark.parametrize("name", ["chain", "ladder", "sums"])
def test_gradients(name: str) -> None:
    b = Builder()
    x = b.param("x", TensorType((batch, 3), "float32"))
    loss = b.reduce(GRAPHS[name](b, x, OPS // 6), "sum", (0, 1))
    found = within(SECONDS, "gradients", lambda: gradients(b, loss, [x]))
    fn = b.function(loss, *found)  # type: ignore[misc]
    for pass_ in PASSES:
        fn = within(SECONDS, pass_.name, lambda p=pass_, f=fn: p.run(f))  # type: ignore[misc]


def test_prepare() -> None:
    b = Builder()
    w = b.param("w", TensorType((3, 3), "float32"))
    x = b.param("x", TensorType((batch, 3), "float32"))
    fn = b.function(b.dot_general(x, chain(b, w, OPS), (), (), (1,), (0,)))
    within(SECONDS, "split", lambda: split(fn, 1))
