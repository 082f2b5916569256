"""Making a failing function small, for a message that a reader can follow."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from kgraph.ir import Builder, Function, Value, to_text
from kgraph.passes.dce import without_dead_ops

LIMIT = 300  # functions that are tried


def shrink(fn: Function, fails: Callable[[Function], bool]) -> Function:
    """A function that still fails, and none of whose simpler forms does."""
    left = LIMIT
    progress = True
    while progress and left:
        progress = False
        for smaller in _simpler(fn):
            left -= 1
            if fails(smaller):
                fn, progress = smaller, True
                break
            if not left:
                break
    return fn


def _simpler(fn: Function) -> Iterator[Function]:
    """The first op whose results show it; one result; an operand for a result; a parameter."""
    yield from [_cut(fn, {}, op.results) for op in fn.ops if op.results != fn.results]
    if len(fn.results) > 1:
        yield from [_cut(fn, {}, (v,)) for v in fn.results]
    for op in reversed(fn.ops):
        for v in op.results:
            for x in op.operands:
                if x.type is v.type:
                    yield _cut(fn, {v: x}, fn.results)
    for op in fn.ops:
        if op.operands:
            yield _cut(fn, dict.fromkeys(op.results), fn.results)


def _cut(fn: Function, instead: dict[Value, Value | None], results: tuple[Value, ...]) -> Function:
    """Other values, or new parameters, in place of some."""
    b = Builder()
    env: dict[Value, Value] = {}
    for p, label in zip(fn.params, fn.param_names, strict=True):
        env[p] = b.param(label, p.type)
    for op in fn.ops:
        if any(v in instead for v in op.results):
            for v in op.results:
                x = instead.get(v)
                env[v] = b.param("cut", v.type) if x is None else env[x]
            continue
        made = b.append(op.with_operands(tuple([env[v] for v in op.operands])))
        env.update(zip(op.results, made, strict=True))
    live = without_dead_ops(b.function(*[env[v] for v in results]))
    return _without_unread_parameters(live)


def _without_unread_parameters(fn: Function) -> Function:
    read = {v for op in fn.ops for v in op.operands} | set(fn.results)
    kept = [p for p in fn.params if p in read]
    symbols = {s for op in fn.ops for v in op.results for s in v.type.symbols}
    known = {s for p in kept for s in p.type.symbols}
    kept += [p for p in fn.params if p not in read and symbols - known and p.type.symbols][:1]
    return Function(tuple(kept), fn.ops, fn.results)


def report(seed: int, what: str, fn: Function, fails: Callable[[Function], bool]) -> str:
    """The message of a failure."""
    return f"seed {seed}: {what}\n{to_text(shrink(fn, fails))}"
