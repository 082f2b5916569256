"""Sorting. NaN counts as larger than every number; -0.0 equals 0.0."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Size, is_positive
from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.locality import Locality, Rows
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Sort(Op):
    """Sorts along `dim` by the first `num_keys` operands, the first of all; equal ones keep their
    order.

    All operands are permuted alike. Descending order is that of the keys alone: equal ones keep
    their order, too.

    C1  The operands, at least one, have one shape.
    C2  `dim` is a dim of the operands.
    C3  `num_keys` is between 1 and the number of operands.
    """

    xs: tuple[Value, ...]
    dim: int
    num_keys: int
    descending: bool

    def infer(self) -> tuple[TensorType, ...]:
        if not self.xs or any(x.shape != self.xs[0].shape for x in self.xs):
            raise self.error(
                "C1", f"expected operands of one shape; got {[x.type for x in self.xs]}"
            )
        if not 0 <= self.dim < self.xs[0].type.rank:
            raise self.error("C2", f"`dim` must be a dim of {self.xs[0].type}; got {self.dim}")
        if not 1 <= self.num_keys <= len(self.xs):
            raise self.error(
                "C3", f"`num_keys` must be between 1 and {len(self.xs)}; got {self.num_keys}"
            )
        return tuple([x.type for x in self.xs])

    def reference(self, *arrays: Array) -> tuple[Array, ...]:
        order = sort_order(arrays[: self.num_keys], self.dim, self.descending)
        return tuple([np.take_along_axis(a, order, self.dim) for a in arrays])

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """A second sort, by where each element came from, brings the gradients back."""
        place = b.iota(self.xs[0].shape, self.dim, "int32")
        origin = b.append(Sort((*self.xs, place), self.dim, self.num_keys, self.descending))[-1]
        given = [g for g in grads if g is not None]
        found = iter(b.append(Sort((origin, *given), self.dim, 1, False))[1:])
        return tuple([None if g is None else next(found) for g in grads])

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        d = carried[0]
        return None if d is None or d == self.dim else (Rows(d),) * len(self.xs)


class TopK(Op):
    """The `k` largest along the last dim, in descending order, and their int32 indices; equal ones
    keep their order.

    C1  x has at least one dim.
    C2  `k` is at least 0 and at most the last size of x, as far as they are known.
    """

    x: Value
    k: Size

    def infer(self) -> tuple[TensorType, ...]:
        t = self.x.type
        if not t.rank:
            raise self.error("C1", f"x must have a dim; got {t}")
        if is_positive(-1 * self.k) or is_positive(self.k - t.shape[-1]):
            raise self.error(
                "C2", f"`k` must be between 0 and the last size of x: {t}; got {self.k}"
            )
        shape = (*t.shape[:-1], self.k)
        return TensorType(shape, t.dtype), TensorType(shape, "int32")

    def reference(self, x: Array) -> tuple[Array, ...]:
        order = sort_order((x,), x.ndim - 1, True)[..., : int(self.k)]
        return np.take_along_axis(x, order, x.ndim - 1), order.astype(np.int32)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """The gradient, with zeros for the others behind it, goes back to where the elements came
        from.
        """
        g, last = grads[0], self.x.type.rank - 1
        if g is None:
            return (None,)
        none = (0,) * (last + 1)
        behind = (*none[:-1], self.x.shape[-1] - self.k)
        whole = b.pad(g, b.constant(0, g.dtype), none, behind, none)
        place = b.iota(self.x.shape, last, "int32")
        origin = b.append(Sort((self.x, place), last, 1, True))[1]
        return (b.append(Sort((origin, whole), last, 1, False))[1],)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        return None if d is None or d == self.x.type.rank - 1 else (Rows(d), Rows(d))


def sort_order(keys: tuple[Array, ...], dim: int, descending: bool) -> Array:
    """The indices along `dim` that sort by the first key, then by the next; stable."""
    ranks = []
    for key in reversed(keys):
        plain = key.astype(np.float32) if key.dtype.kind not in "iufb" else key
        rank = np.unique(plain, return_inverse=True)[1].reshape(key.shape)
        ranks.append(-rank if descending else rank)
    order: Array = np.lexsort(ranks, axis=dim)
    return order
