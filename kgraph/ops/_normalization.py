"""Normalisation with given or computed statistics."""

from __future__ import annotations

import math
from typing import Any

from kgraph import config
from kgraph.ir import Value
from kgraph.ops._arithmetic import absolute, add, divide, maximum, multiply, negative
from kgraph.ops._common import axes_of
from kgraph.ops._core import cast, convert_to_tensor
from kgraph.ops._dispatch import op
from kgraph.ops._functions import rsqrt
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import broadcast_value, common_dtype, dtype_of
from kgraph.ops._reductions import max as largest
from kgraph.ops._reductions import sum as total
from kgraph.ops._shapes import reshape
from kgraph.ops._trace import context_of

__all__ = ["batch_normalization", "layer_normalization", "normalize", "rms_normalization"]


@op("nn.BatchNorm", ("x", "mean", "variance", "offset", "scale"))
def batch_normalization(
    x: Any,
    mean: Any,
    variance: Any,
    axis: int,
    offset: Any = None,
    scale: Any = None,
    epsilon: float = 1e-3,
) -> Any:
    """`(x - mean) / sqrt(variance + epsilon) * scale + offset`, each statistic along `axis`."""
    x = convert_to_tensor(x)
    shape: list[Any] = [1] * len(x.shape)
    shape[axis] = mean.shape[0]
    factor = rsqrt(add(reshape(variance, shape), epsilon))
    if scale is not None:
        factor = multiply(factor, reshape(scale, shape))
    shift = multiply(negative(reshape(mean, shape)), factor)
    if offset is not None:
        shift = add(shift, reshape(offset, shape))
    return add(multiply(x, factor), shift)


@op("nn.LayerNorm", 3)
def layer_normalization(
    x: Any,
    gamma: Any = None,
    beta: Any = None,
    axis: Any = -1,
    epsilon: float | None = None,
    rms_scaling: bool = False,
) -> Any:
    """x with mean 0 and variance 1 over dims, times gamma, plus beta.

    Args:
        x: a tensor; of 16-bit floats the statistics have 32 bits.
        gamma, beta: of the sizes of the dims; None: 1 and 0.
        axis: a dim or several.
        epsilon: added to the variance; None: the configured one.
        rms_scaling: divides by the deviation only, subtracts no mean and adds no beta.
    """
    epsilon = config.epsilon() if epsilon is None else epsilon
    own = common_dtype(x, at_least="float")
    context = context_of([v for v in (x, gamma, beta) if v is not None])
    value = context.lift(x, common_dtype(x, at_least="float32"))
    b, shape = context.b, value.type.shape
    dims = axes_of(axis, len(shape))
    sizes = tuple(shape[d] for d in dims)

    def parameter(given: Any, default: float) -> Value:
        lifted: Value = context.lift(default if given is None else given, value.type.dtype)
        if lifted.type.rank > len(dims):
            lifted = b.reshape(lifted, tuple(lifted.type.shape[d] for d in dims))
        return broadcast_value(b, lifted, sizes)

    scale = parameter(gamma, 1)
    if rms_scaling:
        variance = b.broadcast(b.moments(value, dims)[1], shape, _others(dims, len(shape)))
        deviation = b.rsqrt(b.add(variance, b.splat(epsilon, variance.type)))
        found = b.multiply(b.multiply(value, deviation), b.broadcast(scale, shape, dims))
    else:
        found = b.layer_norm(value, scale, parameter(beta, 0), dims, float(epsilon))
    return context.wrap(b.cast(found, own))


def _others(dims: tuple[int, ...], rank: int) -> tuple[int, ...]:
    return tuple(d for d in range(rank) if d not in dims)


@op("nn.RMSNorm", 2)
def rms_normalization(
    x: Any, scale: Any = None, axis: Any = -1, epsilon: float | None = None
) -> Any:
    """x over the root of its mean square over dims, times `scale`."""
    epsilon = config.epsilon() if epsilon is None else epsilon
    own = common_dtype(x, at_least="float")
    wide = cast(x, common_dtype(x, at_least="float32"))
    rank = len(wide.shape)
    dims = axes_of(axis, rank)
    mean_square = FUNCTIONS["mean"](multiply(wide, wide), dims, True)
    found = multiply(wide, rsqrt(add(mean_square, epsilon)))
    if scale is not None:
        if len(scale.shape) == len(dims):
            shape = [n if d in dims else 1 for d, n in enumerate(wide.shape)]
            scale = reshape(scale, shape)
        found = multiply(found, scale)
    return cast(found, own)


@op("nn.Normalize")
def normalize(x: Any, axis: Any = -1, order: Any = 2, epsilon: float | None = None) -> Any:
    """x over its norm of the given order along a dim; the norm is at least `epsilon`."""
    x = convert_to_tensor(x)
    if dtype_of(x).startswith(("int", "uint", "bool")):
        x = cast(x, config.floatx())
    if not len(x.shape):
        x = reshape(x, (1,))
    smallest = config.epsilon() if epsilon is None else epsilon
    if order == 2:
        square_sum = total(multiply(x, x), axis, True)
        return multiply(x, rsqrt(maximum(square_sum, smallest**2)))
    return divide(x, maximum(_norm(x, order, axis), smallest))


def _norm(x: Any, order: Any, axis: Any) -> Any:
    size = absolute(x)
    if order in (math.inf, "inf"):
        return largest(size, axis, True)
    if order == 1:
        return total(size, axis, True)
    return FUNCTIONS["power"](total(FUNCTIONS["power"](size, order), axis, True), 1.0 / order)
