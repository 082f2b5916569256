"""Scatter, with StableHLO's dimension numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Shape, Size, is_positive, product
from kgraph.ir.errors import NotDifferentiableError
from kgraph.ir.graph import Array, Value
from kgraph.ir.locality import Combine, Locality, Rows
from kgraph.ir.ops.common import accumulator, ints, is_zero, zeros
from kgraph.ir.ops.places import Indexed, elements_of, starts_of
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

_KINDS: dict[str, np.ufunc | None] = {
    "add": np.add,
    "set": None,
    "max": np.maximum,
    "min": np.minimum,
    "multiply": np.multiply,
}


class Scatter(Indexed):
    """x with windows combined into it by `kind`, one for each place in `indices`, in row-major
    order of the places.

    The dims of `updates` at `update_window_dims` are those of the windows, less the inserted ones
    of size 1; the others are those of the places. Coordinate k of a place is the start in dim
    `scatter_dims_to_operand_dims[k]`. A window that does not lie within x is dropped whole. 16-bit
    floats accumulate in float32 and are rounded once.

    C1  `indices` are integers.
    C2  `index_vector_dim` has as many coordinates as `scatter_dims_to_operand_dims`.
    C3  `inserted_window_dims` ascends and names dims of x.
    C4  `scatter_dims_to_operand_dims` names dims of x, each once.
    C5  `update_window_dims` ascends, names dims of `updates`, and has an entry for each dim that is
        not inserted.
    C6  `updates` has the dtype of x, windows that fit into x, and a window for each place.
    C7  `kind` is add, set, max, min, multiply; for bool only set.
    """

    updates: Value
    kind: str
    update_window_dims: tuple[int, ...]
    inserted_window_dims: tuple[int, ...]
    scatter_dims_to_operand_dims: tuple[int, ...]
    index_vector_dim: int

    @property
    def window(self) -> Shape:
        """The size of a window in each dim of x."""
        sizes = iter([self.updates.shape[d] for d in self.update_window_dims])
        return tuple(
            [1 if d in self.inserted_window_dims else next(sizes) for d in range(self.x.type.rank)]
        )

    @property
    def scatter_dims(self) -> tuple[int, ...]:
        """The dims of `updates` that count the places."""
        return tuple([i for i in range(self.updates.type.rank) if i not in self.update_window_dims])

    def infer(self) -> TensorType:
        t, u = self.x.type, self.updates.type
        places = self.vectors(self.index_vector_dim, len(self.scatter_dims_to_operand_dims))
        self.distinct(
            "C3", "inserted_window_dims", self.inserted_window_dims, t.rank, ascending=True
        )
        self.distinct(
            "C4",
            "scatter_dims_to_operand_dims",
            self.scatter_dims_to_operand_dims,
            t.rank,
            ascending=False,
        )
        self.distinct("C5", "update_window_dims", self.update_window_dims, u.rank, ascending=True)
        if len(self.update_window_dims) + len(self.inserted_window_dims) != t.rank:
            raise self.error(
                "C5",
                f"each dim of x: {t} is inserted or in a window; got {self.update_window_dims}",
            )
        fits = not any(is_positive(k - n) for k, n in zip(self.window, t.shape, strict=True))
        if (
            not fits
            or u.dtype != t.dtype
            or tuple([u.shape[d] for d in self.scatter_dims]) != places
        ):
            raise self.error(
                "C6",
                f"`updates` must be windows in x: {t} for places {places}; got {u}",
            )
        if self.kind not in _KINDS or (t.dtype == "bool" and self.kind != "set"):
            raise self.error(
                "C7",
                f"`kind` must be of {tuple(_KINDS)}, for bool set; got {self.kind!r} for {t}",
            )
        return t

    def reference(self, x: Array, indices: Array, updates: Array) -> Array:
        dims, sizes = self.scatter_dims_to_operand_dims, ints(self.window)
        starts = starts_of(indices, self.index_vector_dim, len(dims))
        places = starts.shape[1:]
        largest = np.array([x.shape[d] - sizes[d] for d in dims], np.int64).reshape(
            -1, *[1] * len(places)
        )
        inside = np.all((starts >= 0) & (starts <= largest), axis=0).reshape(-1)
        windows = np.transpose(updates, self.scatter_dims + self.update_window_dims)
        windows = windows.reshape(math.prod(places), *sizes)[inside]
        elements = elements_of(starts.reshape(len(dims), inside.size)[:, inside], dims, sizes)
        out = x.astype(accumulator(self.x.dtype) if self.kind in ("add", "multiply") else x.dtype)
        combine = _KINDS[self.kind]
        if not elements:  # rank 0
            elements, out = (np.zeros(len(windows), np.int64),), out.reshape(1)
        if combine is None:
            out[elements] = windows
        else:
            combine.at(out, elements, windows.astype(out.dtype, copy=False))
        return out.reshape(x.shape).astype(x.dtype, copy=False)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """`set`: the last window at an element gets its gradient; `max`, `min`: the equal ones
        share it.
        """
        (g,) = grads
        assert g is not None
        if self.kind == "add":
            return g, None, self._where_inside(b, self._windows_of(b, g))
        if self.kind == "set":
            kept = self._scattered(b, g, zeros(b, self.updates), "set")
            return (
                kept,
                None,
                self._where_inside(
                    b, b.select(self._wins(b), self._windows_of(b, g), zeros(b, self.updates))
                ),
            )
        if self.kind in ("max", "min"):
            return self._vjp_extreme(b, g)
        raise NotDifferentiableError(
            "scatter has no gradient for kind='multiply'; use a product of gathered factors"
        )

    def _vjp_extreme(self, b: Builder, g: Value) -> tuple[Value | None, ...]:
        kept = b.cast(b.compare(self.x, self.result, "EQ"), g.dtype)
        hits = b.cast(b.compare(self.updates, self._windows_of(b, self.result), "EQ"), g.dtype)
        share = b.divide(g, self._scattered(b, kept, hits, "add"))
        return (
            b.multiply(share, kept),
            None,
            self._where_inside(b, b.multiply(self._windows_of(b, share), hits)),
        )

    def _scattered(self, b: Builder, x: Value, updates: Value, kind: str) -> Value:
        (found,) = b.append(
            Scatter(
                x, self.indices, updates, kind, self.update_window_dims, self.inserted_window_dims,
                self.scatter_dims_to_operand_dims, self.index_vector_dim,
            )
        )  # fmt: skip
        return found

    def _windows_of(self, b: Builder, v: Value) -> Value:
        """The windows of `v`, in the shape of `updates`; anything for those outside."""
        found: Value = b.gather(
            v, self.indices, self.update_window_dims, self.inserted_window_dims,
            self.scatter_dims_to_operand_dims, self.index_vector_dim, self.window,
        )  # fmt: skip
        return found

    def _where_inside(self, b: Builder, v: Value) -> Value:
        """`v`, of the shape of `updates`, with zeros for the windows that are dropped."""
        dims = self.scatter_dims_to_operand_dims
        if not dims:
            return v
        indices, limits = self.limits(b, dims, self.window)
        shape, at = indices.shape, self.index_vector_dim
        low = b.splat(0, indices.type)
        high = b.broadcast(self.along(b, at, limits, shape), shape) if len(limits) else low
        inside = b.and_(b.compare(indices, low, "GE"), b.compare(indices, high, "LE"))
        if at < len(shape):
            inside = b.reduce(inside, "and", (at,))
        inside = b.broadcast_in_dim(inside, self.updates.shape, self.scatter_dims)
        found: Value = b.select(inside, v, b.splat(0, v.type))
        return found

    def _wins(self, b: Builder) -> Value:
        """Is an element of `updates` the last one that is set to its place?"""
        places: tuple[Size, ...] = tuple([self.updates.shape[d] for d in self.scatter_dims])
        number = b.reshape(b.iota((product(places),), 0, "int32"), places)
        number = b.broadcast_in_dim(number, self.updates.shape, self.scatter_dims)
        last = self._scattered(b, b.splat(-1, TensorType(self.x.shape, "int32")), number, "set")
        wins: Value = b.compare(self._windows_of(b, last), number, "EQ")
        return wins

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        x, at, u = carried
        if x is None and at is not None and u is not None and at != self.index_vector_dim:
            place = at - (at > self.index_vector_dim)
            if u not in self.scatter_dims or self.scatter_dims.index(u) != place:
                return None
            if self.kind == "add" and is_zero(self.x):
                return (Combine("sum"),)
            return (Combine(self.kind),) if self.kind in ("max", "min") else None
        if (
            x is None
            or at is not None
            or u is None
            or x in self.scatter_dims_to_operand_dims + self.inserted_window_dims
        ):
            return None
        windows = [d for d in range(self.x.type.rank) if d not in self.inserted_window_dims]
        whole = (
            self.update_window_dims[windows.index(x)] == u
            and self.updates.shape[u] == self.x.shape[x]
        )
        return (Rows(x),) if whole else None
