"""Splitting off what depends on the state alone.

Packed, transposed or rescaled weights are the same from call to call until the state changes. They become a second
function of the state, and its results further parameters of the first, so that the runtime computes them once for each
version of the state.
"""

from __future__ import annotations

from kgraph.ir import Builder, Fact, Function, Op, Param, Value, is_nonnegative
from kgraph.ir.ops.shape import BroadcastInDim, Constant, Iota, Reshape


def split(fn: Function, state: int) -> tuple[Function | None, Function]:
    """`(prepare, main)`; None and `fn` where nothing worth it depends on the state alone.

    `prepare` takes the first `state` parameters of `fn`; `main` takes these, then the results of `prepare`, then the
    other parameters. What makes more bytes than it reads stays in `main`: loading it would cost more than making it.
    """
    known: set[Value] = set(fn.params[:state])
    early: set[Op] = set()
    for op in fn.ops:
        if all(v in known for v in op.operands) and not any(v.type.symbols for v in op.results) and not _grows(op):
            early.add(op)
            known.update(op.results)
    wanted = dict.fromkeys(v for op in fn.ops if op not in early for v in op.operands if v.op in early and _is_work(v))
    wanted.update(dict.fromkeys(v for v in fn.results if v.op in early and _is_work(v)))
    if not wanted:
        return None, fn
    return _prepare(fn, state, early, list(wanted)), _main(fn, state, early, list(wanted))


def _grows(op: Op) -> bool:
    made = sum(1 for _ in op.results)
    if isinstance(op, BroadcastInDim):
        return not is_nonnegative(op.x.type.nbytes - op.result.type.nbytes)
    return made == 0


def _is_work(v: Value) -> bool:
    """Is the value more than a constant or a view of a parameter?"""
    while isinstance(v.op, Reshape):
        v = v.op.x
    return not isinstance(v.op, Param | Constant | Iota) and (Fact.MOVES not in v.op.facts or not isinstance(v.op, BroadcastInDim))


def _prepare(fn: Function, state: int, early: set[Op], wanted: list[Value]) -> Function:
    b = Builder()
    b.params = list(fn.params[:state])
    env: dict[Value, Value] = {p: p for p in b.params}
    for op in fn.ops:
        if op in early:
            env.update(zip(op.results, b.append(op), strict=True))
    return b.function(*[env[v] for v in wanted], name=f"{fn.name}.prepare")


def _main(fn: Function, state: int, early: set[Op], wanted: list[Value]) -> Function:
    b = Builder()
    b.params = list(fn.params[:state])
    env: dict[Value, Value] = {v: b.param(f"prepared_{i}", v.type) for i, v in enumerate(wanted)}
    b.params += fn.params[state:]
    env.update({p: p for p in fn.params})
    for op in fn.ops:
        if op in early and all(v in env for v in op.results):
            continue
        operands = tuple([env[v] for v in op.operands])
        made = b.append(op if operands == op.operands else op.with_operands(operands))
        env.update({v: new for v, new in zip(op.results, made, strict=True) if v not in env})
    return b.function(*[env[v] for v in fn.results], name=fn.name)
