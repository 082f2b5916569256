"""Running sums and products, differences, integrals."""

from __future__ import annotations

from typing import Any

from kgraph.ir import Builder, Dim, Value
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

# Elements that are summed by doubling; each level over it reads and writes an eighth as much.
BLOCK = 8


@op("numpy.Cumsum")
def cumsum(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The sums of all elements up to each one along a dim; by default of all in a row."""
    return _running(x, axis, dtype, "add", 0)


@op("numpy.Cumprod")
def cumprod(x: Any, axis: int | None = None, dtype: Any = None) -> Any:
    """The products of all elements up to each one along a dim; by default of all in a row."""
    return _running(x, axis, dtype, "multiply", 1)


def _running(x: Any, axis: int | None, dtype: Any, kind: str, neutral: int) -> Any:
    """Along a size that only the running program knows, one element after the other."""
    wanted = standardize_dtype(dtype) if dtype is not None else dtype_of(x)
    context, value = entered(x, "int32" if wanted == "bool" else wanted)
    b = context.b
    if axis is None:
        value, axis = reshaped(b, value, (value.type.size,)), 0
    dim = axis_of(axis, value.type.rank)
    n = value.type.shape[dim]
    if isinstance(n, Dim):
        return _one_by_one(context.wrap(value), dim, add if kind == "add" else multiply, neutral)
    start = b.constant(neutral, value.type.dtype)
    return context.wrap(_by_blocks(b, value, (dim, n), kind, start))


def _by_blocks(b: Builder, x: Value, along: tuple[int, int], kind: str, neutral: Value) -> Value:
    """Within blocks, then of the blocks' totals, each of which joins all of the block behind it."""
    (dim, n), shape, rank = along, x.type.shape, x.type.rank
    if n <= 2 * BLOCK:
        return _by_doubling(b, x, along, kind, neutral)
    blocks = -(-n // BLOCK)
    ends = tuple(blocks * BLOCK - n if d == dim else 0 for d in range(rank))
    if any(ends):
        x = b.pad(x, neutral, (0,) * rank, ends, (0,) * rank)
    x = b.reshape(x, (*shape[:dim], blocks, BLOCK, *shape[dim + 1 :]))
    x = _by_doubling(b, x, (dim + 1, BLOCK), kind, neutral)
    totals = cut(b, cut(b, x, dim + 1, BLOCK - 1, BLOCK), dim, 0, blocks - 1)
    totals = b.reshape(totals, (*shape[:dim], blocks - 1, *shape[dim + 1 :]))
    totals = _by_blocks(b, totals, (dim, blocks - 1), kind, neutral)
    totals = b.pad(
        totals, neutral, tuple(int(d == dim) for d in range(rank)), (0,) * rank, (0,) * rank
    )
    dims = tuple(d + (d > dim) for d in range(rank))
    x = getattr(b, kind)(x, b.broadcast(totals, x.type.shape, dims))
    x = b.reshape(x, (*shape[:dim], blocks * BLOCK, *shape[dim + 1 :]))
    return cut(b, x, dim, 0, n) if any(ends) else x


def _by_doubling(b: Builder, x: Value, along: tuple[int, int], kind: str, neutral: Value) -> Value:
    """After step k each element has taken in the 2**k before it."""
    (dim, n), rank = along, x.type.rank
    step = 1
    while step < n:
        low = tuple(step if d == dim else 0 for d in range(rank))
        shifted = b.pad(cut(b, x, dim, 0, n - step), neutral, low, (0,) * rank, (0,) * rank)
        x = getattr(b, kind)(x, shifted)
        step *= 2
    return x


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
