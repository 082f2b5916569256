"""Contractions and convolutions."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

import jax.numpy as jnp

from jax import lax
from kgraph.codegen.jax.table import lowers

# The precision of the contractions in the function that is being traced.
contraction_precision: ContextVar[lax.Precision] = ContextVar(
    "contraction_precision", default=lax.Precision.HIGHEST
)


def _accumulator(dtype: Any) -> Any:
    if dtype in (jnp.float16, jnp.bfloat16):
        return jnp.float32
    return dtype


@lowers("dot_general")
def _dot_general(op: Any, lhs: Any, rhs: Any) -> Any:
    numbers = ((op.lhs_contract, op.rhs_contract), (op.lhs_batch, op.rhs_batch))
    if lhs.dtype == jnp.bool_:
        lhs, rhs = lhs.astype(jnp.int32), rhs.astype(jnp.int32)
        return lax.dot_general(lhs, rhs, numbers) != 0
    out = lax.dot_general(
        lhs,
        rhs,
        numbers,
        precision=contraction_precision.get(),
        preferred_element_type=_accumulator(lhs.dtype),
    )
    return out.astype(lhs.dtype)


@lowers("convolution")
def _convolution(op: Any, lhs: Any, rhs: Any) -> Any:
    sides, out = op.dims.split("->")
    left, right = sides.split("_")
    numbers = lax.ConvDimensionNumbers(
        _positions(left, "bf"), _positions(right, "oi"), _positions(out, "bf")
    )
    if any(op.reversal):
        spatial = numbers.rhs_spec[2:]
        rhs = lax.rev(rhs, tuple(d for d, r in zip(spatial, op.reversal, strict=True) if r))
    result = lax.conv_general_dilated(
        lhs, rhs, op.strides, op.padding, op.lhs_dilation, op.rhs_dilation, numbers,
        op.feature_groups, op.batch_groups, contraction_precision.get(), _accumulator(lhs.dtype),
    )  # fmt: skip
    return result.astype(lhs.dtype)


def _positions(spec: str, first: str) -> tuple[int, ...]:
    """The dims in lax's order: the two letters of `first`, then the spatial dims 0, 1, ..."""
    return tuple(spec.index(c) for c in (*first, *map(str, range(len(spec) - 2))))
