"""Work of a scan that needs no step before, done for all steps at once in front of the loop."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Fact, Function, Op, Value
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Scan
from kgraph.ir.ops.shape import BroadcastInDim, Constant, DimSize, Iota
from kgraph.passes.base import Pass, in_regions
from kgraph.passes.lift import lift, liftable
from kgraph.passes.steps import CARRIED, ROW, SAME, change_scans, kinds_of, with_more

_MADE_AGAIN = (Constant, DimSize, Iota, BroadcastInDim)  # nothing is gained by passing them on


class HoistSteps(Pass):
    """Puts in front of a scan what needs no carry: products, and what is the same for all steps.

    A product of a row with a captured weight is small in a step and large over all steps. The
    elementwise ops before and behind it go with it. After it, no product of a scan's body could be
    made for all steps at once.
    """

    name: ClassVar[str] = "hoist_steps"

    def run(self, fn: Function) -> Function:
        """The same results; `fn` itself where no scan has such ops."""
        return change_scans(in_regions(fn, self.run), _hoisted)


def _hoisted(op: Scan, b: Builder) -> tuple[Value, ...] | None:
    kinds = kinds_of(op)
    wanted = _products(op, kinds)
    steady = {v for inner in op.body.ops for v in inner.results if _steady(inner, kinds)}
    if not wanted and not steady:
        return None
    outer = dict(zip(op.body.params, op.operands, strict=True))
    moved: dict[Value, Value] = {}
    for inner in op.body.ops:
        if wanted.isdisjoint(inner.results) and steady.isdisjoint(inner.results):
            continue
        operands = [outer[v] for v in inner.operands]
        with b.at(inner.location):
            if kinds[inner.results[0]] == ROW:
                stacked = [kinds[v] == ROW for v in inner.operands]
                made: tuple[Value, ...] = (lift(b, inner, operands, stacked, op.length),)
            else:
                made = b.append(inner.with_operands(tuple(operands)))
        outer.update(zip(inner.results, made, strict=True))
        if not isinstance(inner, _MADE_AGAIN) or kinds[inner.results[0]] == ROW:
            moved.update(zip(inner.results, made, strict=True))
    read = {v for x in op.body.ops if x.results[0] not in moved for v in x.operands}
    read.update(op.body.results)
    passed = {v: made for v, made in moved.items() if v in read}
    rows = {v: made for v, made in passed.items() if kinds[v] == ROW}
    same = {v: made for v, made in passed.items() if kinds[v] == SAME}
    return b.append(with_more(op, rows, same))


def _steady(op: Op, kinds: dict[Value, int]) -> bool:
    """Is it the same for all steps, and worth keeping? What has regions may depend on its turn."""
    same = not isinstance(op, _MADE_AGAIN) and kinds[op.results[0]] == SAME
    return same and not op.region_fields


def _products(op: Scan, kinds: dict[Value, int]) -> set[Value]:
    """Products of all steps, the elementwise ops behind them, and what these are made of."""
    ready = set(op.body.params)
    wanted: set[Value] = set()
    for inner in op.body.ops:
        v = inner.results[0]
        if kinds[v] == CARRIED or inner.region_fields or not ready.issuperset(inner.operands):
            continue
        if kinds[v] == ROW:
            if not liftable(inner, [kinds[x] == ROW for x in inner.operands]):
                continue
            behind = Fact.ELEMENTWISE in inner.facts and not wanted.isdisjoint(inner.operands)
            if behind or isinstance(inner, DotGeneral):
                wanted.add(v)
        ready.update(inner.results)
    for inner in reversed(op.body.ops):
        if not wanted.isdisjoint(inner.results):
            wanted.update(inner.operands)
    return wanted.difference(op.body.params)
