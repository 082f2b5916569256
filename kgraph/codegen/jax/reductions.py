"""Reductions, windows and sorts."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jax import lax
from kgraph.codegen.jax.table import lowers
from kgraph.ir import dtype_name, numpy_dtype
from kgraph.ir.ops.common import identity


def _identity(kind: str, dtype: Any) -> Any:
    return identity(kind, dtype_name(dtype))


_COMBINE = {
    "sum": lax.add,
    "product": lax.mul,
    "max": lax.max,
    "min": lax.min,
    "and": lax.bitwise_and,
    "or": lax.bitwise_or,
}


def _widened(x: Any) -> Any:
    """16-bit floats as float32, in which their sums are accumulated."""
    return x.astype(jnp.float32) if x.dtype in (jnp.float16, jnp.bfloat16) else x


@lowers("reduce")
def _reduce(op: Any, x: Any) -> Any:
    wide = _widened(x)
    return lax.reduce(wide, _identity(op.kind, wide.dtype), _COMBINE[op.kind], op.dims).astype(
        x.dtype
    )


@lowers("arg_reduce")
def _arg_reduce(op: Any, x: Any) -> Any:
    return (lax.argmax if op.kind == "max" else lax.argmin)(x, op.dim, numpy_dtype(op.dtype))


@lowers("reduce_window")
def _reduce_window(op: Any, x: Any) -> Any:
    wide = _widened(x)
    out = lax.reduce_window(
        wide,
        _identity(op.kind, wide.dtype),
        _COMBINE[op.kind],
        op.window,
        op.strides,
        op.padding,
        op.base_dilation,
        op.window_dilation,
    )
    return out.astype(x.dtype)


@lowers("select_and_scatter")
def _select_and_scatter(op: Any, x: Any, source: Any) -> Any:
    """The index that each window takes, by a reduction of pairs; the source is scattered there."""
    index = lax.iota(jnp.int32 if x.size < 2**31 else jnp.int64, x.size).reshape(x.shape)
    none = np.asarray(x.size, index.dtype)  # behind all others: padding is never taken
    better = lax.gt if op.kind == "max" else lax.lt

    def pick(one: Any, other: Any) -> Any:
        (v, i), (w, j) = one, other
        nan, other_nan = v != v, w != w
        tie = (v == w) | (nan & other_nan)
        first = jnp.where(tie, i < j, nan | (better(v, w) & ~other_nan))
        return jnp.where(first, v, w), jnp.where(first, i, j)

    start = (_identity(op.kind, x.dtype), none)
    _, taken = lax.reduce_window((x, index), start, pick, op.window, op.strides, op.padding)
    updates = _widened(source)
    total = jnp.zeros(x.size, updates.dtype).at[taken.ravel()].add(updates.ravel(), mode="drop")
    return total.reshape(x.shape).astype(x.dtype)


@lowers("sort")
def _sort(op: Any, *xs: Any) -> Any:
    if not op.descending:
        return tuple(lax.sort(xs, dimension=op.dim, is_stable=True, num_keys=op.num_keys))
    # stable and descending: sort the mirrored array ascending, then mirror it back
    mirrored = [lax.rev(x, (op.dim,)) for x in xs]
    return tuple(
        lax.rev(x, (op.dim,))
        for x in lax.sort(mirrored, dimension=op.dim, is_stable=True, num_keys=op.num_keys)
    )


@lowers("top_k")
def _top_k(op: Any, x: Any) -> Any:
    values, indices = lax.top_k(x, op.k)
    return values, indices.astype(jnp.int32)
