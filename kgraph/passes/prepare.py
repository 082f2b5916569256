"""Splitting off what depends on the state alone.

Packed, transposed or rescaled weights are the same from call to call until the state changes. They
become a second function of the state, and its results further parameters of the first, so that the
runtime computes them once for each version of the state.
"""

from __future__ import annotations

from kgraph.ir import Builder, Dim, Function, Op, Value
from kgraph.ir.ops.shape import BroadcastInDim, Constant, Iota, Reshape
from kgraph.passes.dce import without_dead_ops


def split(fn: Function, state: int) -> tuple[Function | None, Function]:
    """`(prepare, main)`; None and `fn` where nothing worth it depends on the state alone.

    `prepare` takes the first `state` parameters of `fn`; `main` takes these, then the results of
    `prepare`, then the other parameters. What only repeats elements stays in `main`: loading it
    would cost more than making it.
    """
    known: set[Value] = set(fn.params[:state])
    early: set[Op] = set()
    for op in fn.ops:
        if all(v in known for v in op.operands) and not _names_symbols(op):
            early.add(op)
            known.update(op.results)
    wanted = _wanted(fn, early)
    if not wanted:
        return None, fn
    return _prepare(fn, state, wanted), _main(fn, state, wanted)


def _names_symbols(op: Op) -> bool:
    """Does it depend, in a type, an attribute or a region, on a size that `prepare` is not told?"""
    if any(v.type.symbols for v in op.results):
        return True
    pending: list[object] = [op.__dict__[f] for f in op.attribute_fields]
    while pending:
        value = pending.pop()
        if isinstance(value, Dim):
            return True
        if isinstance(value, tuple):
            pending += value
    return any(_names_symbols(inner) for region in op.regions for inner in region.ops)


def _wanted(fn: Function, early: set[Op]) -> list[Value]:
    """The early values that `main` reads; constants and views it makes again from what is below."""
    wanted: dict[Value, None] = {}
    seen: set[Value] = set()
    pending = [*fn.results, *[v for op in fn.ops if op not in early for v in op.operands]]
    for v in pending:  # it grows while it is walked
        if v in seen or v.op not in early:
            continue
        seen.add(v)
        if isinstance(v.op, Constant | Iota | Reshape | BroadcastInDim):
            pending += v.op.operands
        else:
            wanted[v] = None
    return list(wanted)


def _prepare(fn: Function, state: int, wanted: list[Value]) -> Function:
    return without_dead_ops(
        Function(fn.params[:state], fn.ops, tuple(wanted), f"{fn.name}.prepare")
    )


def _main(fn: Function, state: int, wanted: list[Value]) -> Function:
    b = Builder()
    b.params = list(fn.params)
    env: dict[Value, Value] = {p: p for p in fn.params}
    env.update({v: b.param(f"prepared_{i}", v.type) for i, v in enumerate(wanted)})
    made_early = b.params[len(fn.params) :]
    b.params = [*fn.params[:state], *made_early, *fn.params[state:]]
    for op in fn.ops:
        operands = tuple([env[v] for v in op.operands])
        made = b.append(op if operands == op.operands else op.with_operands(operands))
        for v, new in zip(op.results, made, strict=True):
            env.setdefault(v, new)
    return without_dead_ops(b.function(*[env[v] for v in fn.results], name=fn.name))
