"""Ops that make values, move elements, or read and write where indices say."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from jax import lax
from kgraph.codegen.jax.table import lower, lowers
from kgraph.ir import numpy_dtype

lower["constant"] = lambda op: jnp.asarray(op.value.array)
lower["dim_size"] = lambda op: jnp.asarray(op.reference())
lower["iota"] = lambda op: lax.broadcasted_iota(numpy_dtype(op.dtype), op.shape, op.dim)
lower["broadcast_in_dim"] = lambda op, x: lax.broadcast_in_dim(x, op.shape, op.dims)
lower["reshape"] = lambda op, x: lax.reshape(x, op.shape)
lower["assume_shape"] = lambda op, x: x
lower["transpose"] = lambda op, x: lax.transpose(x, op.perm)
lower["slice"] = lambda op, x: lax.slice(x, op.start, op.limit, op.stride)
lower["reverse"] = lambda op, x: lax.rev(x, op.dims)
lower["pad"] = lambda op, x, value: lax.pad(
    x, value, tuple(zip(op.low, op.high, op.interior, strict=True))
)
lower["concatenate"] = lambda op, *xs: lax.concatenate(xs, op.dim)
lower["dynamic_slice"] = lambda op, x, *starts: lax.dynamic_slice(x, _starts(starts), op.sizes)
lower["dynamic_update_slice"] = lambda op, x, update, *starts: lax.dynamic_update_slice(
    x, update, _starts(starts)
)


def _starts(starts: Any) -> list[Any]:
    """Indices of one dtype, as lax wants them; a negative start does not count from the end."""
    return [lax.max(s.astype(jnp.int64), jnp.zeros((), jnp.int64)) for s in starts]


@lowers("gather")
def _gather(op: Any, x: Any, indices: Any) -> Any:
    numbers = lax.GatherDimensionNumbers(
        op.offset_dims, op.collapsed_slice_dims, op.start_index_map
    )
    return lax.gather(
        x, _index_last(op, indices), numbers, op.slice_sizes, mode=lax.GatherScatterMode.CLIP
    )


@lowers("scatter")
def _scatter(op: Any, x: Any, indices: Any, updates: Any) -> Any:
    function = {
        "add": lax.scatter_add, "set": lax.scatter, "max": lax.scatter_max, "min": lax.scatter_min,
        "multiply": lax.scatter_mul,
    }[op.kind]  # fmt: skip
    numbers = lax.ScatterDimensionNumbers(
        op.update_window_dims, op.inserted_window_dims, op.scatter_dims_to_operand_dims
    )
    mode = lax.GatherScatterMode.FILL_OR_DROP
    return function(x, _index_last(op, indices), updates, numbers, mode=mode)


def _index_last(op: Any, indices: Any) -> Any:
    """The indices with the index vectors along the last dim, in a dtype that wraps no index."""
    if op.index_vector_dim == indices.ndim:
        indices = indices[..., None]
    else:
        indices = jnp.moveaxis(indices, op.index_vector_dim, -1)
    return indices.astype(jnp.int64)
