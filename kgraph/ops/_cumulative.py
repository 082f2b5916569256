"""Running sums and products, differences, integrals."""

from __future__ import annotations

from typing import Any

from kgraph.ir import Dim
from kgraph.ops._arithmetic import add, multiply
from kgraph.ops._common import axis_of, entered, reshaped
from kgraph.ops._creation import full_like
from kgraph.ops._dispatch import op
from kgraph.ops._dtypes import standardize_dtype
from kgraph.ops._logic import isnan, where
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import dtype_of
from kgraph.ops._reductions import sum as total
from kgraph.ops._shapes import cut, moveaxis

__all__ = ["cumprod", "cumsum", "diff", "nancumprod", "nancumsum", "trapezoid"]


@op("numpy.Cumsum")
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The sums of all elements up to each one along a dim; by default of all in a row."""
    return _running(x, axis, dtype, "add", 0)


@op("numpy.Cumprod")
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The products of all elements up to each one along a dim; by default of all in a row."""
    return _running(x, axis, dtype, "multiply", 1)


def _running(x: Any, axis: int | None, dtype: Any, kind: str, neutral: int) -> Any:
    """Doubling: after step k each element has taken in the 2**k before it.

    Along a size that only the running program knows, one element after the other.
    """
    wanted = standardize_dtype(dtype) if dtype is not None else dtype_of(x)
    context, value = entered(x, "int32" if wanted == "bool" else wanted)
    b = context.b
    if axis is None:
        value, axis = reshaped(b, value, (value.type.size,)), 0
    dim = axis_of(axis, value.type.rank)
    n, rank = value.type.shape[dim], value.type.rank
    if isinstance(n, Dim):
        return _one_by_one(context.wrap(value), dim, add if kind == "add" else multiply, neutral)
    start = b.constant(neutral, value.type.dtype)
    step = 1
    while step < n:
        low = tuple(step if d == dim else 0 for d in range(rank))
        shifted = b.pad(cut(b, value, dim, 0, n - step), start, low, (0,) * rank, (0,) * rank)
        value = getattr(b, kind)(value, shifted)
        step *= 2
    return context.wrap(value)


def _one_by_one(x: Any, dim: int, combine: Any, neutral: int) -> Any:
    rows = moveaxis(x, dim, 0)
    start = full_like(rows[0], neutral)

    def step(carry: Any, row: Any) -> tuple[Any, Any]:
        found = combine(carry, row)
        return found, found

    return moveaxis(FUNCTIONS["scan"](step, start, rows)[1], 0, dim)


@op("numpy.Nancumsum")
def nancumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """As `cumsum`, NaN counting as 0."""
    return cumsum(where(isnan(x), 0, x), axis, dtype)


@op("numpy.Nancumprod")
def nancumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """As `cumprod`, NaN counting as 1."""
    return cumprod(where(isnan(x), 1, x), axis, dtype)


@op("numpy.Diff")
def diff(a: Any, n: int = 1, axis: int = -1) -> Any:
    """Each element less the one before it along a dim, n times."""
    context, value = entered(a)
    b, dim = context.b, axis_of(axis, value.type.rank)
    for _ in range(n):
        size = value.type.shape[dim]
        later, earlier = cut(b, value, dim, 1, size), cut(b, value, dim, 0, size - 1)
        value = getattr(b, "xor" if value.type.dtype == "bool" else "subtract")(later, earlier)
    return context.wrap(value)


@op("numpy.Trapezoid")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Any:
    """The integral of y along a dim, by straight lines between samples at x, or `dx` apart."""
    y = moveaxis(y, axis, -1)
    if x is None:
        steps: Any = dx
    else:
        steps = diff(moveaxis(x, axis, -1) if len(x.shape) > 1 else x)
    means = multiply(add(y[..., 1:], y[..., :-1]), 0.5)
    return total(multiply(means, steps), -1)
