"""Work of a scan that no step waits for, done for all steps at once behind the loop."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from kgraph.ir import Builder, Function, Op, Value, bind_size
from kgraph.ir.ops.binary import Add
from kgraph.ir.ops.common import is_zero
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Scan
from kgraph.ir.ops.index import Pad
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import BroadcastInDim, Reshape, Transpose
from kgraph.passes.base import Pass, in_regions
from kgraph.passes.dce import without_dead_ops
from kgraph.passes.lift import lift, liftable
from kgraph.passes.steps import SAME, change_scans, kinds_of

_LENGTH = 64  # the value of a symbol that is assumed where sizes are weighed


class SinkSteps(Pass):
    """Puts behind a scan what no step waits for: rows that are products, and sums over the steps.

    The gradient of a weight is a sum over the steps, which every step would read and write as a
    carry; it becomes one contraction of rows, in another order. After it, no carry of a scan only
    adds up products or sums, and no row is a product that nobody in the body reads.
    """

    name: ClassVar[str] = "sink_steps"

    def run(self, fn: Function) -> Function:
        """The same results up to the order of sums; `fn` itself where no scan has such ops."""
        return change_scans(in_regions(fn, self.run), _sunk)


def _sunk(op: Scan, b: Builder) -> tuple[Value, ...] | None:
    plan = _Plan(op)
    if not plan.sums and not plan.products:
        return None
    n, body = len(op.init), op.body
    outer, given = plan.apply(b)
    results: list[Value] = []
    for i, v in enumerate(body.results):
        if i in plan.sums:
            total = plan.total(b, plan.sums[i], outer)
            results.append(total if is_zero(op.init[i]) else b.add(op.init[i], total))
        elif i >= n and v in plan.products:
            stacked = [plan.kinds[x] != SAME for x in v.op.operands]
            operands = [outer[x] for x in v.op.operands]
            results.append(lift(b, v.op, operands, stacked, op.length))
        else:
            results.append(given[i])
    return tuple(results)


class _Plan:
    """What goes behind a scan.

    `sums` are carries by index, with the value of the body that each adds up; `products` are rows;
    `stored` are the values of the body that both are made of.
    """

    def __init__(self, op: Scan) -> None:
        self.op, self.kinds = op, kinds_of(op)
        body, n = op.body, len(op.init)
        self._uses = Counter(v for inner in body.ops for v in inner.operands)
        self._uses.update(body.results)
        self.stored: dict[Value, None] = {}
        self.sums: dict[int, Value] = {}
        for i, (p, r) in enumerate(zip(body.params[:n], body.results, strict=False)):
            added = self._added(p, r)
            leaves = None if added is None else self._leaves(added)
            if added is not None and leaves is not None:
                self.sums[i] = added
                self.stored.update(dict.fromkeys(leaves))
        rows = Counter(body.results[n:])
        self.products = [v for v, count in rows.items() if self._is_last(v, count)]
        for v in self.products:
            self.stored.update({x: None for x in v.op.operands if self.kinds[x] != SAME})

    def _added(self, p: Value, r: Value) -> Value | None:
        """The x of a carry p that becomes p + x, which nobody else reads."""
        if not isinstance(r.op, Add) or r.dtype == "bool" or self._uses[p] + self._uses[r] != 2:
            return None
        x, y = r.op.operands
        return y if x is p else x if y is p else None

    def _leaves(self, v: Value) -> list[Value] | None:
        """The values that the terms of v contract; None where it has other terms."""
        ops = self._terms(v)
        if ops is None:
            return None
        found = [x for op in ops if not _is_linear(op) for x in op.operands]
        return None if any(self.kinds[x] == SAME for x in found) else found

    def _terms(self, v: Value) -> list[Op] | None:
        """Products and sums, and the linear ops that make v of them; None where it has others."""
        wanted, found = {v}, []
        for op in reversed(self.op.body.ops):
            if wanted.isdisjoint(op.results):
                continue
            wanted.difference_update(op.results)
            if _is_linear(op):
                wanted.update(op.operands[:1] if isinstance(op, Pad) else op.operands)
            elif not isinstance(op, DotGeneral) and not (
                isinstance(op, Reduce) and op.kind == "sum"
            ):
                return None
            found.append(op)
        return None if wanted else found[::-1]

    def _is_last(self, v: Value, count: int) -> bool:
        """Is it a product that only the results have, of one row that costs no more to store?"""
        op = v.op
        if not isinstance(op, DotGeneral) or self._uses[v] != count:
            return False
        stacked = [self.kinds[x] != SAME for x in op.operands]
        if sum(stacked) != 1 or not liftable(op, stacked):
            return False
        row, same = op.operands if stacked[0] else op.operands[::-1]
        held = row in self.stored or row in self.op.body.params or _weight(row) <= _weight(v)
        return held and same in self.op.body.params

    def apply(self, b: Builder) -> tuple[dict[Value, Value], dict[int, Value]]:
        """Appends the scan that is left.

        Gives, for values of the body, what they are outside; and the results that remain.
        """
        op, n = self.op, len(self.op.init)
        inner, env = Builder(), dict[Value, Value]()
        for i, (label, p) in enumerate(zip(op.body.param_names, op.body.params, strict=True)):
            if i not in self.sums:
                env[p] = inner.param(label, p.type)
        for x in op.body.ops:
            if all(v in env for v in x.operands):  # additions to a carry that has gone are left out
                made = inner.append(x.with_operands(tuple([env[v] for v in x.operands])))
                env.update(zip(x.results, made, strict=True))
        outer = dict(zip(op.body.params[n:], op.operands[n:], strict=True))
        kept = [i for i, v in enumerate(op.body.results)
                if i not in self.sums and (i < n or v not in self.products)]  # fmt: skip
        results = [op.body.results[i] for i in kept]
        rows = results[len([i for i in kept if i < n]) :]
        more = [v for v in self.stored if v not in outer and v not in rows]
        body = without_dead_ops(inner.function(*[env[v] for v in (*results, *more)]))
        left = Scan(
            tuple([v for i, v in enumerate(op.init) if i not in self.sums]),
            op.xs, op.captures, op.length, op.reverse, body,
        )  # fmt: skip
        made = b.append(left)
        outer.update(zip((*rows, *more), made[len(results) - len(rows) :], strict=True))
        return outer, dict(zip(kept, made, strict=False))

    def total(self, b: Builder, v: Value, outer: dict[Value, Value]) -> Value:
        """The sum of v over the steps."""
        found: dict[Value, Value] = {}
        for op in self._terms(v) or ():
            if isinstance(op, DotGeneral):
                made = _contraction(b, op, outer)
            elif isinstance(op, Reduce):
                made = b.reduce(outer[op.x], "sum", (0, *(d + 1 for d in op.dims)))
            elif isinstance(op, Pad):
                zero = b.constant(0, op.x.dtype)
                made = b.append(op.with_operands((found[op.x], zero)))[0]
            else:
                made = b.append(op.with_operands(tuple([found[x] for x in op.operands])))[0]
            found[op.results[0]] = made
        return found[v]


def _is_contraction(op: Op) -> bool:
    return isinstance(op, DotGeneral) or (isinstance(op, Reduce) and op.kind == "sum")


def _is_linear(op: Op) -> bool:
    """May it be done to the sum over the steps instead of to each term?"""
    if isinstance(op, Pad):
        return is_zero(op.value)
    return isinstance(op, Add | BroadcastInDim | Reshape | Transpose)


def _contraction(b: Builder, op: DotGeneral, outer: dict[Value, Value]) -> Value:
    """The product with the steps as one more contracted dim."""
    fields = {f: tuple(d + 1 for d in op.__dict__[f]) for f in ("lhs_batch", "rhs_batch")}
    fields |= {f: (0, *(d + 1 for d in op.__dict__[f])) for f in ("lhs_contract", "rhs_contract")}
    found: Value = b.dot_general(outer[op.lhs], outer[op.rhs], **fields)
    return found


def _weight(v: Value) -> int:
    found = bind_size(v.type.size, dict.fromkeys(v.type.symbols, _LENGTH))
    assert isinstance(found, int)
    return found
