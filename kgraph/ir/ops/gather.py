"""Gather, with StableHLO's dimension numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Shape, is_positive
from kgraph.ir.graph import Array, Fact, Value
from kgraph.ir.locality import Locality, Rows
from kgraph.ir.ops.common import ints, zeros
from kgraph.ir.ops.places import Indexed, elements_of, starts_of
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Gather(Indexed):
    """Windows of x, one for each place in `indices`.

    The result has the dims of the windows, less the collapsed ones, at `offset_dims`, and the dims
    of the places at the others. Coordinate k of a place is the start in dim `start_index_map[k]`,
    clamped so that the window lies within x.

    C1  `indices` are integers.
    C2  `index_vector_dim` has as many coordinates as `start_index_map`.
    C3  `collapsed_slice_dims` ascends and names dims of x; the sizes of their slices are 1.
    C4  `start_index_map` names dims of x, each once.
    C5  `slice_sizes` has an entry for each dim of x, at most its size as far as they are known.
    C6  `offset_dims` ascends, names dims of the result, and has an entry for each dim that is not
        collapsed.
    """

    facts = frozenset({Fact.MOVES})
    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    index_vector_dim: int
    slice_sizes: Shape

    def infer(self) -> TensorType:
        t, sizes = self.x.type, self.slice_sizes
        places = iter(self.vectors(self.index_vector_dim, len(self.start_index_map)))
        if len(sizes) != t.rank or any(
            is_positive(k - n) or is_positive(-1 * k) for k, n in zip(sizes, t.shape, strict=True)
        ):
            raise self.error("C5", f"`slice_sizes` must fit into x: {t}; got {sizes}")
        self.distinct(
            "C3", "collapsed_slice_dims", self.collapsed_slice_dims, t.rank, ascending=True
        )
        if any(sizes[d] != 1 for d in self.collapsed_slice_dims):
            raise self.error(
                "C3",
                f"collapsed slices must have size 1; got {sizes} and {self.collapsed_slice_dims}",
            )
        self.distinct("C4", "start_index_map", self.start_index_map, t.rank, ascending=False)
        window = iter([n for d, n in enumerate(sizes) if d not in self.collapsed_slice_dims])
        vectors = max(self.indices.type.rank, self.index_vector_dim + 1) - 1
        rank = t.rank - len(self.collapsed_slice_dims) + vectors
        self.distinct("C6", "offset_dims", self.offset_dims, rank, ascending=True)
        if len(self.offset_dims) != t.rank - len(self.collapsed_slice_dims):
            raise self.error(
                "C6",
                f"the windows of x: {t} need other `offset_dims` than {self.offset_dims}",
            )
        return TensorType(
            tuple([next(window if i in self.offset_dims else places) for i in range(rank)]), t.dtype
        )

    def reference(self, x: Array, indices: Array) -> Array:
        dims, sizes = self.start_index_map, ints(self.slice_sizes)
        starts = starts_of(indices, self.index_vector_dim, len(dims))
        largest = np.array([x.shape[d] - sizes[d] for d in dims], np.int64)
        starts = np.clip(starts, 0, largest.reshape(-1, *[1] * (starts.ndim - 1)))
        places = starts.shape[1:]
        # dims of which each window has everything come last, and need no indices
        part = tuple(d for d in range(x.ndim) if d in dims or sizes[d] != x.shape[d])
        whole = tuple(d for d in range(x.ndim) if d not in part)
        elements = elements_of(
            starts, tuple(part.index(d) for d in dims), tuple(sizes[d] for d in part)
        )
        order, n = part + whole, len(places)
        found = np.transpose(x, order)
        found = found[elements] if part else np.broadcast_to(found, places + found.shape)
        kept = [d for d in range(x.ndim) if d not in self.collapsed_slice_dims]
        back = [n + order.index(d) for d in (*kept, *self.collapsed_slice_dims)]
        found = np.transpose(found, [*range(n), *back]).reshape(
            (*places, *[sizes[d] for d in kept])
        )
        rank = self.result.type.rank
        return np.moveaxis(found, range(n, rank), self.offset_dims) if rank else found

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """Adds each window to where it came from, which is where its clamped start is."""
        dims, shape = self.start_index_map, self.indices.shape
        indices = self.indices
        if dims:
            indices, limits = self.limits(b, dims, self.slice_sizes)
            indices = b.clamp(
                b.constant(0, indices.dtype),
                indices,
                self.along(b, self.index_vector_dim, limits, shape),
            )
        found = b.scatter(
            zeros(b, self.x),
            indices,
            grads[0],
            "add",
            self.offset_dims,
            self.collapsed_slice_dims,
            dims,
            self.index_vector_dim,
        )
        return found, None

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        x, at = carried
        if x is None and at is not None and at != self.index_vector_dim:
            places = [i for i in range(self.result.type.rank) if i not in self.offset_dims]
            return (Rows(places[at - (at > self.index_vector_dim)]),)
        if (
            x is None
            or at is not None
            or x in self.start_index_map
            or self.slice_sizes[x] != self.x.shape[x]
        ):
            return None
        windows = [d for d in range(self.x.type.rank) if d not in self.collapsed_slice_dims]
        return (Rows(self.offset_dims[windows.index(x)]),)
