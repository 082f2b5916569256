"""What gather and scatter share: windows at places that an operand gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Shape
from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.types import INTEGERS

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Indexed(Op, abstract=True):
    """Windows of x at places that `indices` gives; its dim `index_vector_dim` has the coordinates
    of a place.

    An `index_vector_dim` of the rank of `indices` means that each element is a place of one
    coordinate.
    """

    x: Value
    indices: Value

    def vectors(self, dim: int, count: int) -> Shape:
        """The shape of `indices` without the dim of the coordinates."""
        t = self.indices.type
        if t.dtype not in INTEGERS:
            raise self.error("C1", f"`indices` must be integers; got {t}")
        if not 0 <= dim <= t.rank:
            raise self.error(
                "C2", f"`index_vector_dim` must be at most the rank of `indices`: {t}; got {dim}"
            )
        if (t.shape[dim] if dim < t.rank else 1) != count:
            raise self.error("C2", f"`indices`: {t} must have {count} coordinates in dim {dim}")
        return t.shape[:dim] + t.shape[dim + 1 :]

    def distinct(
        self, label: str, field: str, dims: tuple[int, ...], rank: int, ascending: bool
    ) -> None:
        fits = all(0 <= d < rank for d in dims) and len(set(dims)) == len(dims)
        if not fits or (ascending and list(dims) != sorted(dims)):
            how = "ascend and name" if ascending else "name"
            raise self.error(
                label, f"`{field}` must {how} dims of rank {rank}, each once; got {dims}"
            )

    def limits(self, b: Builder, dims: tuple[int, ...], sizes: Shape) -> tuple[Value, list[Value]]:
        """`indices` in a dtype that holds all sizes, and the largest start that fits for each
        coordinate.
        """
        wide = self.indices.dtype if self.indices.dtype[-2:] in ("32", "64") else "int32"
        largest = [self.x.shape[d] - sizes[d] for d in dims]
        limits = [
            b.constant(n, wide) if isinstance(n, int) else b.dim_size(n, wide) for n in largest
        ]
        return b.cast(self.indices, wide), limits

    def along(self, b: Builder, dim: int, scalars: list[Value], shape: Shape) -> Value:
        """A tensor of `shape` with `scalars[k]` at index k of `dim`; a scalar where all are one."""
        if all(s is scalars[0] for s in scalars):
            return scalars[0]
        vector = b.concatenate(tuple(b.reshape(s, (1,)) for s in scalars), 0)
        spread: Value = b.broadcast_in_dim(vector, shape, (dim,))
        return spread


def starts_of(indices: Array, dim: int, count: int) -> Array:
    """int64 starts of shape [count, *places]."""
    if dim == indices.ndim:
        indices = indices[..., None]
    starts: Array = np.moveaxis(indices, dim, 0).astype(
        np.uint64 if indices.dtype == np.uint64 else np.int64
    )
    if starts.dtype == np.uint64:
        starts = np.minimum(starts, np.uint64(2**62)).astype(np.int64)
    return starts.reshape(count, *starts.shape[1:])


def elements_of(starts: Array, dims: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[Array, ...]:
    """For each dim of x, the index of each element of each window: arrays that broadcast to
    [*places, *sizes].
    """
    places, rank = starts.ndim - 1, len(sizes)
    found: list[Array] = []
    for d, n in enumerate(sizes):
        offset = np.arange(n).reshape([-1 if i == d else 1 for i in range(rank)])
        if d in dims:
            start = starts[dims.index(d)]
            offset = start.reshape(*start.shape, *[1] * rank) + offset
        else:
            offset = offset.reshape(*[1] * places, *offset.shape)
        found.append(offset)
    if found and not dims:  # the same window for each place
        found[0] = np.broadcast_to(found[0], (*starts.shape[1:], *found[0].shape[places:]))
    return tuple(found)
