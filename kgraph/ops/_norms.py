"""Norms and correlations."""

from __future__ import annotations

import math
from typing import Any

from kgraph.ops._arithmetic import absolute, clip, divide, multiply, power, square, subtract
from kgraph.ops._common import axes_of
from kgraph.ops._contractions import matmul
from kgraph.ops._convolution import conv
from kgraph.ops._core import cast
from kgraph.ops._dispatch import op
from kgraph.ops._functions import log10, sqrt
from kgraph.ops._indexing import diag
from kgraph.ops._logic import not_equal
from kgraph.ops._padding import pad
from kgraph.ops._promote import common_dtype
from kgraph.ops._reductions import max as largest
from kgraph.ops._reductions import mean
from kgraph.ops._reductions import min as least
from kgraph.ops._reductions import sum as total
from kgraph.ops._shapes import expand_dims, flip, reshape, transpose

__all__ = ["corrcoef", "correlate", "norm", "psnr"]


@op("linalg.Norm")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Any:
    """The norm of vectors along a dim, or of matrices along two.

    Args:
        x: a tensor.
        ord: of vectors: a number, math.inf or -math.inf; of matrices: "fro", 1, -1, math.inf or
            -math.inf; None: the root of the sum of all squares.
        axis: a dim or two; None: all elements, or the only dims of a vector or matrix with `ord`.
        keepdims: whether the dims stay, with size 1.

    Raises:
        ValueError: there is no such norm.
    """
    x = cast(x, common_dtype(x, at_least="float"))
    rank = len(x.shape)
    dims = axes_of(axis, rank)
    if ord is None or (len(dims) == 2 and ord == "fro"):
        return sqrt(total(square(x), dims, keepdims))
    if isinstance(axis, list | tuple) and len(axis) == 2:
        dims = tuple(a % rank for a in axis)
    if len(dims) == 1:
        return _vector_norm(x, ord, dims[0], keepdims)
    if len(dims) == 2:
        return _matrix_norm(x, ord, dims, keepdims)
    raise ValueError(f"`ord`={ord} is for vectors and matrices; got {len(dims)} dims")


def _vector_norm(x: Any, ord: Any, dim: int, keepdims: bool) -> Any:
    size = absolute(x)
    if ord == math.inf:
        return largest(size, dim, keepdims)
    if ord == -math.inf:
        return least(size, dim, keepdims)
    if ord == 0:
        return total(cast(not_equal(x, 0), x.dtype), dim, keepdims)
    if isinstance(ord, str):
        raise ValueError(f"`ord`={ord!r} is no norm of vectors")
    if ord == 1:
        return total(size, dim, keepdims)
    if ord == 2:
        return sqrt(total(square(x), dim, keepdims))
    return power(total(power(size, ord), dim, keepdims), 1.0 / ord)


def _matrix_norm(x: Any, ord: Any, dims: tuple[int, ...], keepdims: bool) -> Any:
    rows, columns = dims
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError(f"`ord`={ord!r} of matrices: expected 'fro', 1, -1, inf or -inf")
    summed, kept = (rows, columns) if abs(ord) == 1 else (columns, rows)
    sums = total(absolute(x), summed, True)
    found = (largest if ord > 0 else least)(sums, kept, True)
    if keepdims:
        return found
    return reshape(found, tuple(n for d, n in enumerate(found.shape) if d not in dims))


@op("nn.PSNR", 2)
def psnr(x1: Any, x2: Any, max_val: Any) -> Any:
    """The peak signal-to-noise ratio of two images, in decibels."""
    if tuple(x1.shape) != tuple(x2.shape):
        raise ValueError(f"Input shapes {x1.shape} and {x2.shape} must match for PSNR calculation.")
    error = mean(square(subtract(x1, x2)))
    peak = log10(cast(max_val, common_dtype(x1, x2, at_least="float")))
    return subtract(multiply(20.0, peak), multiply(10.0, log10(error)))


@op("numpy.Corrcoef")
def corrcoef(x: Any) -> Any:
    """The correlation of each row with each."""
    x = cast(x, common_dtype(x, at_least="float"))
    apart = subtract(x, mean(x, -1, True))
    covariance = divide(matmul(apart, transpose(apart)), x.shape[-1] - 1)
    deviation = sqrt(diag(covariance))
    found = divide(divide(covariance, expand_dims(deviation, 1)), expand_dims(deviation, 0))
    return clip(found, -1.0, 1.0)


@op("numpy.Correlate", 2)
def correlate(x1: Any, x2: Any, mode: str = "valid") -> Any:
    """The sums of products of x1 and x2, moved along it: "valid", "same" or "full"."""
    m, n = int(x1.shape[0]), int(x2.shape[0])
    if mode not in ("valid", "same", "full"):
        raise ValueError(f"`mode` must be 'valid', 'same' or 'full'; got {mode!r}")
    if n > m:
        return flip(correlate(x2, x1, mode))
    dtype = common_dtype(x1, x2, at_least="float")
    signal = reshape(cast(x1, dtype), (1, m, 1))
    around = {"valid": (0, 0), "same": (n // 2, n - 1 - n // 2), "full": (n - 1, n - 1)}[mode]
    signal = pad(signal, ((0, 0), around, (0, 0)))
    return reshape(
        conv(signal, reshape(cast(x2, dtype), (n, 1, 1)), data_format="channels_last"), (-1,)
    )
