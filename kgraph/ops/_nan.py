"""Reductions that leave NaN out."""

from __future__ import annotations

import math
from typing import Any

from kgraph.ops._arithmetic import divide, square, subtract
from kgraph.ops._core import cast
from kgraph.ops._dispatch import op
from kgraph.ops._functions import sqrt
from kgraph.ops._logic import isnan, logical_not, where
from kgraph.ops._promote import common_dtype
from kgraph.ops._reductions import all as all_of
from kgraph.ops._reductions import argmax, argmin, prod
from kgraph.ops._reductions import max as largest
from kgraph.ops._reductions import min as least
from kgraph.ops._reductions import sum as total
from kgraph.ops._sorting import quantile_of

__all__ = [
    "nanargmax", "nanargmin", "nanmax", "nanmean", "nanmedian", "nanmin", "nanpercentile",
    "nanprod", "nanquantile", "nanstd", "nansum", "nanvar",
]  # fmt: skip


@op("numpy.Nansum")
def nansum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The sum of what is not NaN."""
    return total(where(isnan(x), 0, x), axis, keepdims)


@op("numpy.Nanprod")
def nanprod(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The product of what is not NaN."""
    return prod(where(isnan(x), 1, x), axis, keepdims)


@op("numpy.Nanmax")
def nanmax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest of what is not NaN; NaN if all are."""
    return _extreme(x, axis, keepdims, -math.inf, largest)


@op("numpy.Nanmin")
def nanmin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest of what is not NaN; NaN if all are."""
    return _extreme(x, axis, keepdims, math.inf, least)


def _extreme(x: Any, axis: Any, keepdims: bool, other: float, reduce: Any) -> Any:
    if not common_dtype(x).startswith(("float", "bfloat")):
        return reduce(x, axis, keepdims)
    missing = isnan(x)
    found = reduce(where(missing, other, x), axis, keepdims)
    return where(all_of(missing, axis, keepdims), math.nan, found)


@op("numpy.Nanmean")
def nanmean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean of what is not NaN."""
    dtype = common_dtype(x, at_least="float")
    count = cast(total(logical_not(isnan(x)), axis, keepdims), dtype)
    return divide(nansum(cast(x, dtype), axis, keepdims), count)


@op("numpy.Nanvar")
def nanvar(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The variance of what is not NaN."""
    apart = subtract(x, nanmean(x, axis, True))
    return nanmean(square(apart), axis, keepdims)


@op("numpy.Nanstd")
def nanstd(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The standard deviation of what is not NaN."""
    return sqrt(nanvar(x, axis, keepdims))


@op("numpy.Nanargmax")
def nanargmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest that is not NaN; -1 if all are."""
    return _arg(x, axis, keepdims, -math.inf, argmax)


@op("numpy.Nanargmin")
def nanargmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the smallest that is not NaN; -1 if all are."""
    return _arg(x, axis, keepdims, math.inf, argmin)


def _arg(x: Any, axis: int | None, keepdims: bool, other: float, find: Any) -> Any:
    if not common_dtype(x).startswith(("float", "bfloat")):
        return find(x, axis, keepdims)
    missing = isnan(x)
    found = find(where(missing, other, x), axis, keepdims)
    return where(all_of(missing, axis, keepdims), -1, found)


@op("numpy.Nanmedian")
def nanmedian(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The median of what is not NaN."""
    return nanquantile(x, 0.5, axis, "linear", keepdims)


@op("numpy.Nanpercentile", 2)
def nanpercentile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The percentile of what is not NaN."""
    return nanquantile(x, divide(q, 100.0), axis, method, keepdims)


@op("numpy.Nanquantile", 2)
def nanquantile(
    x: Any, q: Any, axis: Any = None, method: str = "linear", keepdims: bool = False
) -> Any:
    """The quantile of what is not NaN; the arguments are those of `quantile`."""
    return quantile_of(x, q, axis, method, keepdims, skip_nan=True)
