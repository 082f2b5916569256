"""The contraction of two tensors."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.locality import Combine, Locality, Rows
from kgraph.ir.ops.common import accumulator, inverse
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class DotGeneral(Op):
    """Sums products over the contracted dims, for each index of the batch dims.

    The result has the batch dims, then the free dims of lhs, then those of rhs. 16-bit floats
    accumulate in float32 and are rounded once; integers wrap around.

    C1  lhs and rhs have one dtype, of numbers.
    C2  `lhs_batch` and `rhs_batch`, `lhs_contract` and `rhs_contract` pair dims: equally many each.
    C3  The dims of a side are in range and named once.
    C4  Paired dims have equal sizes.
    """

    lhs: Value
    rhs: Value
    lhs_batch: tuple[int, ...]
    rhs_batch: tuple[int, ...]
    lhs_contract: tuple[int, ...]
    rhs_contract: tuple[int, ...]

    @property
    def lhs_free(self) -> tuple[int, ...]:
        """The dims of lhs that are neither batch nor contracted."""
        return _others(self.lhs, self.lhs_batch + self.lhs_contract)

    @property
    def rhs_free(self) -> tuple[int, ...]:
        """The dims of rhs that are neither batch nor contracted."""
        return _others(self.rhs, self.rhs_batch + self.rhs_contract)

    def infer(self) -> TensorType:
        x, y = self.lhs.type, self.rhs.type
        if x.dtype != y.dtype or x.dtype == "bool":
            raise self.error("C1", f"lhs and rhs must have one dtype of numbers; got {x} and {y}")
        if len(self.lhs_batch) != len(self.rhs_batch) or len(self.lhs_contract) != len(
            self.rhs_contract
        ):
            raise self.error("C2", f"each dim of lhs needs one of rhs; got {self._pairs()}")
        for t, dims in (
            (x, self.lhs_batch + self.lhs_contract),
            (y, self.rhs_batch + self.rhs_contract),
        ):
            if len(set(dims)) != len(dims) or not all(0 <= d < t.rank for d in dims):
                raise self.error("C3", f"dims must be in range and named once; got {dims} of {t}")
        for i, j in zip(
            self.lhs_batch + self.lhs_contract, self.rhs_batch + self.rhs_contract, strict=True
        ):
            if x.shape[i] != y.shape[j]:
                raise self.error(
                    "C4", f"dim {i} of lhs: {x} and dim {j} of rhs: {y} must have equal sizes"
                )
        sizes = [x.shape[i] for i in self.lhs_batch]
        sizes += [x.shape[i] for i in self.lhs_free]
        sizes += [y.shape[j] for j in self.rhs_free]
        return TensorType(tuple(sizes), x.dtype)

    def _pairs(self) -> str:
        contract = f"{self.lhs_contract} {self.rhs_contract}"
        return f"batch {self.lhs_batch} {self.rhs_batch}, contract {contract}"

    def reference(self, lhs: Array, rhs: Array) -> Array:
        batch, lhs_free = len(self.lhs_batch), len(self.lhs_free)
        x = np.transpose(lhs, self.lhs_batch + self.lhs_free + self.lhs_contract)
        y = np.transpose(rhs, self.rhs_batch + self.rhs_contract + self.rhs_free)
        shape = x.shape[: batch + lhs_free] + y.shape[batch + len(self.rhs_contract) :]
        m, k = math.prod(x.shape[batch : batch + lhs_free]), math.prod(x.shape[batch + lhs_free :])
        n = math.prod(shape[batch + lhs_free :])
        wide = accumulator(self.lhs.dtype)
        x = x.reshape(*shape[:batch], m, k).astype(wide, copy=False)
        y = y.reshape(*shape[:batch], k, n).astype(wide, copy=False)
        result: Array = np.matmul(x, y).reshape(shape).astype(lhs.dtype, copy=False)
        return result

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """`x . w` has `g . w^T` and `x^T . g`, in this order, so that no transpose remains to be
        done.
        """
        (g,) = grads
        return self._vjp_lhs(b, g), self._vjp_rhs(b, g)

    def _vjp_lhs(self, b: Builder, g: Value | None) -> Value:
        nb, nx = len(self.lhs_batch), len(self.lhs_free)
        free = tuple(range(nb + nx, nb + nx + len(self.rhs_free)))
        dot = b.dot_general(g, self.rhs, tuple(range(nb)), self.rhs_batch, free, self.rhs_free)
        rest = sorted(zip(self.rhs_contract, self.lhs_contract, strict=True))
        return _ordered(b, dot, self.lhs_batch + self.lhs_free + tuple(i for _, i in rest))

    def _vjp_rhs(self, b: Builder, g: Value | None) -> Value:
        nb, nx = len(self.lhs_batch), len(self.lhs_free)
        free = tuple(range(nb, nb + nx))
        dot = b.dot_general(self.lhs, g, self.lhs_batch, tuple(range(nb)), self.lhs_free, free)
        rest = sorted(zip(self.lhs_contract, self.rhs_contract, strict=True))
        return _ordered(b, dot, self.rhs_batch + tuple(j for _, j in rest) + self.rhs_free)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        x, y = carried
        if y is None and x in self.lhs_free:
            return (Rows(len(self.lhs_batch) + self.lhs_free.index(x)),)
        if x is None and y in self.rhs_free:
            return (Rows(len(self.lhs_batch) + len(self.lhs_free) + self.rhs_free.index(y)),)
        if x is None or y is None:
            return None
        if (x, y) in zip(self.lhs_batch, self.rhs_batch, strict=True):
            return (Rows(self.lhs_batch.index(x)),)
        return (
            (Combine("sum"),)
            if (x, y) in zip(self.lhs_contract, self.rhs_contract, strict=True)
            else None
        )


def _others(v: Value, dims: tuple[int, ...]) -> tuple[int, ...]:
    return tuple([i for i in range(v.type.rank) if i not in dims])


def _ordered(b: Builder, v: Value, order: tuple[int, ...]) -> Value:
    """`v`, whose dim k is to be dim `order[k]`."""
    if order == tuple(range(len(order))):
        return v
    moved: Value = b.transpose(v, inverse(order))
    return moved
