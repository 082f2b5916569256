"""The table of lowerings, and how a function is run by it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
from kgraph.ir import OPS, Function, Op, Value

Lowering = Callable[..., Any]
lower: dict[str, Lowering] = {}

NEVER = ("param", "batched")  # no op, and what only the llvm pipeline makes


def lowers(*names: str) -> Callable[[Lowering], Lowering]:
    """Adds the function to the table under the names of ops."""

    def add(function: Lowering) -> Lowering:
        lower.update(dict.fromkeys(names, function))
        return function

    return add


def run(fn: Function, arrays: Any) -> list[Any]:
    """The results of a function without symbols, as jax values."""
    env: dict[Value, Any] = dict(zip(fn.params, arrays, strict=True))
    for op in fn.ops:
        outs = lower_op(op, *[env[v] for v in op.operands])
        env.update(zip(op.results, outs, strict=True))
    return [env[v] for v in fn.results]


def lower_op(op: Op, *operands: Any) -> tuple[Any, ...]:
    """The results of one op; the layer's path names it in XLA's own dumps and profiles."""
    with jax.named_scope(op.location.path.replace("/", ".") or op.name):
        out = lower[op.name](op, *operands)
    return out if isinstance(out, tuple) else (out,)


def missing() -> list[str]:
    """The names of the ops without a lowering that have no decomposition either."""
    return sorted(
        name
        for name, cls in OPS.items()
        if name not in lower and cls.decompose is Op.decompose and name not in NEVER
    )
