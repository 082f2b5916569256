"""What the files of ops share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kgraph.ir import Dim, Shape, Size, Value, product
from kgraph.ops._promote import common_dtype, promoted
from kgraph.ops._trace import context_of

__all__ = [
    "axes_of",
    "axis_of",
    "binary",
    "entered",
    "float_unary",
    "is_sizes",
    "kept_shape",
    "reshaped",
    "same",
    "size_of",
    "unary",
]


def entered(x: Any, dtype: str | None = None) -> tuple[Any, Value]:
    """Where an op on `x` goes, and `x` there."""
    context = context_of((x,))
    return context, context.lift(x, dtype)


def same(x: Any) -> Any:
    """x itself, as a result: an array is copied."""
    context, value = entered(x)
    return context.wrap(value)


def unary(name: str, x: Any) -> Any:
    """The op `name` of x, in the dtype of x."""
    context, value = entered(x)
    return context.wrap(getattr(context.b, name)(value))


def float_unary(name: str, x: Any) -> Any:
    """The op `name` of x; integers become the default float type first."""
    context = context_of((x,))
    value = context.lift(x, common_dtype(x, at_least="float"))
    return context.wrap(getattr(context.b, name)(value))


def binary(name: str, x1: Any, x2: Any, at_least: str | None = None) -> Any:
    """The op `name` of two operands, brought to one dtype and shape."""
    context, (a, b) = promoted(x1, x2, at_least=at_least)
    return context.wrap(getattr(context.b, name)(a, b))


def axis_of(axis: Any, rank: int, name: str = "axis") -> int:
    """An axis, counted from the end if negative, as a dim.

    Raises:
        ValueError: there is no such dim.
    """
    number = int(axis)
    if not -rank <= number < rank:
        raise ValueError(f"`{name}`={axis} is out of range for a tensor of rank {rank}")
    return number % rank


def axes_of(axis: Any, rank: int, name: str = "axis") -> tuple[int, ...]:
    """None (all), an axis or several, as ascending dims, each once."""
    if axis is None:
        return tuple(range(rank))
    given = axis if isinstance(axis, list | tuple) else (axis,)
    dims = sorted(axis_of(a, rank, name) for a in given)
    if len(set(dims)) != len(dims):
        raise ValueError(f"`{name}`={axis} names an axis twice")
    return tuple(dims)


def kept_shape(shape: Shape, dims: Sequence[int]) -> Shape:
    """The shape with the dims reduced to size 1."""
    return tuple(1 if d in dims else n for d, n in enumerate(shape))


def reshaped(b: Any, value: Value, shape: Shape) -> Value:
    """`reshape`, or the value itself."""
    if value.type.shape == shape:
        return value
    result: Value = b.reshape(value, shape)
    return result


def size_of(shape: Shape, dims: Sequence[int]) -> Size:
    """The product of the sizes of the dims."""
    return product([shape[d] for d in dims])


def is_sizes(x: Any) -> bool:
    """Is it a tuple or list of ints and Dims?"""
    return isinstance(x, tuple | list) and all(
        isinstance(n, Dim) or hasattr(n, "__index__") for n in x
    )
