"""Ops with regions."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jax import lax
from kgraph.codegen.jax.table import lowers, run


@lowers("while")
def _while(op: Any, *operands: Any) -> Any:
    n = len(op.init)
    captures = operands[n:]
    return tuple(
        lax.while_loop(
            lambda carry: run(op.cond, [*carry, *captures])[0],
            lambda carry: tuple(run(op.body, [*carry, *captures])),
            tuple(operands[:n]),
        )
    )


@lowers("if")
def _if(op: Any, pred: Any, *captures: Any) -> Any:
    return tuple(
        lax.cond(
            pred,
            lambda *xs: tuple(run(op.then, xs)),
            lambda *xs: tuple(run(op.orelse, xs)),
            *captures,
        )
    )


@lowers("case")
def _case(op: Any, index: Any, *captures: Any) -> Any:
    last = len(op.branches) - 1
    inside = (index >= 0) & (index <= last)
    branches = [lambda *xs, f=f: tuple(run(f, xs)) for f in op.branches]
    return tuple(lax.switch(jnp.where(inside, index, last), branches, *captures))


@lowers("scan")
def _scan(op: Any, *operands: Any) -> Any:
    n, m = len(op.init), len(op.xs)
    captures = operands[n + m :]

    def step(carry: Any, rows: Any) -> Any:
        out = run(op.body, [*carry, *rows, *captures])
        return tuple(out[:n]), tuple(out[n:])

    carry, ys = lax.scan(
        step, tuple(operands[:n]), tuple(operands[n : n + m]), length=op.length, reverse=op.reverse
    )
    return (*carry, *ys)


@lowers("custom_vjp")
def _custom_vjp(op: Any, *inputs: Any) -> Any:
    return tuple(run(op.forward, inputs))


@lowers("fusion")
def _fusion(op: Any, *inputs: Any) -> Any:
    return tuple(run(op.body, inputs))
