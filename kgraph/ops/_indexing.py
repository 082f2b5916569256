"""Reading elements by index: `x[...]`, take, take_along_axis."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgraph.ir import INTEGERS, Dim, Size, Value, maximum, minimum
from kgraph.ops._common import axis_of, entered, reshaped
from kgraph.ops._creation import triangle
from kgraph.ops._dispatch import op
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import broadcast_shapes, broadcast_value, dtype_of
from kgraph.ops._shapes import ravel
from kgraph.ops._tensor import Tensor, TraceError
from kgraph.ops._trace import context_of
from kgraph.ops._variable import Variable

__all__ = [
    "diag",
    "diagflat",
    "diagonal",
    "get_item",
    "take",
    "take_along_axis",
    "trace",
    "tril",
    "triu",
]


@op("numpy.GetItem", 2)
def get_item(x: Any, key: Any) -> Any:
    """`x[key]`: ints, slices, None, `...`, and one array of integers, as in numpy.

    Raises:
        IndexError: too many indices, or an int that is out of range.
        TraceError: a mask of bools inside a trace: the shape of the result would depend on numbers.
    """
    items = list(key) if isinstance(key, tuple) else [key]
    context = context_of((x, *_tensors_in(items)))
    value = context.lift(x)
    if any(_is_array(item) and dtype_of(item) == "bool" for item in items):
        return _masked(context, value, items)
    items = _full_key(items, value.type.rank)
    arrays = [k for k, item in enumerate(items) if _is_array(item)]
    if not arrays:
        return context.wrap(_sliced(context, value, items))
    return _gathered(context, value, items, arrays)


def _tensors_in(items: list[Any]) -> list[Any]:
    found = [i for i in items if isinstance(i, Tensor | Variable | Dim)]
    for item in items:
        if isinstance(item, slice):
            found += [e for e in (item.start, item.stop, item.step) if isinstance(e, Tensor | Dim)]
    return found


def _is_array(item: Any) -> bool:
    if isinstance(item, Tensor | Variable):
        return True
    if isinstance(item, bool | np.bool_):
        raise IndexError("a single bool is no index here; use ops.where or ops.cond")
    return isinstance(item, np.ndarray | list | tuple)


def _full_key(items: list[Any], rank: int) -> list[Any]:
    """The key with `...` written out, one item for each dim of x beside the Nones."""
    used = sum(1 for i in items if i is not None and i is not Ellipsis)
    if used > rank:
        raise IndexError(f"{used} indices for a tensor of rank {rank}")
    rest = [slice(None)] * (rank - used)
    places = [k for k, i in enumerate(items) if i is Ellipsis]
    if len(places) > 1:
        raise IndexError("an index can have one `...` only")
    if places:
        return [*items[: places[0]], *rest, *items[places[0] + 1 :]]
    return [*items, *rest]


def _sliced(context: Any, value: Value, items: list[Any]) -> Value:
    b, shape = context.b, value.type.shape
    starts: list[Size] = []
    limits: list[Size] = []
    strides: list[int] = []
    backwards: list[int] = []
    result: list[int | None] = []
    dim = 0
    for item in items:
        if item is None:
            result.append(None)
            continue
        n = shape[dim]
        if isinstance(item, slice):
            start, limit, step = _slice_bounds(item, n)
            if step < 0:
                backwards.append(dim)
            result.append(dim)
        else:
            start = _index(item, n)
            limit, step = start + 1, 1
        starts.append(start)
        limits.append(limit)
        strides.append(abs(step))
        dim += 1
    if (
        any(s != 0 or t != 1 for s, t in zip(starts, strides, strict=True))
        or tuple(limits) != shape
    ):
        value = b.slice(value, tuple(starts), tuple(limits), tuple(strides))
    if backwards:
        value = b.reverse(value, tuple(backwards))
    sizes = value.type.shape
    return reshaped(b, value, tuple(1 if d is None else sizes[d] for d in result))


def _index(item: Any, n: Size) -> Size:
    if isinstance(item, Dim):
        return item
    try:
        i: int = item.__index__()
    except AttributeError:
        raise IndexError(
            f"expected an int, a slice, None or `...` as an index; got {item!r}"
        ) from None
    if isinstance(n, int) and not -n <= i < n:
        raise IndexError(f"index {i} is out of range for a dim of size {n}")
    return i if i >= 0 else n + i


def _slice_bounds(item: slice, n: Size) -> tuple[Size, Size, int]:
    """First element, one past the last (ascending whatever the sign of the step), and step."""
    step = 1 if item.step is None else int(item.step)
    if step == 0:
        raise ValueError("the step of a slice cannot be 0")
    if isinstance(n, int) and not any(isinstance(e, Dim) for e in (item.start, item.stop)):
        chosen = range(n)[item]
        if not chosen:
            return 0, 0, step
        low, high = sorted((chosen[0], chosen[-1]))
        return low, high + 1, step
    if step < 0:
        if (item.start, item.stop, step) == (None, None, -1):
            return 0, n, -1
        int(n)  # asks for the number
    start = _bound(item.start, n, 0)
    return start, maximum(start, _bound(item.stop, n, n)), step


def _bound(bound: Any, n: Size, default: Size) -> Size:
    if bound is None:
        return default
    at: Size = bound if isinstance(bound, Dim) else int(bound)
    if isinstance(at, int) and at < 0:
        return maximum(n + at, 0)
    return minimum(at, n)


def _gathered(context: Any, value: Value, items: list[Any], arrays: list[int]) -> Any:
    """Slices first, then one gather by the arrays of indices."""
    b = context.b
    plain = [slice(None) if k in arrays else item for k, item in enumerate(items)]
    ints = [k for k, i in enumerate(plain) if i is not None and not isinstance(i, slice)]
    adjacent = sorted([*arrays, *ints])
    dtype = "int32" if len(adjacent) > 1 else None
    indices = [context.lift(items[k], dtype) for k in adjacent]
    for k in ints:
        plain[k] = slice(None)
    value = _sliced(context, value, plain)
    shape = broadcast_shapes(*[v.type.shape for v in indices])
    dims = [sum(1 for i in items[:k]) for k in adjacent]
    wrapped = [
        _nonnegative(b, broadcast_value(b, v, shape), value.type.shape[d])
        for v, d in zip(indices, dims, strict=True)
    ]
    together = adjacent[-1] - adjacent[0] + 1 == len(adjacent)
    return context.wrap(gather_dims(b, value, wrapped, dims, dims[0] if together else 0))


def _masked(context: Any, value: Value, items: list[Any]) -> Any:
    array = context.array_of(value)
    if array is None or any(
        isinstance(i, Tensor) and context.array_of(i.value) is None for i in items
    ):
        raise TraceError(
            "A mask of bools as an index makes a result whose shape depends on numbers, which a "
            "traced program cannot have; use ops.where(mask, x, 0)."
        )
    key = tuple(np.asarray(i) if _is_array(i) else i for i in items)
    return context.wrap(context.lift(array[key]))


def _nonnegative(b: Any, index: Value, n: Size) -> Value:
    """Negative indices count from the end."""
    if index.type.dtype not in INTEGERS:
        raise IndexError(f"indices must be integers; got {index.type.dtype}")
    if index.type.dtype.startswith("u"):
        return index
    size = (
        b.dim_size(n, index.type.dtype) if isinstance(n, Dim) else b.constant(n, index.type.dtype)
    )
    from_end = b.add(index, b.broadcast(size, index.type.shape))
    found: Value = b.select(b.compare(index, b.splat(0, index.type), "LT"), from_end, index)
    return found


def gather_dims(b: Any, value: Value, indices: list[Value], dims: list[int], place: int) -> Value:
    """`value[..., indices, ...]`: those of the indices, at `place`, in place of the dims."""
    shape, where = value.type.shape, indices[0].type.shape
    rank = len(where)
    columns = [reshaped(b, i, (*where, 1)) for i in indices]
    starts = columns[0] if len(columns) == 1 else b.concatenate(tuple(columns), rank)
    rest = [d for d in range(len(shape)) if d not in dims]
    offsets = [k if k < place else k + rank for k in range(len(rest))]
    sizes = tuple(1 if d in dims else n for d, n in enumerate(shape))
    found: Value = b.gather(
        value, starts, tuple(offsets), tuple(sorted(dims)), tuple(dims), rank, sizes
    )
    return found


@op("numpy.Take", 2)
def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements with these indices along a dim; of all elements in a row by default.

    Negative indices count from the end. What is out of range gives NaN, in integers the smallest
    number of the type (the largest of an unsigned one), as in JAX.
    """
    if axis is None:
        return take(ravel(x), indices, 0)
    context = context_of((x, indices))
    value, index = context.lift(x), context.lift(indices)
    if index.type.dtype not in INTEGERS:
        index = context.b.convert(index, "int32")
    dim = axis_of(axis, value.type.rank)
    return context.wrap(_taken(context.b, value, index, dim))


def _taken(b: Any, value: Value, index: Value, dim: int) -> Value:
    n = value.type.shape[dim]
    index = _nonnegative(b, index, n)
    found = gather_dims(b, value, [index], [dim], dim)
    inside = _inside(b, index, n)
    rank, where = found.type.rank, index.type.rank
    mask = b.broadcast(inside, found.type.shape, tuple(range(dim, dim + where)) if rank else ())
    result: Value = b.select(mask, found, b.splat(_missing(found.type.dtype), found.type))
    return result


def _inside(b: Any, index: Value, n: Size) -> Value:
    size = (
        b.dim_size(n, index.type.dtype) if isinstance(n, Dim) else b.constant(n, index.type.dtype)
    )
    below = b.compare(index, b.broadcast(size, index.type.shape), "LT")
    found: Value = b.and_(b.compare(index, b.splat(0, index.type), "GE"), below)
    return found


def _missing(dtype: str) -> Any:
    if dtype == "bool":
        return True
    if dtype in INTEGERS:
        info = np.iinfo(dtype)
        return info.max if info.min == 0 else info.min
    return float("nan")


@op("numpy.TakeAlongAxis", 2)
def take_along_axis(x: Any, indices: Any, axis: int | None = None) -> Any:
    """Along one dim, the elements with these indices; along the others, those of the same index.

    `indices` has the rank of x, and its sizes beside `axis` (or 1). Out of range as in `take`.
    """
    if axis is None:
        return take_along_axis(ravel(x), ravel(indices), 0)
    context = context_of((x, indices))
    value, index = context.lift(x), context.lift(indices)
    b, rank = context.b, value.type.rank
    if index.type.rank != rank:
        raise ValueError(
            f"`indices` must have the rank of `x`, {rank}; got the shapes {index.type.shape} and "
            f"{value.type.shape}"
        )
    dim = axis_of(axis, rank)
    n = value.type.shape[dim]
    shapes = [(*s[:dim], 1, *s[dim + 1 :]) for s in (value.type.shape, index.type.shape)]
    rest = broadcast_shapes(*shapes)
    value = broadcast_value(b, value, (*rest[:dim], n, *rest[dim + 1 :]))
    index = broadcast_value(b, index, (*rest[:dim], index.type.shape[dim], *rest[dim + 1 :]))
    index = _nonnegative(b, index, n)
    where = index.type.shape
    coordinates = [index if d == dim else b.iota(where, d, index.type.dtype) for d in range(rank)]
    found = gather_dims(b, value, coordinates, list(range(rank)), 0)
    inside = _inside(b, index, n)
    return context.wrap(b.select(inside, found, b.splat(_missing(found.type.dtype), found.type)))


@op("numpy.Diagonal")
def diagonal(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The elements whose index in axis2 is that in axis1 plus `offset`, as the last dim."""
    context, value = entered(x)
    rank = value.type.rank
    first, second = axis_of(axis1, rank, "axis1"), axis_of(axis2, rank, "axis2")
    rows, columns = value.type.shape[first], value.type.shape[second]
    start = (max(0, -offset), max(0, offset))
    count = minimum(rows - start[0], columns - start[1])
    count = max(count, 0) if isinstance(count, int) else count
    b = context.b
    place = b.iota((count,), 0, "int32")
    coordinates = [b.add(place, b.splat(s, place.type)) if s else place for s in start]
    return context.wrap(gather_dims(b, value, coordinates, [first, second], rank - 2))


@op("numpy.Trace")
def trace(x: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal."""
    return FUNCTIONS["sum"](diagonal(x, offset, axis1, axis2), axis=-1)


@op("numpy.Diag")
def diag(x: Any, k: int = 0) -> Any:
    """A diagonal of a matrix, or the matrix with this diagonal."""
    context, value = entered(x)
    if value.type.rank == 2:
        return diagonal(x, k)
    if value.type.rank != 1:
        raise ValueError(f"`diag` takes a tensor of rank 1 or 2; got the shape {value.type.shape}")
    n = value.type.shape[0]
    side = n + abs(k)
    b = context.b
    where = "row" if k >= 0 else "column"
    padded = b.pad(value, b.constant(0, value.type.dtype), (0,), (abs(k),), (0,))
    spread = b.broadcast_in_dim(padded, (side, side), (0 if where == "row" else 1,))
    mask = FUNCTIONS["eye"](side, k=k, dtype="bool")
    return FUNCTIONS["where"](mask, context.wrap(spread), FUNCTIONS["cast"](0, value.type.dtype))


@op("numpy.Diagflat")
def diagflat(x: Any, k: int = 0) -> Any:
    """The matrix with all elements of x on a diagonal."""
    return diag(ravel(x), k)


@op("numpy.Tril")
def tril(x: Any, k: int = 0) -> Any:
    """The elements on and below the k-th diagonal of the last two dims, zeros above."""
    return _triangle(x, k, lower=True)


@op("numpy.Triu")
def triu(x: Any, k: int = 0) -> Any:
    """The elements on and above the k-th diagonal of the last two dims, zeros below."""
    return _triangle(x, k, lower=False)


def _triangle(x: Any, k: int, lower: bool) -> Any:
    context, value = entered(x)
    shape, b = value.type.shape, context.b
    if len(shape) < 2:
        raise ValueError(f"expected a tensor of rank 2 or more; got the shape {shape}")
    mask = triangle(b, shape, k if lower else k - 1, "GE" if lower else "LT")
    return context.wrap(b.select(mask, value, b.splat(0, value.type)))
