"""Arrays made of nothing: constants, ranges, identity matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgraph import config
from kgraph.ir import FLOATS, Dim, Shape, TensorType, is_nonnegative, numpy_dtype
from kgraph.ops._core import cast
from kgraph.ops._dispatch import op
from kgraph.ops._dtypes import standardize_dtype
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import broadcast_value, common_dtype, dtype_of
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import context_of

__all__ = [
    "arange", "array", "empty", "empty_like", "eye", "full", "full_like", "geomspace", "identity",
    "linspace", "logspace", "meshgrid", "ones", "ones_like", "tri", "zeros", "zeros_like",
]  # fmt: skip


def shape_of(sizes: Any) -> Shape:
    """A shape argument: a size or several; scalars count as sizes where they are concrete.

    Raises:
        ValueError: a size is negative or no size at all.
    """
    given = sizes if isinstance(sizes, tuple | list) else (sizes,)
    if isinstance(sizes, np.ndarray):
        given = tuple(sizes.reshape(-1))
    shape = tuple(n if isinstance(n, Dim) else _number(n, sizes) for n in given)
    for n in shape:
        if isinstance(n, int) and n < 0:
            raise ValueError(f"sizes must be at least 0; got the shape {sizes}")
    return shape


def _number(n: Any, sizes: Any) -> int:
    try:
        return int(n.__index__())
    except AttributeError:
        raise ValueError(f"expected ints as sizes; got {n!r} in the shape {sizes}") from None


def filled(shape: Any, value: Any, dtype: str) -> Any:
    """`value` (a scalar or what broadcasts to the shape) in all places."""
    sizes = shape_of(shape)
    context = context_of((value, *sizes))
    return context.wrap(broadcast_value(context.b, context.lift(value, dtype), sizes))


@op()
def zeros(shape: Any, dtype: Any = None) -> Any:
    """Zeros."""
    return filled(shape, 0, standardize_dtype(dtype))


@op()
def ones(shape: Any, dtype: Any = None) -> Any:
    """Ones."""
    return filled(shape, 1, standardize_dtype(dtype))


@op()
def empty(shape: Any, dtype: Any = None) -> Any:
    """Zeros: nothing is left undefined."""
    return zeros(shape, dtype)


@op("numpy.Full", ("fill_value",))
def full(shape: Any, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value` in all places."""
    return filled(shape, fill_value, standardize_dtype(dtype))


@op("numpy.ZerosLike")
def zeros_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape, and by default the dtype, of x."""
    return full_like(x, 0, dtype)


@op("numpy.OnesLike")
def ones_like(x: Any, dtype: Any = None) -> Any:
    """Ones in the shape, and by default the dtype, of x."""
    return full_like(x, 1, dtype)


@op("numpy.EmptyLike")
def empty_like(x: Any, dtype: Any = None) -> Any:
    """Zeros in the shape, and by default the dtype, of x."""
    return full_like(x, 0, dtype)


@op("numpy.FullLike", 2)
def full_like(x: Any, fill_value: Any, dtype: Any = None) -> Any:
    """`fill_value` in the shape, and by default the dtype, of x."""
    wanted = dtype_of(x) if dtype is None else standardize_dtype(dtype)
    context = context_of((x, fill_value))
    sizes = context.lift(x).type.shape
    return context.wrap(broadcast_value(context.b, context.lift(fill_value, wanted), sizes))


@op("numpy.Array")
def array(x: Any, dtype: Any = None) -> Any:
    """As `convert_to_tensor`."""
    return FUNCTIONS["convert_to_tensor"](x, dtype)


@op("numpy.Arange", 3)
def arange(start: Any, stop: Any = None, step: Any = None, dtype: Any = None) -> Any:
    """`start, start + step, ...` up to before `stop`; with one argument, from 0 up to before it.

    The number of elements must be known: bounds are numbers, or sizes (Dims) with the step 1.
    """
    given = [x for x in (start, stop, step) if x is not None]
    name = standardize_dtype(dtype) if dtype is not None else common_dtype(*given)
    first, last = (0, start) if stop is None else (start, stop)
    by = 1 if step is None else step
    if any(isinstance(x, Tensor) for x in (first, last, by)):
        first, last, by = (x.item() if isinstance(x, Tensor) else x for x in (first, last, by))
    if isinstance(first, Dim) or isinstance(last, Dim):
        return _symbolic_range(first, last, by, name)
    return np.arange(first, last, by).astype(numpy_dtype(name))


def _symbolic_range(first: Any, last: Any, by: Any, dtype: str) -> Any:
    count = -((first - last) // by) if isinstance(by, int) and by > 0 else None
    if count is None or not is_nonnegative(count):
        first, last, by = int(first), int(last), int(by)  # asks for the sizes
        return np.arange(first, last, by).astype(numpy_dtype(dtype))
    context = context_of((count if isinstance(count, Dim) else last,))
    b = context.b
    numbers = b.iota((count,), 0, dtype)
    if by != 1:
        numbers = b.multiply(numbers, b.splat(by, numbers.type))
    if first == 0:
        return context.wrap(numbers)
    offset = broadcast_value(b, context.lift(first, dtype), (count,))
    return context.wrap(b.add(numbers, offset))


@op("numpy.Linspace", 2)
def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from start to stop, equally far apart."""
    wanted = common_dtype(start, stop, at_least="float") if dtype is None else dtype
    wanted = standardize_dtype(wanted)
    inner = wanted if wanted in FLOATS else config.floatx()
    steps = num - 1 if endpoint else num
    first, last = cast(start, inner), cast(stop, inner)
    delta = FUNCTIONS["subtract"](last, first)
    place = np.arange(num).astype(numpy_dtype(inner)) / np.asarray(
        max(steps, 1), numpy_dtype(inner)
    )
    rank = len(FUNCTIONS["add"](first, last).shape)
    place = place.reshape((num,) + (1,) * rank)
    # a weighted mean, so that the last number is `stop` itself
    rest = FUNCTIONS["multiply"](first, np.asarray(1, place.dtype) - place)
    result = FUNCTIONS["add"](rest, FUNCTIONS["multiply"](last, place))
    if wanted not in FLOATS:
        result = FUNCTIONS["floor"](result)
    result = cast(result, wanted)
    if axis != 0:
        result = FUNCTIONS["moveaxis"](result, 0, axis)
    if not retstep:
        return result
    step = FUNCTIONS["divide"](delta, steps) if steps > 0 else FUNCTIONS["full_like"](delta, np.nan)
    return result, step


@op("numpy.Logspace", 2)
def logspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    base: Any = 10,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """Powers of `base` with exponents from start to stop, equally far apart."""
    wanted = common_dtype(start, stop, at_least="float") if dtype is None else dtype
    exponents = linspace(start, stop, num, endpoint, False, None, axis)
    return cast(FUNCTIONS["power"](cast(base, dtype_of(exponents)), exponents), wanted)


@op("numpy.Geomspace", 2)
def geomspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    dtype: Any = None,
    axis: int = 0,
) -> Any:
    """`num` numbers from start to stop, each the same multiple of the one before."""
    wanted = common_dtype(start, stop, at_least="float") if dtype is None else dtype
    log, absolute = FUNCTIONS["log"], FUNCTIONS["absolute"]
    sign = FUNCTIONS["sign"](cast(start, config.floatx()))
    logs = linspace(log(absolute(start)), log(absolute(stop)), num, endpoint, False, None, axis)
    return cast(FUNCTIONS["multiply"](sign, FUNCTIONS["exp"](logs)), wanted)


@op()
def eye(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803  # Keras's names
    """Ones on the k-th diagonal, zeros elsewhere."""
    return cast(_diagonal(N, M, k, "EQ"), standardize_dtype(dtype))


@op()
def identity(n: Any, dtype: Any = None) -> Any:
    """The identity matrix."""
    return eye(n, dtype=dtype)


@op()
def tri(N: Any, M: Any = None, k: int = 0, dtype: Any = None) -> Any:  # noqa: N803  # Keras's names
    """Ones on and below the k-th diagonal, zeros above."""
    return cast(_diagonal(N, M, k, "GE"), standardize_dtype(dtype))


def _diagonal(rows: Any, columns: Any, k: int, direction: str) -> Any:
    shape = shape_of((rows, rows if columns is None else columns))
    context = context_of(shape)
    return context.wrap(triangle(context.b, shape, k, direction))


def triangle(b: Any, shape: Shape, k: int, direction: str) -> Any:
    """A bool matrix: `row + k <direction> column`."""
    rank = len(shape)
    row, column = b.iota(shape, rank - 2, "int32"), b.iota(shape, rank - 1, "int32")
    if k:
        row = b.add(row, b.splat(k, TensorType(shape, "int32")))
    return b.compare(row, column, direction)


@op("numpy.Meshgrid", 0)
def meshgrid(*x: Any, indexing: str = "xy") -> Any:
    """The coordinates of a grid: one array per argument of rank 1, each in the grid's shape."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"`indexing` must be 'xy' or 'ij'; got {indexing!r}")
    context = context_of(x)
    values = [context.lift(item) for item in x]
    order = list(range(len(values)))
    if indexing == "xy" and len(order) > 1:
        order[:2] = [1, 0]
    sizes = [v.type.size for v in values]
    shape = tuple(sizes[order.index(d)] for d in range(len(order)))
    b, grids = context.b, []
    for value, dim in zip(values, order, strict=True):
        flat = value if value.type.rank == 1 else b.reshape(value, (value.type.size,))
        grids.append(context.wrap(b.broadcast_in_dim(flat, shape, (dim,))))
    return grids
