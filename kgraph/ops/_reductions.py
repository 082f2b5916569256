"""Sums, products, extremes and moments over dims."""

from __future__ import annotations

from typing import Any

from kgraph.ir import FLOATS, Dim, Value
from kgraph.ops._arithmetic import maximum, minimum, subtract
from kgraph.ops._common import axes_of, axis_of, entered, kept_shape, reshaped, size_of
from kgraph.ops._core import cast
from kgraph.ops._dispatch import op
from kgraph.ops._functions import sqrt
from kgraph.ops._logic import truth
from kgraph.ops._promote import broadcast_value, common_dtype, dtype_of
from kgraph.ops._trace import context_of

__all__ = [
    "all", "amax", "amin", "any", "argmax", "argmin", "average", "count_nonzero", "logsumexp",
    "max", "mean", "min", "moments", "prod", "ptp", "std", "sum", "var",
]  # fmt: skip

# Small integers are summed in 32 bits, as in Keras.
_SUM_TYPES = {
    "bool": "int32", "int8": "int32", "int16": "int32", "uint8": "uint32", "uint16": "uint32",
}  # fmt: skip


def reduced(b: Any, value: Value, kind: str, dims: tuple[int, ...], keepdims: bool) -> Value:
    """`reduce`; with `keepdims` the dims stay, with size 1."""
    result: Value = b.reduce(value, kind, dims) if dims else value
    return reshaped(b, result, kept_shape(value.type.shape, dims)) if keepdims else result


def _reduce(x: Any, kind: str, axis: Any, keepdims: bool, dtype: str | None = None) -> Any:
    context, value = entered(x, dtype)
    dims = axes_of(axis, value.type.rank)
    return context.wrap(reduced(context.b, value, kind, dims, keepdims))


@op("numpy.Sum")
def sum(x: Any, axis: Any = None, keepdims: bool = False) -> Any:  # Keras's name
    """The sum over dims; by default over all."""
    dtype = dtype_of(x)
    return _reduce(x, "sum", axis, keepdims, _SUM_TYPES.get(dtype, dtype))


@op("numpy.Prod")
def prod(x: Any, axis: Any = None, keepdims: bool = False, dtype: Any = None) -> Any:
    """The product over dims; by default over all."""
    own = dtype_of(x)
    found = _reduce(x, "product", axis, keepdims, _SUM_TYPES.get(own, own))
    return found if dtype is None else cast(found, dtype)


@op("numpy.Max")
def max(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The largest over dims; NaN if one is NaN. `initial` takes part too."""
    found = _extreme(x, "max", axis, keepdims, initial)
    return found if initial is None else maximum(found, initial)


@op("numpy.Min")
def min(x: Any, axis: Any = None, keepdims: bool = False, initial: Any = None) -> Any:
    """The smallest over dims; NaN if one is NaN. `initial` takes part too."""
    found = _extreme(x, "min", axis, keepdims, initial)
    return found if initial is None else minimum(found, initial)


def _extreme(x: Any, kind: str, axis: Any, keepdims: bool, initial: Any) -> Any:
    context, value = entered(x)
    dims = axes_of(axis, value.type.rank)
    if initial is None and size_of(value.type.shape, dims) == 0:
        raise ValueError(f"`{kind}` of no elements ({value.type} over {dims}) needs `initial`")
    return context.wrap(reduced(context.b, value, kind, dims, keepdims))


@op("numpy.Amax")
def amax(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest over dims."""
    return max(x, axis, keepdims)


@op("numpy.Amin")
def amin(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest over dims."""
    return min(x, axis, keepdims)


@op("numpy.Ptp")
def ptp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest less the smallest."""
    return subtract(max(x, axis, keepdims), min(x, axis, keepdims))


@op("numpy.Any")
def any(x: Any, axis: Any = None, keepdims: bool = False) -> Any:  # Keras's name
    """Whether one is not 0."""
    return _reduce_truth(x, "or", axis, keepdims)


@op("numpy.All")
def all(x: Any, axis: Any = None, keepdims: bool = False) -> Any:  # Keras's name
    """Whether none is 0."""
    return _reduce_truth(x, "and", axis, keepdims)


def _reduce_truth(x: Any, kind: str, axis: Any, keepdims: bool) -> Any:
    context = context_of((x,))
    value = truth(context, x)
    return context.wrap(reduced(context.b, value, kind, axes_of(axis, value.type.rank), keepdims))


@op("numpy.CountNonzero")
def count_nonzero(x: Any, axis: Any = None) -> Any:
    """How many are not 0."""
    context = context_of((x,))
    value = context.b.cast(truth(context, x), "int32")
    return context.wrap(reduced(context.b, value, "sum", axes_of(axis, value.type.rank), False))


@op("numpy.Mean")
def mean(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The mean over dims; of integers, a float. 16-bit floats are summed in 32 bits."""
    own = dtype_of(x)
    wide = common_dtype(x, at_least="float32")
    context, value = entered(x, wide)
    b, dims = context.b, axes_of(axis, value.type.rank)
    total = reduced(b, value, "sum", dims, keepdims)
    result = b.divide(total, _count(context, value, dims, total))
    return context.wrap(b.cast(result, own if own in FLOATS else wide))


def _count(context: Any, value: Value, dims: tuple[int, ...], like: Value) -> Value:
    """How many elements each result is made of, in the type of `like`."""
    count = size_of(value.type.shape, dims)
    b = context.b
    if isinstance(count, Dim):
        number = b.dim_size(count, like.type.dtype)
    else:
        number = b.constant(count, like.type.dtype)
    found: Value = b.broadcast(number, like.type.shape)
    return found


@op("numpy.Average", ("x", "weights"))
def average(x: Any, axis: Any = None, weights: Any = None) -> Any:
    """The mean over dims; weights have x's shape, or the size of `axis`."""
    if weights is None:
        return mean(cast(x, common_dtype(x, at_least="float")), axis)
    dtype = common_dtype(x, weights, at_least="float")
    context = context_of((x, weights))
    value, factors = context.lift(x, dtype), context.lift(weights, dtype)
    b, shape = context.b, value.type.shape
    if factors.type.shape != shape:
        dim = axis_of(axis, len(shape))
        rest = (1,) * (len(shape) - 1 - dim)
        factors = broadcast_value(b, reshaped(b, factors, (*factors.type.shape, *rest)), shape)
    dims = axes_of(axis, len(shape))
    total = reduced(b, b.multiply(value, factors), "sum", dims, False)
    return context.wrap(b.divide(total, reduced(b, factors, "sum", dims, False)))


def _moments(x: Any, axis: Any, keepdims: bool) -> tuple[Any, Value, Value, str]:
    """The context, mean and variance (in at least 32 bits), and the dtype of a result."""
    dtype = common_dtype(x, at_least="float")
    context, value = entered(x, common_dtype(x, at_least="float32"))
    dims, b = axes_of(axis, value.type.rank), context.b
    found = [value, b.splat(0, value.type)] if not dims else list(b.moments(value, dims))
    if keepdims:
        found = [reshaped(b, v, kept_shape(value.type.shape, dims)) for v in found]
    return context, found[0], found[1], dtype


@op("numpy.Var")
def var(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The variance over dims: the mean of the squared distances from the mean."""
    context, _, variance, dtype = _moments(x, axis, keepdims)
    return context.wrap(context.b.cast(variance, dtype))


@op("numpy.Std")
def std(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """The square root of the variance."""
    return sqrt(var(x, axis, keepdims))


@op("nn.Moments")
def moments(x: Any, axes: Any, keepdims: bool = False, synchronized: bool = False) -> Any:
    """Mean and variance over dims."""
    own = dtype_of(x)
    context, *found, _ = _moments(x, axes, keepdims)
    b, results = context.b, []
    for value in found:
        if own in ("float16", "bfloat16"):  # no infinity where 32 bits had a number
            bound = b.constant(65504.0, value.type.dtype)
            value = b.clamp(b.negate(bound), value, bound)
        results.append(context.wrap(b.cast(value, own) if own in FLOATS else value))
    return tuple(results)


@op("numpy.Argmax")
def argmax(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the largest, the first of equal ones; of all elements in a row by default."""
    return _arg_reduce(x, "max", axis, keepdims)


@op("numpy.Argmin")
def argmin(x: Any, axis: int | None = None, keepdims: bool = False) -> Any:
    """The index of the smallest, the first of equal ones; of all elements in a row by default."""
    return _arg_reduce(x, "min", axis, keepdims)


def _arg_reduce(x: Any, kind: str, axis: int | None, keepdims: bool) -> Any:
    context, value = entered(x)
    b, shape = context.b, value.type.shape
    if axis is None:
        dim, dims = 0, tuple(range(len(shape)))
        value = reshaped(b, value, (value.type.size,))
    else:
        dim = axis_of(axis, len(shape))
        dims = (dim,)
    index = b.arg_reduce(value, kind, dim, "int32")
    if keepdims:
        index = reshaped(b, index, kept_shape(shape, dims))
    return context.wrap(index)


@op("math.Logsumexp")
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
    """`log(sum(exp(x)))` over dims, without overflow."""
    context, value = entered(x, common_dtype(x, at_least="float"))
    b, dims = context.b, axes_of(axis, value.type.rank)
    top = b.stop_gradient(reduced(b, value, "max", dims, True))
    top = b.select(b.is_finite(top), top, b.splat(0, top.type))
    shifted = b.exponential(b.subtract(value, _spread(b, top, value)))
    total = reduced(b, shifted, "sum", dims, keepdims)
    return context.wrap(b.add(b.log(total), reshaped(b, top, total.type.shape)))


def _spread(b: Any, value: Value, like: Value) -> Value:
    """`value`, whose reduced dims have size 1, in the shape of `like`."""
    found: Value = b.broadcast(value, like.type.shape, tuple(range(like.type.rank)))
    return found
