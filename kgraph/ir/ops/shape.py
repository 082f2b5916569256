"""Ops that make values, or give the elements of one another shape."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Shape, Size, product
from kgraph.ir.graph import Array, Fact, Op, Value
from kgraph.ir.literal import Literal
from kgraph.ir.locality import All, Locality, Rows
from kgraph.ir.ops.common import ints, inverse, symbolic_dim
from kgraph.ir.types import TensorType, numpy_dtype

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Constant(Op):
    """The array `value`."""

    facts = frozenset({Fact.CHEAP})
    value: Literal

    def infer(self) -> TensorType:
        return TensorType(self.value.shape, self.value.dtype)

    def reference(self) -> Array:
        return self.value.array


class DimSize(Op):
    """A size as a scalar; one that `dtype` cannot hold wraps around.

    C1  `dtype` is no bool.
    """

    facts = frozenset({Fact.CHEAP})
    size: Size
    dtype: str

    def infer(self) -> TensorType:
        if self.dtype == "bool":
            raise self.error("C1", "`dtype` must be of numbers; got bool")
        return TensorType((), self.dtype)

    def reference(self) -> Array:
        return np.asarray(int(self.size)).astype(numpy_dtype(self.dtype))


class Iota(Op):
    """Each element is its own index along `dim`; one that `dtype` cannot hold wraps around.

    C1  `dim` is a dim of `shape`.
    C2  `dtype` is no bool.
    """

    facts = frozenset({Fact.CHEAP})
    shape: Shape
    dim: int
    dtype: str

    def infer(self) -> TensorType:
        if not 0 <= self.dim < len(self.shape):
            raise self.error("C1", f"`dim` must be a dim of {self.shape}; got {self.dim}")
        if self.dtype == "bool":
            raise self.error("C2", "`dtype` must be of numbers; got bool")
        return TensorType(self.shape, self.dtype)

    def reference(self) -> Array:
        shape = ints(self.shape)
        ramp = np.arange(shape[self.dim]).astype(numpy_dtype(self.dtype))
        return np.broadcast_to(ramp.reshape(_along(self.dim, len(shape))), shape)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        """Along the samples, the outlining adds the index of the block's first sample."""
        d = symbolic_dim(self.shape)
        return None if d is None else (Rows(d),)


def _along(dim: int, rank: int) -> tuple[int, ...]:
    return tuple(-1 if i == dim else 1 for i in range(rank))


class BroadcastInDim(Op):
    """Repeats x: its dim k becomes dim `dims[k]` of the result, all other dims are new.

    C1  `dims` has one entry for each dim of x.
    C2  `dims` ascends and names dims of the result.
    C3  Each size of x is 1 or that of its dim in `shape`.
    """

    facts = frozenset({Fact.CHEAP, Fact.MOVES, Fact.LINEAR})
    x: Value
    shape: Shape
    dims: tuple[int, ...]

    def infer(self) -> TensorType:
        t, dims = self.x.type, self.dims
        if len(dims) != t.rank:
            raise self.error("C1", f"`dims` must have one entry for each dim of x: {t}; got {dims}")
        previous = -1
        for size, d in zip(t.shape, dims, strict=True):
            if not previous < d < len(self.shape):
                raise self.error(
                    "C2", f"`dims` must ascend and name dims of {self.shape}; got {dims}"
                )
            if size != 1 and size != self.shape[d]:
                raise self.error("C3", f"x: {t} does not broadcast to {self.shape} by dims={dims}")
            previous = d
        return TensorType(self.shape, t.dtype)

    def reference(self, x: Array) -> Array:
        shape = [1] * len(self.shape)
        for size, d in zip(x.shape, self.dims, strict=True):
            shape[d] = size
        return np.broadcast_to(x.reshape(shape), ints(self.shape))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """Sums what was repeated."""
        (g,) = grads
        kept = {d for d, size in zip(self.dims, self.x.shape, strict=True) if size == self.shape[d]}
        summed = tuple(d for d in range(len(self.shape)) if d not in kept)
        if summed:
            g = b.reduce(g, "sum", summed)
        assert g is not None
        return (g if g.shape == self.x.shape else b.reshape(g, self.x.shape),)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        if d is not None:
            return (Rows(self.dims[d]),)
        e = symbolic_dim(self.shape)
        return (All() if e is None else Rows(e),)


class Reshape(Op):
    """The same elements in row-major order under another shape.

    C1  Both shapes have equally many elements, provably where sizes are symbolic.
    """

    facts = frozenset({Fact.CHEAP, Fact.MOVES, Fact.LINEAR})
    x: Value
    shape: Shape

    def infer(self) -> TensorType:
        t = self.x.type
        if product(self.shape) != product(t.shape):
            raise self.error(
                "C1", f"x: {t} has {t.size} elements and {self.shape} {product(self.shape)}"
            )
        return TensorType(self.shape, t.dtype)

    def reference(self, x: Array) -> Array:
        return x.reshape(ints(self.shape))

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.reshape(grads[0], self.x.shape),)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        """(batch, time, d) to (batch*time, d) keeps samples whole; (time, batch) to (time*batch)
        does not.
        """
        (d,), e = carried, symbolic_dim(self.shape)
        if d is None or e is None or product(self.x.shape[:d]) != product(self.shape[:e]):
            return None
        return (Rows(e),)


class Transpose(Op):
    """Permutes dims: `result.shape[k] = x.shape[perm[k]]`.

    C1  `perm` is a permutation of `0 .. rank(x) - 1`.
    """

    facts = frozenset({Fact.MOVES, Fact.LINEAR})
    x: Value
    perm: tuple[int, ...]

    def infer(self) -> TensorType:
        t = self.x.type
        if sorted(self.perm) != list(range(t.rank)):
            raise self.error(
                "C1", f"`perm` must permute the {t.rank} dims of x: {t}; got {self.perm}"
            )
        return TensorType(tuple([t.shape[p] for p in self.perm]), t.dtype)

    def reference(self, x: Array) -> Array:
        return np.transpose(x, self.perm)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.transpose(grads[0], inverse(self.perm)),)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        return None if d is None else (Rows(self.perm.index(d)),)


class AssumeShape(Op):
    """x, whose sizes the caller knows to be `shape`; the program checks them when it is entered.

    C1  `shape` has the rank of x.
    C2  Where both sizes are ints, they are equal.
    """

    facts = frozenset({Fact.CHEAP, Fact.MOVES, Fact.LINEAR})
    x: Value
    shape: Shape

    def infer(self) -> TensorType:
        t = self.x.type
        if len(self.shape) != t.rank:
            raise self.error("C1", f"`shape` must have the rank of x: {t}; got {self.shape}")
        for known, size in zip(t.shape, self.shape, strict=True):
            if known != size and isinstance(known, int) and isinstance(size, int):
                raise self.error("C2", f"x: {t} cannot have the shape {self.shape}")
        return TensorType(self.shape, t.dtype)

    def reference(self, x: Array) -> Array:
        return x

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.assume_shape(grads[0], self.x.shape),)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        return None if d is None or self.shape != self.x.shape else (Rows(d),)
