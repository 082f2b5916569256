"""Merging scans that walk over the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from kgraph.ir import Builder, Function, Op, Value
from kgraph.ir.ops.control import Scan
from kgraph.passes.base import Pass, in_regions
from kgraph.passes.dce import without_dead_ops


class MergeScans(Pass):
    """Makes one scan of several over equal operands whose carries are the same.

    Differentiation leaves two forward scans side by side, the user's and one that also saves the
    carries; hash-consing both bodies into one builder shows what they have in common. After it, no
    two scans of a function differ only in their row results.
    """

    name: ClassVar[str] = "merge_scans"

    def run(self, fn: Function) -> Function:
        """The same results with fewer scans."""
        fn = in_regions(fn, self.run)
        groups: dict[tuple[object, ...], list[Scan]] = {}
        for op in fn.ops:
            if isinstance(op, Scan):
                groups.setdefault(_walk(op), []).append(op)
        merged: dict[Op, Sequence[Scan]] = {
            op: found for group in groups.values() for found in _equal(group) for op in found
        }
        if all(len(group) == 1 for group in merged.values()):
            return fn
        env: dict[Value, Value] = {p: p for p in fn.params}
        ops: list[Op] = []
        for op in fn.ops:
            new = op.with_operands(tuple([env[v] for v in op.operands]))
            group = merged.get(op, ())
            if len(group) < 2:
                env.update(zip(op.results, new.results, strict=True))
                ops.append(new)
            elif group[0] is op:
                ops.append(_merge(group, new.operands, env))
        return Function(fn.params, tuple(ops), tuple(env[v] for v in fn.results), fn.name)


def _walk(op: Scan) -> tuple[object, ...]:
    return (op.init, op.xs, op.captures, op.length, op.reverse)


def _bodies(group: Sequence[Scan]) -> tuple[Builder, dict[Scan, tuple[Value, ...]]]:
    """The results of all bodies, made by one builder over the same parameters."""
    b = Builder()
    first = group[0].body
    params = [
        b.param(label, p.type) for label, p in zip(first.param_names, first.params, strict=True)
    ]
    return b, {op: b.inline(op.body, params) for op in group}


def _equal(group: list[Scan]) -> list[list[Scan]]:
    """The scans with the same carries."""
    if len(group) == 1:
        return [group]
    _, results = _bodies(group)
    found: dict[tuple[Value, ...], list[Scan]] = {}
    for op in group:
        found.setdefault(results[op][: len(op.init)], []).append(op)
    return list(found.values())


def _merge(group: Sequence[Scan], operands: tuple[Value, ...], env: dict[Value, Value]) -> Op:
    """One scan with the row results of all; tells `env` what their results are now."""
    b, results = _bodies(group)
    first, n = group[0], len(group[0].init)
    rows = list(dict.fromkeys(v for op in group for v in results[op][n:]))
    body = without_dead_ops(b.function(*results[first][:n], *rows))
    new = first.with_fields(**first.unflatten(operands), body=body)
    for op in group:
        env.update(zip(op.results[:n], new.results, strict=False))
        for v, row in zip(op.results[n:], results[op][n:], strict=True):
            env[v] = new.results[n + rows.index(row)]
    return new
