"""Several tensors to one, one to several."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from kgraph.ir import Shape, Size, Value
from kgraph.ops._common import axis_of, entered, reshaped
from kgraph.ops._dispatch import op
from kgraph.ops._promote import broadcast_shapes, common_dtype
from kgraph.ops._shapes import cut, expand_dims, ravel
from kgraph.ops._trace import context_of

__all__ = [
    "append", "array_split", "concatenate", "dsplit", "dstack", "hsplit", "hstack", "split",
    "stack", "unstack", "vsplit", "vstack",
]  # fmt: skip


def _lifted(xs: Sequence[Any]) -> tuple[Any, list[Value]]:
    items = list(xs)
    if not items:
        raise ValueError("expected at least one tensor; got an empty list")
    context = context_of(items)
    dtype = common_dtype(*items)
    return context, [context.lift(x, dtype) for x in items]


@op("numpy.Concatenate")
def concatenate(xs: Any, axis: int | None = 0) -> Any:
    """The tensors one behind the other along a dim; all other sizes must agree."""
    if axis is None:
        return concatenate([ravel(x) for x in xs], 0)
    context, values = _lifted(xs)
    ranks = {v.type.rank for v in values}
    if len(ranks) > 1:
        raise ValueError(f"tensors of one rank can be concatenated; got {_shapes(values)}")
    dim = axis_of(axis, ranks.pop())
    rests = [(*v.type.shape[:dim], *v.type.shape[dim + 1 :]) for v in values]
    if any(rest != rests[0] for rest in rests):
        values = _agreeing(context.b, values, rests, dim)
    single = len(values) == 1
    return context.wrap(values[0] if single else context.b.concatenate(tuple(values), dim))


def _agreeing(b: Any, values: list[Value], rests: list[Shape], dim: int) -> list[Value]:
    """The values with sizes beside `dim` that are taken to be equal."""
    numbers = [{n for n in sizes if isinstance(n, int)} for sizes in zip(*rests, strict=True)]
    if any(len(found) > 1 for found in numbers):
        raise ValueError(
            f"tensors that are concatenated along axis {dim} must agree in all other sizes; got "
            f"{_shapes(values)}"
        )
    rest = broadcast_shapes(*rests)
    found = []
    for v in values:
        wanted = (*rest[:dim], v.type.shape[dim], *rest[dim:])
        found.append(v if wanted == v.type.shape else b.assume_shape(v, wanted))
    return found


def _shapes(values: Sequence[Value]) -> str:
    return ", ".join(str(v.type.shape) for v in values)


@op("numpy.Stack")
def stack(x: Any, axis: int = 0) -> Any:
    """Tensors of one shape along a new dim."""
    context, values = _lifted(x)
    dim = axis_of(axis, values[0].type.rank + 1)
    if len({v.type.rank for v in values}) > 1:
        raise ValueError(f"tensors of one shape can be stacked; got {_shapes(values)}")
    return concatenate([expand_dims(context.wrap(v), dim) for v in values], dim)


@op("numpy.Vstack")
def vstack(xs: Any) -> Any:
    """Tensors below each other; those of rank 1 are rows."""
    return concatenate([_at_least(x, 2, 0) for x in xs], 0)


@op("numpy.Hstack")
def hstack(xs: Any) -> Any:
    """Tensors beside each other."""
    items = [_at_least(x, 1, 0) for x in xs]
    return concatenate(items, 0 if len(items[0].shape) == 1 else 1)


@op("numpy.Dstack")
def dstack(xs: Any) -> Any:
    """Tensors behind each other, along dim 2."""
    return concatenate([_at_least(_at_least(x, 2, 0), 3, -1) for x in xs], 2)


def _at_least(x: Any, rank: int, axis: int) -> Any:
    context, value = entered(x)
    found = context.wrap(value)
    while len(found.shape) < rank:
        found = expand_dims(found, axis)
    return found


@op("numpy.Append", 2)
def append(x1: Any, x2: Any, axis: int | None = None) -> Any:
    """`x2` behind `x1` along a dim; by default all elements in one row."""
    return concatenate([x1, x2], axis)


@op("numpy.Split")
def split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Equal parts along a dim, or the parts between indices."""
    context, value = entered(x)
    dim = axis_of(axis, value.type.rank)
    size = value.type.shape[dim]
    if isinstance(indices_or_sections, int):
        if size % indices_or_sections != 0:
            raise ValueError(
                f"axis {axis} of size {size} cannot be split into {indices_or_sections} equal parts"
            )
        step = size // indices_or_sections
        return _cuts(context, value, dim, [step * i for i in range(1, indices_or_sections)])
    return _cuts(context, value, dim, _bounds(indices_or_sections, size))


def _bounds(indices: Any, size: Size) -> list[Size]:
    """The indices, counted from the end if negative, within the size."""
    found: list[Size] = []
    for i in np.asarray(indices, object).reshape(-1):
        if isinstance(size, int):
            i = min(max(i + size if i < 0 else i, 0), size)
        elif isinstance(i, int) and i < 0:
            i = size + i
        found.append(i)
    return found


@op("numpy.ArraySplit")
def array_split(x: Any, indices_or_sections: Any, axis: int = 0) -> list[Any]:
    """Parts along a dim, as equal as can be: the first ones have one element more."""
    context, value = entered(x)
    dim = axis_of(axis, value.type.rank)
    size = int(value.type.shape[dim])
    if not isinstance(indices_or_sections, int):
        return _cuts(context, value, dim, _bounds(indices_or_sections, size))
    each, more = divmod(size, indices_or_sections)
    bounds: list[Size] = [each * i + min(i, more) for i in range(1, indices_or_sections)]
    return _cuts(context, value, dim, bounds)


def _cuts(context: Any, value: Value, dim: int, bounds: list[Size]) -> list[Any]:
    limits = [0, *bounds, value.type.shape[dim]]
    b, parts = context.b, []
    for start, limit in pairwise(limits):
        if isinstance(start, int) and isinstance(limit, int):
            limit = max(start, limit)
        parts.append(context.wrap(cut(b, value, dim, start, limit)))
    return parts


@op("numpy.Hsplit")
def hsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts beside each other."""
    rank = len(entered(x)[1].type.shape)
    return split(x, indices_or_sections, 0 if rank == 1 else 1)


@op("numpy.Vsplit")
def vsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts below each other."""
    return split(x, indices_or_sections, 0)


@op("numpy.Dsplit")
def dsplit(x: Any, indices_or_sections: Any) -> list[Any]:
    """Parts behind each other, along dim 2."""
    return split(x, indices_or_sections, 2)


@op("core.Unstack")
def unstack(x: Any, num: int | None = None, axis: int = 0) -> list[Any]:
    """The slices along a dim, without that dim. `num` is its size, where that is not known."""
    context, value = entered(x)
    dim = axis_of(axis, value.type.rank)
    shape, b = value.type.shape, context.b
    count = int(shape[dim]) if num is None else num
    if shape[dim] != count:
        value = b.assume_shape(value, (*shape[:dim], count, *shape[dim + 1 :]))
    kept = (*shape[:dim], *shape[dim + 1 :])
    return [context.wrap(reshaped(b, cut(b, value, dim, i, i + 1), kept)) for i in range(count)]
