"""What the passes that change scans share: what a step's values depend on, and the walk."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from kgraph.ir import Builder, Function, Value
from kgraph.ir.ops.control import Scan
from kgraph.passes.dce import without_dead_ops

SAME, ROW, CARRIED = range(3)  # what a value of a body depends on: captures, rows, carries

# The results of a scan made in another way; None where it stays as it is.
Change: TypeAlias = "Callable[[Scan, Builder], tuple[Value, ...] | None]"


def change_scans(fn: Function, change: Change) -> Function:
    """`fn` with its scans changed; `fn` itself where none is."""
    if not any(isinstance(op, Scan) for op in fn.ops):
        return fn
    b = Builder()
    env: dict[Value, Value] = {p: p for p in fn.params}
    changed = False
    for op in fn.ops:
        operands = tuple([env[v] for v in op.operands])
        new = op if operands == op.operands else op.with_operands(operands)
        with b.at(op.location):
            results = change(new, b) if isinstance(new, Scan) else None
            changed |= results is not None
            env.update(zip(op.results, results or b.append(new), strict=True))
    if not changed:
        return fn
    return without_dead_ops(
        Function(fn.params, tuple(b.ops), tuple([env[v] for v in fn.results]), fn.name)
    )


def kinds_of(op: Scan) -> dict[Value, int]:
    """What each value of the body depends on."""
    n, m = len(op.init), len(op.init) + len(op.xs)
    found = {p: CARRIED if i < n else ROW if i < m else SAME for i, p in enumerate(op.body.params)}
    for inner in op.body.ops:
        kind = max((found[v] for v in inner.operands), default=SAME)
        found.update(dict.fromkeys(inner.results, kind))
    return found


def with_more(op: Scan, rows: dict[Value, Value], same: dict[Value, Value]) -> Scan:
    """The scan with further xs and captures, given for values of its body."""
    b, body, m = Builder(), op.body, len(op.init) + len(op.xs)
    env: dict[Value, Value] = {}
    labelled = list(zip(body.param_names, body.params, strict=True))
    for label, p in [*labelled[:m], *(("x", v) for v in rows), *labelled[m:],
                     *(("c", v) for v in same)]:  # fmt: skip
        env[p] = b.param(label, p.type)
    for inner in body.ops:
        if inner.results[0] not in env:
            made = b.append(inner.with_operands(tuple([env[v] for v in inner.operands])))
            env.update(zip(inner.results, made, strict=True))
    new = op.with_fields(
        xs=(*op.xs, *rows.values()),
        captures=(*op.captures, *same.values()),
        body=without_dead_ops(b.function(*[env[v] for v in body.results], name=body.name)),
    )
    assert isinstance(new, Scan)
    return new
