"""Blocks and elements at places that numbers name: slices, scatters, segments."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgraph.ir import FLOATS, Size, Value
from kgraph.ops._common import reshaped
from kgraph.ops._core import convert_to_tensor
from kgraph.ops._creation import filled, shape_of
from kgraph.ops._dispatch import op
from kgraph.ops._indexing import _nonnegative
from kgraph.ops._promote import dtype_of
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import context_of
from kgraph.ops._variable import Variable

__all__ = [
    "scatter", "scatter_update", "segment_max", "segment_min", "segment_prod", "segment_sum",
    "slice", "slice_update",
]  # fmt: skip


def _starts(context: Any, start_indices: Any, rank: int) -> tuple[Value, ...]:
    """A scalar for each dim, from a tensor of rank 1 or a sequence of scalars."""
    b = context.b
    if isinstance(start_indices, tuple | list):
        values = [context.lift(i, "int32") for i in start_indices]
    else:
        whole = context.lift(start_indices, "int32")
        values = [b.slice(whole, (i,), (i + 1,), (1,)) for i in range(int(whole.type.shape[0]))]
    if len(values) != rank:
        raise ValueError(
            f"`start_indices` must have an entry for each of {rank} dims; got {len(values)}"
        )
    return tuple([reshaped(b, v, ()) for v in values])


def _symbolic(x: Any) -> list[Any]:
    return list(x) if isinstance(x, tuple | list) else [x]


@op("core.Slice", 2)
def slice(inputs: Any, start_indices: Any, shape: Any) -> Any:  # Keras's name
    """The block of this shape at this place, which is moved so far that the block is inside.

    Args:
        inputs: a tensor.
        start_indices: an integer for each dim, numbers or tensors.
        shape: the block's sizes; -1 is all that is left.
    """
    context = context_of((inputs, *_symbolic(start_indices)))
    value = context.lift(inputs)
    own = value.type.shape
    sizes: list[Size] = list(shape)
    for d, n in enumerate(sizes):
        if isinstance(n, int) and n == -1:
            start = start_indices[d]
            if isinstance(start, Tensor | Variable):
                raise ValueError(f"`shape`[{d}]=-1 needs a start that is a number; got {start!r}")
            sizes[d] = own[d] - int(start)
    starts = _starts(context, start_indices, len(own))
    return context.wrap(context.b.dynamic_slice(value, starts, shape_of(sizes)))


@op("core.SliceUpdate", 3)
def slice_update(inputs: Any, start_indices: Any, updates: Any) -> Any:
    """`inputs` with a block replaced, at this place, moved so far that it is inside."""
    context = context_of((inputs, *_symbolic(start_indices), updates))
    value = context.lift(inputs)
    block = context.lift(updates, value.type.dtype)
    starts = _starts(context, start_indices, value.type.rank)
    return context.wrap(context.b.dynamic_update_slice(value, block, starts))


_KINDS = {None: "set", "add": "add", "max": "max", "min": "min", "mul": "multiply"}


@op("core.Scatter", 2)
def scatter(indices: Any, values: Any, shape: Any) -> Any:
    """Zeros of the shape, with values added at places.

    Args:
        indices: (..., k): the places, by their index in the first k dims.
        values: (..., rest of the shape).
        shape: of the result.
    """
    zeros = filled(shape, 0, dtype_of(values))
    return scatter_update(zeros, indices, values, "add")


@op("core.ScatterUpdate", 3)
def scatter_update(inputs: Any, indices: Any, updates: Any, reduction: str | None = None) -> Any:
    """`inputs` with elements replaced at places, or combined with what is there.

    Args:
        inputs: a tensor.
        indices: (..., k): the places, by their index in the first k dims; negative ones count from
            the end, those out of range are left out.
        updates: (..., rest of the shape).
        reduction: None, "add", "max", "min" or "mul".
    """
    if reduction not in _KINDS:
        raise ValueError(f"`reduction` must be one of {list(_KINDS)}; got {reduction!r}")
    context = context_of((inputs, indices, updates))
    value, places = context.lift(inputs), context.lift(indices)
    if places.type.dtype not in ("int32", "int64"):
        places = context.b.cast(places, "int32")
    given = context.lift(updates, value.type.dtype)
    return context.wrap(_scattered(context.b, value, places, given, _KINDS[reduction]))


def _scattered(b: Any, value: Value, places: Value, updates: Value, kind: str) -> Value:
    where = places.type.shape
    count, rank = int(where[-1]), value.type.rank
    columns = []
    for k in range(count):
        low = (*(0,) * (len(where) - 1), k)
        column = b.slice(places, low, (*where[:-1], k + 1), (1,) * len(where))
        columns.append(_nonnegative(b, column, value.type.shape[k]))
    indices = columns[0] if count == 1 else b.concatenate(tuple(columns), len(where) - 1)
    lead = len(where) - 1
    window = tuple(range(lead, lead + rank - count))
    dims = tuple(range(count))
    wanted = (*where[:-1], *value.type.shape[count:])
    if updates.type.shape != wanted:
        updates = b.broadcast(
            updates, wanted, tuple(range(len(wanted) - updates.type.rank, len(wanted)))
        )
    found: Value = b.scatter(value, indices, updates, kind, window, dims, dims, lead)
    return found


def _segments(data: Any, segment_ids: Any, num_segments: int | None, kind: str, start: Any) -> Any:
    if num_segments is None:
        if isinstance(segment_ids, Tensor):
            raise ValueError("Argument `num_segments` must be set inside a traced program.")
        num_segments = int(np.max(np.asarray(segment_ids))) + 1
    data = convert_to_tensor(data)
    begin = filled((num_segments, *data.shape[1:]), start, dtype_of(data))
    context = context_of((begin, data, segment_ids))
    value, ids = context.lift(begin), context.lift(segment_ids, "int32")
    b = context.b
    indices = b.reshape(ids, (*ids.type.shape, 1))
    rank = value.type.rank
    found = b.scatter(
        value, indices, context.lift(data), kind, tuple(range(1, rank)), (0,), (0,), 1
    )
    return context.wrap(found)


@op("math.SegmentSum", 2)
def segment_sum(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The sum of the rows of each segment.

    Args:
        data: rows along dim 0.
        segment_ids: the segment of each row; those out of range are left out.
        num_segments: how many segments; needed inside a trace.
        sorted: kept for compatibility.
    """
    return _segments(data, segment_ids, num_segments, "add", 0)


@op("math.SegmentProd", 2)
def segment_prod(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The product of each segment, 1 of none. The arguments are those of `segment_sum`."""
    return _segments(data, segment_ids, num_segments, "multiply", 1)


@op("math.SegmentMax", 2)
def segment_max(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The largest of each segment, the dtype's least of none. The arguments: see `segment_sum`."""
    return _segments(data, segment_ids, num_segments, "max", _extreme(dtype_of(data), least=True))


@op("math.SegmentMin", 2)
def segment_min(
    data: Any, segment_ids: Any, num_segments: int | None = None, sorted: bool = False
) -> Any:
    """The least of each segment, the dtype's largest of none. The arguments: see `segment_sum`."""
    return _segments(data, segment_ids, num_segments, "min", _extreme(dtype_of(data), least=False))


def _extreme(dtype: str, least: bool) -> Any:
    if dtype in FLOATS:
        return float("-inf") if least else float("inf")
    info = np.iinfo(dtype)
    return info.min if least else info.max
