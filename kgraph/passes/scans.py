"""Merging scans that walk over the same rows."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Function, Op, Value
from kgraph.ir.ops.control import Scan
from kgraph.passes.base import Pass, in_regions
from kgraph.passes.dce import without_dead_ops


class MergeScans(Pass):
    """Makes one scan of several over equal operands, and drops row results that nobody reads.

    Differentiation leaves two forward scans side by side, the user's and one that also saves the
    carries; hash-consing both bodies into one builder shows what they have in common. After it, no
    two scans of a function differ only in their results, and every row result of a scan is read.
    """

    name: ClassVar[str] = "merge_scans"

    def run(self, fn: Function) -> Function:
        """The same results with fewer scans."""
        fn = in_regions(fn, self.run)
        groups: dict[tuple[object, ...], list[Scan]] = {}
        for op in fn.ops:
            if isinstance(op, Scan):
                groups.setdefault((op.init, op.xs, op.captures, op.length, op.reverse), []).append(
                    op
                )
        read = {v for op in fn.ops for v in op.operands} | set(fn.results)
        if not any(len(g) > 1 or _has_unread_rows(g[0], read) for g in groups.values()):
            return fn
        leader = {op: g[0] for g in groups.values() for op in g}
        env: dict[Value, Value] = {p: p for p in fn.params}
        ops: list[Op] = []
        for op in fn.ops:
            if isinstance(op, Scan):
                if leader[op] is op:
                    env.update(
                        _merged(
                            groups[(op.init, op.xs, op.captures, op.length, op.reverse)],
                            read,
                            env,
                            ops,
                        )
                    )
                continue
            new = op.with_operands(tuple([env[v] for v in op.operands]))
            env.update(zip(op.results, new.results, strict=True))
            ops.append(new)
        return Function(fn.params, tuple(ops), tuple(env[v] for v in fn.results), fn.name)


def _has_unread_rows(op: Scan, read: set[Value]) -> bool:
    return any(v not in read for v in op.results[len(op.init) :])


def _merged(
    group: list[Scan], read: set[Value], env: dict[Value, Value], ops: list[Op]
) -> dict[Value, Value]:
    """Appends one scan for each set of bodies with equal carries; what each old result is now."""
    found: dict[Value, Value] = {}
    pending = group
    while pending:
        first, n = pending[0], len(pending[0].init)
        b = Builder()
        params = [
            b.param(label, p.type)
            for label, p in zip(first.body.param_names, first.body.params, strict=True)
        ]
        results = {op: b.inline(op.body, params) for op in pending}
        same = [op for op in pending if results[op][:n] == results[first][:n]]
        rows = list(
            dict.fromkeys(
                results[op][i]
                for op in same
                for i in range(n, len(op.results))
                if op.results[i] in read
            )
        )
        body = without_dead_ops(b.function(*results[first][:n], *rows))
        new = first.with_operands(tuple([env[v] for v in first.operands])).with_fields(body=body)
        ops.append(new)
        for op in same:
            for i, v in enumerate(op.results):
                if i < n:
                    found[v] = new.results[i]
                elif v in read:
                    found[v] = new.results[n + rows.index(results[op][i])]
        pending = [op for op in pending if op not in same]
    return found
