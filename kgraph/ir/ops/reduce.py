"""Reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.locality import All, Combine, Locality, Rows
from kgraph.ir.ops.common import KINDS, accumulator, identity, ufunc, zeros
from kgraph.ir.types import FLOATS, INTEGERS, TensorType, is_float, numpy_dtype

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


def kept_dims(rank: int, dims: tuple[int, ...]) -> tuple[int, ...]:
    """The dims that a reduction over `dims` leaves."""
    return tuple(d for d in range(rank) if d not in dims)


class Reduce(Op):
    """Combines the elements along `dims`, which vanish; over no elements it gives the identity of `kind`.

    A NaN makes a maximum or minimum NaN. 16-bit floats accumulate in float32 and are rounded once; the order of a sum
    is not defined, its error is that of pairwise or blocked summation.

    C1  `kind` is sum, product, max, min, and or or.
    C2  `dims` are different dims of x, in rising order.
    C3  and, or: bools or integers; the others: floats, integers or bools.
    """

    x: Value
    kind: str
    dims: tuple[int, ...]

    def infer(self) -> TensorType:
        t = self.x.type
        if self.kind not in KINDS:
            raise self.error("C1", f"expected a kind of {', '.join(KINDS)}; got {self.kind!r}")
        if list(self.dims) != sorted(set(self.dims)) or any(not 0 <= d < t.rank for d in self.dims):
            raise self.error("C2", f"`dims` must be different dims of x: {t}, in rising order; got {self.dims}")
        if self.kind in ("and", "or") and is_float(t.dtype):
            raise self.error("C3", f"{self.kind} takes bools or integers; got {t}")
        return t.with_shape(tuple(t.shape[d] for d in kept_dims(t.rank, self.dims)))

    def reference(self, x: Array) -> Array:
        wide = accumulator(self.x.dtype)
        found = ufunc(self.kind).reduce(x.astype(wide), axis=self.dims, dtype=wide, initial=_initial(self.kind, self.x.dtype))
        return np.asarray(found).astype(x.dtype)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        if not is_float(self.x.dtype) or g is None:
            return (None,)
        shape, kept = self.x.shape, kept_dims(self.x.type.rank, self.dims)
        spread = b.broadcast_in_dim(g, shape, kept)
        if self.kind == "sum":
            return (spread,)
        if self.kind == "product":
            return (b.multiply(spread, _product_of_others(b, self.x, self.dims)),)
        # equal maxima share the gradient
        chosen = b.cast(b.compare(self.x, b.broadcast_in_dim(self.result, shape, kept), "EQ"), self.x.dtype)
        count = b.broadcast_in_dim(b.reduce(chosen, "sum", self.dims), shape, kept)
        return (b.divide(b.multiply(spread, chosen), count),)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        if d is None:
            return (All(),)
        if d in self.dims:
            return (Combine(self.kind),)
        return (Rows(d - sum(r < d for r in self.dims)),)


def _initial(kind: str, dtype: str) -> Array:
    """numpy's `initial`, in the accumulator's dtype."""
    return identity(kind, dtype).astype(accumulator(dtype))


def _product_of_others(b: Builder, x: Value, dims: tuple[int, ...]) -> Value:
    """For each element the product of all others along `dims`, right for zeros too.

    Without zeros it is the product over the element. With one, only that element's is not 0; with several, all are.
    """
    kept = kept_dims(x.type.rank, dims)
    zero, one = zeros(b, x), b.splat(1, x.type)
    is_zero = b.compare(x, zero, "EQ")
    safe = b.select(is_zero, one, x)
    rest = b.broadcast_in_dim(b.reduce(safe, "product", dims), x.shape, kept)
    count = b.broadcast_in_dim(b.reduce(b.cast(is_zero, x.dtype), "sum", dims), x.shape, kept)
    without = b.select(b.compare(count, zero, "EQ"), b.divide(rest, safe), zero)
    found: Value = b.select(b.and_(is_zero, b.compare(count, one, "EQ")), rest, without)
    return found


class ArgReduce(Op):
    """The index of the greatest or smallest element along `dim`, the first of equals; a NaN wins.

    C1  `kind` is max or min.
    C2  `dim` is a dim of x, and not of size 0.
    C3  `dtype` is an integer.
    """

    x: Value
    kind: str
    dim: int
    dtype: str

    def infer(self) -> TensorType:
        t = self.x.type
        if self.kind not in ("max", "min"):
            raise self.error("C1", f"expected the kind max or min; got {self.kind!r}")
        if not 0 <= self.dim < t.rank or t.shape[self.dim] == 0:
            raise self.error("C2", f"`dim` must be a dim of x: {t}, of at least one element; got {self.dim}")
        if self.dtype not in INTEGERS:
            raise self.error("C3", f"expected an integer dtype; got {self.dtype}")
        return TensorType(t.shape[: self.dim] + t.shape[self.dim + 1 :], self.dtype)

    def reference(self, x: Array) -> Array:
        wide = x.astype(np.float32) if self.x.dtype in FLOATS[:2] else x
        found = np.argmax(wide, self.dim) if self.kind == "max" else np.argmin(wide, self.dim)
        return np.asarray(found).astype(numpy_dtype(self.dtype))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        if d is None:
            return (All(),)
        return None if d == self.dim else (Rows(d - (self.dim < d)),)


