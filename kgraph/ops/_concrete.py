"""Functions whose result's shape depends on numbers: on concrete arrays only."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgraph.ir import Array
from kgraph.ops._core import convert_to_numpy
from kgraph.ops._dispatch import op
from kgraph.ops._dtypes import result_type
from kgraph.ops._tensor import Tensor, TraceError

__all__ = ["bincount", "histogram", "nonzero", "unique"]


def _known(x: Any, name: str) -> Array:
    if isinstance(x, Tensor) and x.trace.array_of(x.value) is None:
        raise TraceError(
            f"The shape of what ops.{name} gives depends on numbers, which a traced program does "
            "not have: call it on arrays, outside of the program."
        )
    return convert_to_numpy(x)


@op("numpy.Nonzero")
def nonzero(x: Any) -> Any:
    """The indices of what is not 0, an array for each dim."""
    return tuple(i.astype(np.int32) for i in np.nonzero(_known(x, "nonzero")))


@op("numpy.Unique")
def unique(
    x: Any,
    sorted: bool = True,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: int | None = None,
    size: int | None = None,
    fill_value: Any = None,
) -> Any:
    """The different elements in order; with `size`, cut or filled up to so many."""
    array = _known(x, "unique")
    found = np.unique(array, True, return_inverse, return_counts, axis=axis, equal_nan=False)
    values, index, *rest = found
    dim = 0 if axis is None else axis
    if size is not None:
        values = _sized(
            values, size, dim, values.min() if fill_value is None and values.size else fill_value
        )
        index = _sized(index, size, 0, index[0] if index.size else 0)
        if return_counts:
            rest[-1] = _sized(rest[-1], size, 0, 0)
    parts = [values, *([index] if return_index else []), *rest]
    parts = [parts[0], *[p.astype(np.int32) for p in parts[1:]]]
    return parts[0] if len(parts) == 1 else tuple(parts)


def _sized(values: Array, size: int, dim: int, fill: Any) -> Array:
    kept = np.take(values, range(min(size, values.shape[dim])), dim)
    missing = size - kept.shape[dim]
    widths = [(0, missing if d == dim else 0) for d in range(kept.ndim)]
    return np.pad(kept, widths, constant_values=0 if fill is None else fill) if missing else kept


@op("numpy.Bincount", 1)
def bincount(x: Any, weights: Any = None, minlength: int = 0, sparse: bool = False) -> Any:
    """How often each number from 0 up comes, in each row of x; weighted if there are weights."""
    if sparse:
        raise ValueError("kgraph has dense tensors only: `sparse` must be False")
    array = _known(x, "bincount")
    factors = None if weights is None else _known(weights, "bincount")
    dtype = "int32" if factors is None else result_type(factors.dtype)
    if array.ndim <= 1:
        return np.bincount(array, factors, minlength).astype(dtype)
    length = max(minlength, int(array.max(initial=-1)) + 1)
    rows = [
        np.bincount(row, None if factors is None else factors[i], length)
        for i, row in enumerate(array)
    ]
    return np.stack(rows).astype(dtype)


@op("numpy.Histogram")
def histogram(x: Any, bins: int = 10, range: Any = None) -> Any:
    """How many elements are in each of `bins` equal parts of the range, and the parts' bounds."""
    array = _known(x, "histogram")
    counts, edges = np.histogram(array, bins, range)
    dtype = result_type(array.dtype, float)
    return counts.astype(dtype), edges.astype(dtype)
