"""Handing on what a scan computes to a later scan that would compute it again."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Fact, Function, Op, Value
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Scan
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.reduce import Reduce
from kgraph.passes.base import Pass, in_regions
from kgraph.passes.dce import without_dead_ops
from kgraph.passes.steps import SAME, kinds_of, with_more

_COSTLY = (DotGeneral, Convolution, Reduce, Scan)


class ShareSteps(Pass):
    """Stores what a scan computes in a step as rows for a scan behind it, which reads them.

    The backward scan of a gradient computes each forward step again, from the carries that the
    forward scan has saved. What it reads of that comes as further rows instead, if something costly
    need not be done again. After it, no scan repeats costly ops of one whose rows it reads.
    """

    name: ClassVar[str] = "share_steps"

    def run(self, fn: Function) -> Function:
        """The same results; `fn` itself where no scan repeats another's work."""
        fn = in_regions(fn, self.run)
        scans = [op for op in fn.ops if isinstance(op, Scan)]
        shared: dict[Op, _Rows] = {}
        read: dict[Op, dict[Value, tuple[_Rows, Value]]] = {}
        for i, later in enumerate(scans):
            for first in scans[:i]:
                if not set(first.results[len(first.init) :]).isdisjoint(later.xs):
                    rows = shared.get(first) or _Rows(first)
                    found = rows.repeated_by(later)
                    if found:
                        shared[first] = rows
                        read.setdefault(later, {}).update({v: (rows, w) for v, w in found.items()})
        if not read:
            return fn
        env: dict[Value, Value] = {p: p for p in fn.params}
        ops: list[Op] = []
        for op in fn.ops:
            new = op.with_operands(tuple([env[v] for v in op.operands]))
            if op in read:
                assert isinstance(new, Scan)
                more = {v: rows.stacked[w] for v, (rows, w) in read[op].items()}
                new = with_more(new, more, {})
            if op in shared:
                new = shared[op].applied(new)
            env.update(zip(op.results, new.results, strict=False))
            ops.append(new)
        return Function(fn.params, tuple(ops), tuple([env[v] for v in fn.results]), fn.name)


class _Rows:
    """A scan whose steps' values are read by others: its body in a builder, and the new rows."""

    def __init__(self, op: Scan) -> None:
        self.op, body = op, op.body
        self._b = Builder()
        params = [
            self._b.param(label, p.type)
            for label, p in zip(body.param_names, body.params, strict=True)
        ]
        self._results = self._b.inline(body, params)
        self._own = set(self._b.ops)
        self._params = params
        self._new: dict[Value, None] = {}  # values of the body that become rows
        self.stacked: dict[Value, Value] = {}  # what they are outside

    def repeated_by(self, later: Scan) -> dict[Value, Value]:
        """What `later` reads of values that it computes as this scan does, with this one's values.

        Empty where none of that is costly.
        """
        n, m = len(self.op.init), len(self.op.init) + len(self.op.xs)
        known = dict(zip(self.op.results[n:], self._results[n:], strict=True))
        known.update(zip(self.op.operands[n:], self._params[n:], strict=True))
        same: dict[Value, Value] = {}  # values of later's body, as this one has them
        first = len(later.init)
        for i, p in enumerate(later.body.params[first:], first):
            found = known.get(later.operands[i])
            is_row = i < first + len(later.xs)
            if found is not None and is_row == (found not in self._params[m:]):
                same[p] = found
        kinds = kinds_of(later)
        costly, read = False, dict[Value, None]()
        for op in later.body.ops:
            if all(v in same for v in op.operands):
                made = self._b.append(op.with_operands(tuple([same[v] for v in op.operands])))
                own = made[0].op in self._own
                if own or not op.operands:
                    same.update(zip(op.results, made, strict=True))
                    costly |= own and _is_costly(op) and kinds[op.results[0]] != SAME
                    continue
            read.update(dict.fromkeys(op.operands))
        read.update(dict.fromkeys(later.body.results))
        if not costly:
            return {}
        wanted = {
            v: same[v]
            for v in read
            if v in same and v not in later.body.params and kinds[v] != SAME
        }
        self._new.update(dict.fromkeys(wanted.values()))
        return wanted

    def applied(self, op: Op) -> Op:
        """The scan over its new operands, with the new rows behind its results."""
        more = [v for v in self._new if v not in self._results[len(self.op.init) :]]
        body = without_dead_ops(self._b.function(*self._results, *more))
        new = op.with_fields(body=body)
        every = zip((*self._results, *more), new.results, strict=True)
        self.stacked = dict(list(every)[len(self.op.init) :])
        return new


def _is_costly(op: Op) -> bool:
    return isinstance(op, _COSTLY) or Fact.TRANSCENDENTAL in op.facts
