"""Order: sorting, the largest, positions in sorted arrays, quantiles."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kgraph.ir import Dim, Size, product
from kgraph.ir import maximum as largest
from kgraph.ops._arithmetic import add, divide, maximum, minimum, multiply, subtract
from kgraph.ops._common import axes_of, axis_of, entered, reshaped
from kgraph.ops._core import cast
from kgraph.ops._creation import full
from kgraph.ops._dispatch import op
from kgraph.ops._functions import ceil, floor
from kgraph.ops._indexing import take, take_along_axis
from kgraph.ops._logic import equal, greater, isnan, less, less_equal, where
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import common_dtype
from kgraph.ops._reductions import any as any_of
from kgraph.ops._reductions import sum as total
from kgraph.ops._shapes import expand_dims, moveaxis, ravel, reshape

__all__ = [
    "argpartition", "argsort", "digitize", "in_top_k", "isin", "median", "percentile", "quantile",
    "searchsorted", "sort", "top_k",
]  # fmt: skip


@op("numpy.Sort")
def sort(x: Any, axis: int = -1) -> Any:
    """The elements in ascending order along a dim; NaN comes last."""
    context, value = entered(x)
    dim = axis_of(axis, value.type.rank)
    return context.wrap(context.b.sort((value,), dim, 1, False))


@op("numpy.Argsort")
def argsort(x: Any, axis: int | None = -1) -> Any:
    """The indices of the elements in ascending order along a dim; equal ones keep their order."""
    context, value = entered(x)
    b = context.b
    if axis is None or value.type.rank == 0:
        value, axis = reshaped(b, value, (value.type.size,)), 0
    dim = axis_of(axis, value.type.rank)
    place = b.iota(value.type.shape, dim, "int32")
    return context.wrap(b.sort((value, place), dim, 1, False)[1])


@op("numpy.Argpartition")
def argpartition(x: Any, kth: int, axis: int | None = -1) -> Any:
    """As `argsort`: what is before and behind the kth is in order too."""
    return argsort(x, axis)


@op("math.TopK")
def top_k(x: Any, k: int, sorted: bool = True) -> Any:
    """The k largest along the last dim, in descending order, and their indices."""
    context, value = entered(x)
    n = value.type.shape[-1] if value.type.rank else 0
    if isinstance(n, int) and isinstance(k, int) and not 0 <= k <= n:
        raise ValueError(f"`k` must be at most the last size of {value.type.shape}; got {k}")
    values, indices = context.b.top_k(value, k)
    return context.wrap(values), context.wrap(indices)


@op("math.InTopK", 2)
def in_top_k(targets: Any, predictions: Any, k: int) -> Any:
    """Whether less than k classes are predicted higher than the target; ties count for it."""
    chosen = take_along_axis(predictions, expand_dims(targets, -1), -1)
    chosen = where(isnan(chosen), -math.inf, chosen)
    rank = add(total(greater(predictions, chosen), -1), 1)
    return less_equal(rank, k)


@op("numpy.SearchSorted", 2)
def searchsorted(sorted_sequence: Any, values: Any, side: str = "left") -> Any:
    """Where each value would go into a sorted sequence: before equal elements, or ("right") behind.

    Raises:
        ValueError: the sequence has another rank than 1.
    """
    if len(sorted_sequence.shape) != 1:
        raise ValueError(
            "`searchsorted` only supports 1-D sorted sequences. Received: "
            f"sorted_sequence.shape={tuple(sorted_sequence.shape)}"
        )
    if side not in ("left", "right"):
        raise ValueError(f"`side` must be 'left' or 'right'; got {side!r}")
    dtype = common_dtype(sorted_sequence, values)
    sequence, wanted = cast(sorted_sequence, dtype), cast(values, dtype)
    n = sequence.shape[0]
    before = less if side == "left" else less_equal
    low = (
        np.zeros((), np.int32)
        if not wanted.shape
        else cast(multiply(0, cast(equal(wanted, wanted), "int32")), "int32")
    )
    last = cast(largest(n - 1, 0), "int32")

    def halved(_: Any, bounds: tuple[Any, Any]) -> tuple[Any, Any]:
        low, high = bounds
        middle = cast((low + high) // 2, "int32")
        goes_behind = before(take(sequence, minimum(middle, last), 0), wanted)
        open_ = less(low, high)
        return where(open_ & goes_behind, middle + 1, low), where(
            open_ & ~goes_behind, middle, high
        )

    bounds = (low, cast(add(low, n), "int32"))
    if isinstance(n, Dim):
        bounds = FUNCTIONS["fori_loop"](0, 32, halved, bounds)
    else:
        for _ in range(n.bit_length()):
            bounds = halved(None, bounds)
    return cast(bounds[0], "int32")


@op("numpy.Digitize", 2)
def digitize(x: Any, bins: Any) -> Any:
    """The number of the bin that each element is in: the count of bounds that are not larger."""
    return searchsorted(np.asarray(bins) if isinstance(bins, list | tuple) else bins, x, "right")


@op("numpy.IsIn", 2)
def isin(x1: Any, x2: Any, assume_unique: bool = False, invert: bool = False) -> Any:
    """Whether each element of x1 is one of x2."""
    found = any_of(equal(expand_dims(x1, -1), ravel(x2)), -1)
    return ~found if invert else found


@op("numpy.Median")
def median(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The middle of the elements in order; of two, their mean."""
    return quantile(x, 0.5, axis, "linear", keepdims)


@op("numpy.Percentile", 2)
def percentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """As `quantile`, q in percent."""
    return quantile(x, divide(q, 100.0), axis, method, keepdims)


@op("numpy.Quantile", 2)
def quantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The value below which the part q of the elements lies.

    Args:
        x: a tensor.
        q: between 0 and 1; of rank 1, the result has a dim 0 for it.
        axis: the dims of the elements; by default all.
        method: "linear", "lower", "higher", "midpoint" or "nearest": between two elements.
        keepdims: whether the dims stay, with size 1.
    """
    return quantile_of(x, q, axis, method, keepdims, skip_nan=False)


def quantile_of(x: Any, q: Any, axis: Any, method: str, keepdims: bool, skip_nan: bool) -> Any:
    """`quantile`; NaN makes NaN, or is left out."""
    dtype = common_dtype(x, at_least="float")
    x, q = cast(x, dtype), cast(q, dtype)
    rank, shape = len(x.shape), x.shape
    dims = axes_of(axis, rank)
    ordered, size = _last_dim_sorted(x, dims)
    several = len(q.shape) > 0
    # the last dim is that of q
    q = q if several else reshape(q, (1,))
    if skip_nan:  # NaN comes last: the others are the first elements of each row
        last = cast(subtract(total(equal(ordered, ordered), -1, True), 1), dtype)
    else:
        last = full((*ordered.shape[:-1], 1), size - 1, dtype)
    place = multiply(last, q)
    low, high = floor(place), ceil(place)
    below, above = (
        take_along_axis(ordered, cast(maximum(minimum(i, last), 0), "int32"), -1)
        for i in (low, high)
    )
    found = _between(below, above, subtract(place, low), method)
    if not skip_nan:
        found = where(isnan(expand_dims(ordered[..., -1], -1)), math.nan, found)
    found = moveaxis(found, -1, 0)
    kept = tuple(1 if d in dims else n for d, n in enumerate(shape))
    rest = kept if keepdims else tuple(n for d, n in enumerate(shape) if d not in dims)
    return reshape(found, (*q.shape, *rest) if several else rest)


def _last_dim_sorted(x: Any, dims: tuple[int, ...]) -> tuple[Any, Size]:
    rank = len(x.shape)
    count = product([x.shape[d] for d in dims])
    moved = moveaxis(x, dims, tuple(range(rank - len(dims), rank)))
    flat = reshape(moved, (*moved.shape[: rank - len(dims)], count))
    return sort(flat, -1), count


def _between(below: Any, above: Any, part: Any, method: str) -> Any:
    if method == "linear":
        return add(multiply(below, subtract(1, part)), multiply(above, part))
    if method == "lower":
        return below
    if method == "higher":
        return above
    if method == "midpoint":
        return multiply(add(below, above), 0.5)
    if method == "nearest":
        return where(less_equal(part, 0.5), below, above)
    raise ValueError(f"`method` must be linear, lower, higher, midpoint or nearest; got {method!r}")
