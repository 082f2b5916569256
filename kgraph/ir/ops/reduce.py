"""Reductions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.locality import All, Combine, Locality, Rows
from kgraph.ir.ops.common import KINDS, accumulator, identity, ufunc
from kgraph.ir.ops.products import product_of_others
from kgraph.ir.types import INTEGERS, TensorType, dtype_name, is_float, numpy_dtype

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Reduce(Op):
    """Combines the elements along `dims`, which vanish; no elements give the identity of `kind`.

    The identity of max is -inf or the smallest integer, that of min the opposite. Integers wrap
    around. The order of a sum is not defined, nor is the sign of one that is zero; 16-bit floats
    accumulate in float32 and are rounded once. A NaN makes a maximum or minimum NaN.

    C1  `kind` is sum, product, max, min, and, or.
    C2  `dims` ascends and names dims of x.
    C3  and, or: bools or integers; sum, product: integers or floats.
    """

    x: Value
    kind: str
    dims: tuple[int, ...]

    def infer(self) -> TensorType:
        t, dims = self.x.type, self.dims
        if self.kind not in KINDS:
            raise self.error("C1", f"`kind` must be one of {KINDS}; got {self.kind!r}")
        if list(dims) != sorted({d for d in dims if 0 <= d < t.rank}):
            raise self.error("C2", f"`dims` must ascend and name dims of x: {t}; got {dims}")
        wrong = is_float(t.dtype) if self.kind in ("and", "or") else t.dtype == "bool"
        if wrong and self.kind not in ("max", "min"):
            raise self.error("C3", f"there is no {self.kind} of {t.dtype}s; got x: {t}")
        return t.with_shape(tuple([t.shape[d] for d in self.kept]))

    @property
    def kept(self) -> tuple[int, ...]:
        """The dims of x that the result has."""
        return tuple([d for d in range(self.x.type.rank) if d not in self.dims])

    def reference(self, x: Array) -> Array:
        """Sums and products of floats run in float64: only backends have rounding errors."""
        wide = accumulator(self.x.dtype)
        if is_float(self.x.dtype) and self.kind in ("sum", "product"):
            wide = np.dtype(np.float64)
        start = identity(self.kind, self.x.dtype).astype(wide)
        y = ufunc(self.kind).reduce(x.astype(wide, copy=False), self.dims, wide, initial=start)
        return np.asarray(y).astype(x.dtype)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """Equal maxima or minima share alike; a product's is right with zeros too."""
        g, x = grads[0], self.x
        if self.kind in ("and", "or") or g is None:
            return (None,)
        if self.kind == "sum":
            return (b.broadcast(g, x.shape, self.kept),)
        if self.kind == "product":
            wide = dtype_name(accumulator(x.dtype))
            spread = b.broadcast(b.cast(g, wide), x.shape, self.kept)
            others = product_of_others(b, b.cast(x, wide), self.dims)
            return (b.cast(b.multiply(spread, others), x.dtype),)
        chosen = b.compare(x, b.broadcast(self.result, x.shape, self.kept), "EQ")
        chosen = b.cast(chosen, x.dtype)
        share = b.divide(g, b.reduce(chosen, "sum", self.dims))
        return (b.multiply(chosen, b.broadcast(share, x.shape, self.kept)),)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        if d is None:
            return (All(),)
        return (Combine(self.kind) if d in self.dims else Rows(self.kept.index(d)),)


class ArgReduce(Op):
    """The index of the largest or smallest element along `dim`, which vanishes.

    Of equal elements it is the first one; a NaN wins, of several the first. An index that `dtype`
    cannot hold wraps around.

    C1  `kind` is max or min.
    C2  `dim` is a dim of x, and not of size 0.
    C3  `dtype` is one of integers.
    """

    x: Value
    kind: str
    dim: int
    dtype: str

    def infer(self) -> TensorType:
        t = self.x.type
        if self.kind not in ("max", "min"):
            raise self.error("C1", f"`kind` must be max or min; got {self.kind!r}")
        if not 0 <= self.dim < t.rank or t.shape[self.dim] == 0:
            raise self.error(
                "C2", f"`dim` must be a dim of x: {t}, not one of size 0; got {self.dim}"
            )
        if self.dtype not in INTEGERS:
            raise self.error("C3", f"`dtype` must be one of integers; got {self.dtype!r}")
        return TensorType(t.shape[: self.dim] + t.shape[self.dim + 1 :], self.dtype)

    def reference(self, x: Array) -> Array:
        wide = x.astype(accumulator(self.x.dtype), copy=False)
        found = np.argmax(wide, self.dim) if self.kind == "max" else np.argmin(wide, self.dim)
        return np.asarray(found).astype(numpy_dtype(self.dtype))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (None,)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        if d is None:
            return (All(),)
        return None if d == self.dim else (Rows(d - (self.dim < d)),)
