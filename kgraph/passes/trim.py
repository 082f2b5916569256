"""Dropping what ops with regions take, carry or give in vain."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from kgraph.ir import Builder, Function, Op, Value
from kgraph.ir.ops.control import Case, If, Scan
from kgraph.passes.base import Pass, in_regions
from kgraph.passes.dce import without_dead_ops
from kgraph.passes.steps import change_scans


class TrimRegions(Pass):
    """Drops results of `scan`, `if` and `case` that nobody reads, and operands that they need not.

    Differentiation saves every carry and captures every operand, because it cannot know what its
    gradients will read. After it, each result of these ops is read, or needed for one that is; each
    operand is read; a carry that no step changes is a capture; and carries that begin and go on as
    the same values are one.
    """

    name: ClassVar[str] = "trim_regions"

    def run(self, fn: Function) -> Function:
        """The same results."""
        while True:  # as often as regions are nested: what is trimmed inside is not read outside
            new = in_regions(_trimmed(change_scans(fn, _without_twins)), self.run)
            if new is fn:
                return fn
            fn = new


def _trimmed(fn: Function) -> Function:
    fn = without_dead_ops(fn)
    live = set(fn.results)
    plans: dict[Op, _Plan] = {}
    for op in reversed(fn.ops):
        if isinstance(op, Scan | If | Case):
            plans[op] = plan = _Plan.of(op, live)
            live.update(plan.reads)
        else:
            live.update(op.operands)
    if all(plan.keeps_all for plan in plans.values()):
        return fn
    env: dict[Value, Value] = {p: p for p in fn.params}
    ops: list[Op] = []
    for op in fn.ops:
        found = plans.get(op)
        if found is None or found.keeps_all:
            operands = tuple([env[v] for v in op.operands])
            new = op if operands == op.operands else op.with_operands(operands)
            env.update(zip(op.results, new.results, strict=True))
            ops.append(new)
        else:
            ops += found.apply(env)
    return Function(fn.params, tuple(ops), tuple(env[v] for v in fn.results), fn.name)


def _without_twins(op: Scan, b: Builder) -> tuple[Value, ...] | None:
    """One carry for those with one start and one next value."""
    n, body = len(op.init), op.body
    pairs = list(zip(op.init, body.results[:n], strict=True))
    first = [pairs.index(pair) for pair in pairs]
    kept = [i for i in range(n) if first[i] == i]
    if len(kept) == n:
        return None
    inner, env = Builder(), dict[Value, Value]()
    for i, (label, p) in enumerate(zip(body.param_names, body.params, strict=True)):
        env[p] = (
            env[body.params[first[i]]] if i < n and first[i] != i else inner.param(label, p.type)
        )
    results = inner.inline(body, [env[p] for p in body.params])
    step = inner.function(*[results[i] for i in kept], *results[n:], name=body.name)
    made = b.append(op.with_fields(init=tuple([op.init[i] for i in kept]), body=step))
    return (*[made[kept.index(i)] for i in first], *made[len(kept) :])


class _Plan:
    """Which operands and results of an op stay, by index.

    `steady` carries do not change: what reads their results reads their starts, and those in
    `captured` are read by the body.
    """

    def __init__(
        self,
        op: Op,
        operands: list[int],
        results: list[int],
        steady: Sequence[int] = (),
        captured: Sequence[int] = (),
    ) -> None:
        self.op, self.operands, self.results = op, operands, results
        self.steady, self.captured = steady, captured

    @staticmethod
    def of(op: Scan | If | Case, live: set[Value]) -> _Plan:
        """The plan, from the values that are read behind the op."""
        wanted = [i for i, v in enumerate(op.results) if v in live]
        if isinstance(op, Scan):
            return _plan_scan(op, wanted)
        first = len(op.operands) - len(op.captures)
        needed = [_needed(r, [r.results[i] for i in wanted]) for r in op.regions]
        captures = [
            first + k
            for k in range(len(op.captures))
            if any(r.params[k] in n for r, n in zip(op.regions, needed, strict=True))
        ]
        return _Plan(op, [*range(first), *captures], wanted)

    @property
    def reads(self) -> list[Value]:
        """The operands that are read in place of the op."""
        return [self.op.operands[i] for i in (*self.operands, *self.steady)]

    @property
    def keeps_all(self) -> bool:
        """Is there nothing to trim?"""
        every = len(self.operands) == len(self.op.operands)
        return every and len(self.results) == len(self.op.results)

    def apply(self, env: dict[Value, Value]) -> list[Op]:
        """The trimmed op, if anything is left of it; tells `env` what the old results are now."""
        op = self.op
        env.update({op.results[i]: env[op.operands[i]] for i in self.steady})
        if not self.results:
            return []
        kept = [env[op.operands[i]] for i in self.operands]
        if isinstance(op, Scan):
            new = self._scan(op, kept, [env[op.operands[i]] for i in self.captured])
        else:
            assert isinstance(op, If | Case)
            first = len(op.operands) - len(op.captures)
            params = [i - first for i in self.operands[first:]]
            regions = [_narrowed(r, params, self.results) for r in op.regions]
            fields = {"captures": tuple(kept[first:])}
            if isinstance(op, If):
                new = op.with_fields(pred=kept[0], then=regions[0], orelse=regions[1], **fields)
            else:
                new = op.with_fields(index=kept[0], branches=tuple(regions), **fields)
        env.update(zip([op.results[i] for i in self.results], new.results, strict=True))
        return [new]

    def _scan(self, op: Scan, kept: list[Value], captured: list[Value]) -> Op:
        n, m = len(op.init), len(op.init) + len(op.xs)
        carries = sum(i < n for i in self.operands)
        rows = sum(i < m for i in self.operands)
        body = _narrowed(op.body, [*self.operands, *self.captured], self.results)
        return op.with_fields(
            init=tuple(kept[:carries]),
            xs=tuple(kept[carries:rows]),
            captures=(*kept[rows:], *captured),
            body=body,
        )


def _plan_scan(op: Scan, wanted: list[int]) -> _Plan:
    n, body = len(op.init), op.body
    steady = [i for i in range(n) if body.results[i] is body.params[i]]
    results = set(wanted) - set(steady)
    while True:
        needed = _needed(body, [body.results[i] for i in results])
        more = {i for i in range(n) if body.params[i] in needed} - set(steady)
        if more <= results:
            break
        results |= more
    operands = [i for i, p in enumerate(body.params) if (i in results if i < n else p in needed)]
    captured = [i for i in steady if body.params[i] in needed]
    read = sorted({*captured, *set(steady).intersection(wanted)})
    return _Plan(op, operands, sorted(results), read, captured)


def _needed(fn: Function, results: Iterable[Value]) -> set[Value]:
    """All that these results of the function depend on."""
    live = set(results)
    for op in reversed(fn.ops):
        if not live.isdisjoint(op.results):
            live.update(op.operands)
    return live


def _narrowed(fn: Function, params: Iterable[int], results: Iterable[int]) -> Function:
    """The function of some parameters, and of some results."""
    return without_dead_ops(
        Function(
            tuple([fn.params[i] for i in params]),
            fn.ops,
            tuple([fn.results[i] for i in results]),
            fn.name,
        )
    )
