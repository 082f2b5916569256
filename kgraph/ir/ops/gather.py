"""Gather and scatter, with StableHLO's dimension numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Shape, Size, is_positive, product
from kgraph.ir.errors import NotDifferentiableError
from kgraph.ir.graph import Array, Fact, Op, Value
from kgraph.ir.locality import Combine, Locality, Rows
from kgraph.ir.ops.common import accumulator, ints, is_zero, zeros
from kgraph.ir.types import INTEGERS, TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

_SCATTER_KINDS: dict[str, np.ufunc | None] = {
    "add": np.add,
    "set": None,
    "max": np.maximum,
    "min": np.minimum,
    "multiply": np.multiply,
}


class _Indexed(Op, abstract=True):
    """Windows of x at places that `indices` gives; its dim `index_vector_dim` has the coordinates of a place.

    An `index_vector_dim` of the rank of `indices` means that each element is a place of one coordinate.
    """

    x: Value
    indices: Value

    def _vectors(self, dim: int, count: int) -> Shape:
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

    def _distinct(
        self, label: str, field: str, dims: tuple[int, ...], rank: int, ascending: bool
    ) -> None:
        fits = all(0 <= d < rank for d in dims) and len(set(dims)) == len(dims)
        if not fits or (ascending and list(dims) != sorted(dims)):
            how = "ascend and name" if ascending else "name"
            raise self.error(
                label, f"`{field}` must {how} dims of rank {rank}, each once; got {dims}"
            )

    def _limits(self, b: Builder, dims: tuple[int, ...], sizes: Shape) -> tuple[Value, list[Value]]:
        """`indices` in a dtype that holds all sizes, and the largest start that fits for each coordinate."""
        wide = self.indices.dtype if self.indices.dtype[-2:] in ("32", "64") else "int32"
        largest = [self.x.shape[d] - sizes[d] for d in dims]
        limits = [
            b.constant(n, wide) if isinstance(n, int) else b.dim_size(n, wide) for n in largest
        ]
        return b.cast(self.indices, wide), limits

    def _along(self, b: Builder, dim: int, scalars: list[Value], shape: Shape) -> Value:
        """A tensor of `shape` with `scalars[k]` at index k of `dim`; a scalar where all are one."""
        if all(s is scalars[0] for s in scalars):
            return scalars[0]
        vector = b.concatenate(tuple(b.reshape(s, (1,)) for s in scalars), 0)
        spread: Value = b.broadcast_in_dim(vector, shape, (dim,))
        return spread


def _starts(indices: Array, dim: int, count: int) -> Array:
    """int64 starts of shape [count, *places]."""
    if dim == indices.ndim:
        indices = indices[..., None]
    starts: Array = np.moveaxis(indices, dim, 0).astype(
        np.uint64 if indices.dtype == np.uint64 else np.int64
    )
    if starts.dtype == np.uint64:
        starts = np.minimum(starts, np.uint64(2**62)).astype(np.int64)
    return starts.reshape(count, *starts.shape[1:])


def _elements(starts: Array, dims: tuple[int, ...], sizes: tuple[int, ...]) -> tuple[Array, ...]:
    """For each dim of x, the index of each element of each window: arrays that broadcast to [*places, *sizes]."""
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


class Gather(_Indexed):
    """Windows of x, one for each place in `indices`.

    The result has the dims of the windows, less the collapsed ones, at `offset_dims`, and the dims of the places at
    the others. Coordinate k of a place is the start in dim `start_index_map[k]`, clamped so that the window lies
    within x.

    C1  `indices` are integers.
    C2  `index_vector_dim` has as many coordinates as `start_index_map`.
    C3  `collapsed_slice_dims` ascends and names dims of x; the sizes of their slices are 1.
    C4  `start_index_map` names dims of x, each once.
    C5  `slice_sizes` has an entry for each dim of x, at most its size as far as they are known.
    C6  `offset_dims` ascends, names dims of the result, and has an entry for each dim that is not collapsed.
    """

    facts = frozenset({Fact.MOVES})
    offset_dims: tuple[int, ...]
    collapsed_slice_dims: tuple[int, ...]
    start_index_map: tuple[int, ...]
    index_vector_dim: int
    slice_sizes: Shape

    def infer(self) -> TensorType:
        t, sizes = self.x.type, self.slice_sizes
        places = iter(self._vectors(self.index_vector_dim, len(self.start_index_map)))
        if len(sizes) != t.rank or any(
            is_positive(k - n) or is_positive(-1 * k) for k, n in zip(sizes, t.shape, strict=True)
        ):
            raise self.error("C5", f"`slice_sizes` must fit into x: {t}; got {sizes}")
        self._distinct(
            "C3", "collapsed_slice_dims", self.collapsed_slice_dims, t.rank, ascending=True
        )
        if any(sizes[d] != 1 for d in self.collapsed_slice_dims):
            raise self.error(
                "C3",
                f"collapsed slices must have size 1; got {sizes} and {self.collapsed_slice_dims}",
            )
        self._distinct("C4", "start_index_map", self.start_index_map, t.rank, ascending=False)
        window = iter([n for d, n in enumerate(sizes) if d not in self.collapsed_slice_dims])
        vectors = max(self.indices.type.rank, self.index_vector_dim + 1) - 1
        rank = t.rank - len(self.collapsed_slice_dims) + vectors
        self._distinct("C6", "offset_dims", self.offset_dims, rank, ascending=True)
        if len(self.offset_dims) != t.rank - len(self.collapsed_slice_dims):
            raise self.error(
                "C6",
                f"expected {t.rank - len(self.collapsed_slice_dims)} `offset_dims`; got {self.offset_dims}",
            )
        return TensorType(
            tuple([next(window if i in self.offset_dims else places) for i in range(rank)]), t.dtype
        )

    def reference(self, x: Array, indices: Array) -> Array:
        dims, sizes = self.start_index_map, ints(self.slice_sizes)
        starts = _starts(indices, self.index_vector_dim, len(dims))
        largest = np.array([x.shape[d] - sizes[d] for d in dims], np.int64).reshape(
            -1, *[1] * (starts.ndim - 1)
        )
        starts = np.clip(starts, 0, largest)
        places = starts.shape[1:]
        # dims of which each window has everything come last, and need no indices
        part = tuple(d for d in range(x.ndim) if d in dims or sizes[d] != x.shape[d])
        whole = tuple(d for d in range(x.ndim) if d not in part)
        elements = _elements(
            starts, tuple(part.index(d) for d in dims), tuple(sizes[d] for d in part)
        )
        found = (
            np.transpose(x, part + whole)[elements]
            if part
            else np.broadcast_to(x, places + x.shape)
        )
        back = [
            len(places) + (part + whole).index(d)
            for d in range(x.ndim)
            if d not in self.collapsed_slice_dims
        ]
        found = found.reshape(*places, *[sizes[d] for d in part + whole])
        found = np.transpose(
            found,
            [
                *range(len(places)),
                *back,
                *[len(places) + (part + whole).index(d) for d in self.collapsed_slice_dims],
            ],
        )
        found = found.reshape(found.shape[: len(places) + len(back)])
        rank = self.result.type.rank
        return np.moveaxis(found, range(len(places), rank), self.offset_dims) if rank else found

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """Adds each window to where it came from, which is where its clamped start is."""
        dims, shape = self.start_index_map, self.indices.shape
        indices = self.indices
        if dims:
            indices, limits = self._limits(b, dims, self.slice_sizes)
            indices = b.clamp(
                b.constant(0, indices.dtype),
                indices,
                self._along(b, self.index_vector_dim, limits, shape),
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


class Scatter(_Indexed):
    """x with windows combined into it by `kind`, one for each place in `indices`, in row-major order of the places.

    The dims of `updates` at `update_window_dims` are those of the windows, less the inserted ones of size 1; the
    others are those of the places. Coordinate k of a place is the start in dim `scatter_dims_to_operand_dims[k]`. A
    window that does not lie within x is dropped whole. 16-bit floats accumulate in float32 and are rounded once.

    C1  `indices` are integers.
    C2  `index_vector_dim` has as many coordinates as `scatter_dims_to_operand_dims`.
    C3  `inserted_window_dims` ascends and names dims of x.
    C4  `scatter_dims_to_operand_dims` names dims of x, each once.
    C5  `update_window_dims` ascends, names dims of `updates`, and has an entry for each dim that is not inserted.
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
        places = self._vectors(self.index_vector_dim, len(self.scatter_dims_to_operand_dims))
        self._distinct(
            "C3", "inserted_window_dims", self.inserted_window_dims, t.rank, ascending=True
        )
        self._distinct(
            "C4",
            "scatter_dims_to_operand_dims",
            self.scatter_dims_to_operand_dims,
            t.rank,
            ascending=False,
        )
        self._distinct("C5", "update_window_dims", self.update_window_dims, u.rank, ascending=True)
        if len(self.update_window_dims) + len(self.inserted_window_dims) != t.rank:
            raise self.error(
                "C5",
                f"each dim of x: {t} must be inserted or in a window; got {self.update_window_dims}",
            )
        fits = not any(is_positive(k - n) for k, n in zip(self.window, t.shape, strict=True))
        if (
            not fits
            or u.dtype != t.dtype
            or tuple([u.shape[d] for d in self.scatter_dims]) != places
        ):
            raise self.error(
                "C6",
                f"`updates` must be of {t.dtype}, with windows in x: {t} for places {places}; got {u}",
            )
        if self.kind not in _SCATTER_KINDS or (t.dtype == "bool" and self.kind != "set"):
            raise self.error(
                "C7",
                f"`kind` must be one of {tuple(_SCATTER_KINDS)}, and set for bool; got {self.kind!r} for {t}",
            )
        return t

    def reference(self, x: Array, indices: Array, updates: Array) -> Array:
        dims, sizes = self.scatter_dims_to_operand_dims, ints(self.window)
        starts = _starts(indices, self.index_vector_dim, len(dims))
        places = starts.shape[1:]
        largest = np.array([x.shape[d] - sizes[d] for d in dims], np.int64).reshape(
            -1, *[1] * len(places)
        )
        inside = np.all((starts >= 0) & (starts <= largest), axis=0).reshape(-1)
        windows = np.transpose(updates, self.scatter_dims + self.update_window_dims)
        windows = windows.reshape(math.prod(places), *sizes)[inside]
        elements = _elements(starts.reshape(len(dims), inside.size)[:, inside], dims, sizes)
        out = x.astype(accumulator(self.x.dtype) if self.kind in ("add", "multiply") else x.dtype)
        combine = _SCATTER_KINDS[self.kind]
        if not elements:  # rank 0
            elements, out = (np.zeros(len(windows), np.int64),), out.reshape(1)
        if combine is None:
            out[elements] = windows
        else:
            combine.at(out, elements, windows.astype(out.dtype, copy=False))
        return out.reshape(x.shape).astype(x.dtype, copy=False)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """`set`: the last window at an element gets its gradient; `max`, `min`: the equal ones share it."""
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
            v, self.indices, self.update_window_dims, self.inserted_window_dims, self.scatter_dims_to_operand_dims,
            self.index_vector_dim, self.window,
        )  # fmt: skip
        return found

    def _where_inside(self, b: Builder, v: Value) -> Value:
        """`v`, of the shape of `updates`, with zeros for the windows that are dropped."""
        dims = self.scatter_dims_to_operand_dims
        if not dims:
            return v
        indices, limits = self._limits(b, dims, self.window)
        shape, at = indices.shape, self.index_vector_dim
        low = b.splat(0, indices.type)
        high = b.broadcast(self._along(b, at, limits, shape), shape) if len(limits) else low
        inside = b.and_(b.compare(indices, low, "GE"), b.compare(indices, high, "LE"))
        if at < len(shape):
            inside = b.reduce(inside, "and", (at,))
        inside = b.broadcast_in_dim(inside, self.updates.shape, self.scatter_dims)
        found: Value = b.select(inside, v, b.splat(0, v.type))
        return found

    def _wins(self, b: Builder) -> Value:
        """Is an element of `updates` the last one that is set to its place? By number of the place."""
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
