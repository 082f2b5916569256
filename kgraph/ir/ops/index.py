"""Ops that cut, join and shift: slices, padding, concatenation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Shape, Size, is_nonnegative, is_positive
from kgraph.ir.graph import Array, Fact, Op, Value
from kgraph.ir.locality import Locality, Rows
from kgraph.ir.ops.common import dilated, ints, pad_array, zeros
from kgraph.ir.types import INTEGERS, TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


class Slice(Op):
    """Elements `start`, `start + stride`, ... below `limit` of each dim.

    C1  `start`, `limit` and `stride` have an entry for each dim of x.
    C2  `0 <= start <= limit <= size`, as far as sizes are known.
    C3  Strides are at least 1.
    """

    facts = frozenset({Fact.MOVES, Fact.LINEAR})
    x: Value
    start: tuple[Size, ...]
    limit: tuple[Size, ...]
    stride: tuple[int, ...]

    def infer(self) -> TensorType:
        t = self.x.type
        if not len(self.start) == len(self.limit) == len(self.stride) == t.rank:
            raise self.error(
                "C1", f"each tuple must have {t.rank} entries, as x: {t}; {self._range()}"
            )
        if min(self.stride, default=1) < 1:
            raise self.error("C3", f"strides must be at least 1; {self._range()}")
        shape = []
        for size, start, limit, stride in zip(
            t.shape, self.start, self.limit, self.stride, strict=True
        ):
            if any(is_positive(excess) for excess in (-1 * start, start - limit, limit - size)):
                raise self.error(
                    "C2", f"expected 0 <= start <= limit <= size of x: {t}; {self._range()}"
                )
            shape.append((limit - start + stride - 1) // stride)
        return TensorType(tuple(shape), t.dtype)

    def _range(self) -> str:
        return f"got start={self.start}, limit={self.limit}, stride={self.stride}"

    def reference(self, x: Array) -> Array:
        return x[tuple(map(slice, ints(self.start), ints(self.limit), self.stride))]

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        assert g is not None
        inner = [dilated(n, s) for n, s in zip(g.shape, self.stride, strict=True)]
        high = tuple([n - lo - k for n, lo, k in zip(self.x.shape, self.start, inner, strict=True)])
        return (
            b.pad(g, b.constant(0, g.dtype), self.start, high, tuple(s - 1 for s in self.stride)),
        )

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        if d is None or (self.start[d], self.limit[d], self.stride[d]) != (0, self.x.shape[d], 1):
            return None
        return (Rows(d),)


class Reverse(Op):
    """Reads `dims` backwards.

    C1  `dims` names dims of x, each once.
    """

    facts = frozenset({Fact.MOVES, Fact.LINEAR})
    x: Value
    dims: tuple[int, ...]

    def infer(self) -> TensorType:
        t = self.x.type
        if len(set(self.dims)) != len(self.dims) or not all(0 <= d < t.rank for d in self.dims):
            raise self.error("C1", f"`dims` must name dims of x: {t}, each once; got {self.dims}")
        return t

    def reference(self, x: Array) -> Array:
        return np.flip(x, self.dims)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        return (b.reverse(grads[0], self.dims),)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        return None if d is None or d in self.dims else (Rows(d),)


class Pad(Op):
    """`interior` times `value` between neighbours, then `low` and `high` times around; negative
    ones crop.

    C1  `value` has rank 0 and the dtype of x.
    C2  `low`, `high` and `interior` have an entry for each dim of x.
    C3  `interior` is at least 0.
    C4  No size of the result is negative.
    """

    facts = frozenset({Fact.MOVES})
    x: Value
    value: Value
    low: tuple[Size, ...]
    high: tuple[Size, ...]
    interior: tuple[int, ...]

    def infer(self) -> TensorType:
        t = self.x.type
        if self.value.type is not TensorType((), t.dtype):
            raise self.error(
                "C1", f"`value` must be a scalar of the dtype of x: {t}; got {self.value.type}"
            )
        if not len(self.low) == len(self.high) == len(self.interior) == t.rank:
            raise self.error(
                "C2", f"each tuple must have {t.rank} entries, as x: {t}; {self._amounts()}"
            )
        if min(self.interior, default=0) < 0:
            raise self.error("C3", f"`interior` must be at least 0; {self._amounts()}")
        inner = [dilated(n, k + 1) for n, k in zip(t.shape, self.interior, strict=True)]
        shape = [lo + n + hi for lo, n, hi in zip(self.low, inner, self.high, strict=True)]
        if any(is_positive(-1 * n) for n in shape):
            raise self.error("C4", f"more is cropped than x: {t} has; {self._amounts()}")
        return TensorType(tuple(shape), t.dtype)

    def _amounts(self) -> str:
        return f"got low={self.low}, high={self.high}, interior={self.interior}"

    def reference(self, x: Array, value: Array) -> Array:
        return pad_array(
            x, value, ints(self.low), ints(self.high), tuple(k + 1 for k in self.interior)
        )

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """For x, what of g lies at its elements; for `value`, the sum of the rest."""
        (g,) = grads
        assert g is not None
        zero = b.constant(0, g.dtype)
        inner = tuple([dilated(n, k + 1) for n, k in zip(self.x.shape, self.interior, strict=True)])
        stride = tuple(k + 1 for k in self.interior)
        none = (0,) * len(stride)
        if all(is_nonnegative(n) for n in self.low + self.high):
            limit = tuple([lo + n for lo, n in zip(self.low, inner, strict=True)])
            x = b.slice(g, self.low, limit, stride)
        else:
            opposite = [tuple([-1 * n for n in sizes]) for sizes in (self.low, self.high)]
            x = b.slice(b.pad(g, zero, *opposite, none), none, inner, stride)
        if x.shape != self.x.shape:  # equal, but not provably where a symbolic size is dilated
            x = b.assume_shape(x, self.x.shape)
        everywhere = b.splat(True, self.x.type.with_dtype("bool"))
        inside = b.pad(everywhere, b.constant(False, "bool"), self.low, self.high, self.interior)
        rest = b.select(inside, zeros(b, g), g)
        return x, b.reduce(rest, "sum", tuple(range(g.type.rank))) if g.type.rank else rest

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        d, _ = carried
        return (
            None
            if d is None or (self.low[d], self.high[d], self.interior[d]) != (0, 0, 0)
            else (Rows(d),)
        )


class Concatenate(Op):
    """The operands one after the other along `dim`.

    C1  There is at least one operand.
    C2  All have one dtype, and equal sizes in all dims but `dim`.
    C3  `dim` is a dim of the operands.
    """

    facts = frozenset({Fact.MOVES, Fact.LINEAR})
    xs: tuple[Value, ...]
    dim: int

    def infer(self) -> TensorType:
        if not self.xs:
            raise self.error("C1", "expected at least one operand")
        first, d = self.xs[0].type, self.dim
        if not 0 <= d < first.rank:
            raise self.error("C3", f"`dim` must be a dim of {first}; got {d}")
        total: Size = 0
        for x in self.xs:
            if x.type.rank != first.rank or x.type.with_shape(
                _without(x.shape, d)
            ) is not first.with_shape(_without(first.shape, d)):
                raise self.error(
                    "C2", f"all sizes but that of dim {d} must be those of {first}; got {x.type}"
                )
            total = total + x.shape[d]
        return first.with_shape((*first.shape[:d], total, *first.shape[d + 1 :]))

    def reference(self, *arrays: Array) -> Array:
        return np.concatenate(arrays, self.dim)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        assert g is not None
        found: list[Value | None] = []
        at: Size = 0
        cut: list[Size] = [0] * g.type.rank
        limit = list(g.shape)
        for x in self.xs:
            cut[self.dim], limit[self.dim] = at, at + x.shape[self.dim]
            found.append(b.slice(g, tuple(cut), tuple(limit), (1,) * g.type.rank))
            at = at + x.shape[self.dim]
        return tuple(found)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        dims = set(carried)
        (d, *more) = dims
        return None if more or d is None or d == self.dim else (Rows(d),)


def _without(shape: Shape, dim: int) -> Shape:
    return shape[:dim] + shape[dim + 1 :]


class _Dynamic(Op, abstract=True):
    """A window of x whose place is known when the program runs; it is shifted to lie within x."""

    x: Value

    def _check(self, starts: tuple[Value, ...], sizes: Shape) -> None:
        t = self.x.type
        if len(starts) != t.rank or len(sizes) != t.rank:
            raise self.error(
                "C1", f"x: {t} needs {t.rank} starts and sizes; got {len(starts)} and {len(sizes)}"
            )
        if any(
            s.type is not starts[0].type or s.type.rank or s.dtype not in INTEGERS for s in starts
        ):
            raise self.error(
                "C2",
                f"`starts` must be integer scalars of one dtype; got {[s.type for s in starts]}",
            )
        if any(
            is_positive(k - n) or is_positive(-1 * k) for k, n in zip(sizes, t.shape, strict=True)
        ):
            raise self.error("C3", f"a window of {sizes} does not fit into x: {t}")

    def _window(
        self, starts: tuple[Array, ...], shape: tuple[int, ...], sizes: tuple[int, ...]
    ) -> tuple[slice, ...]:
        first = [min(max(int(s), 0), n - k) for s, n, k in zip(starts, shape, sizes, strict=True)]
        return tuple(slice(s, s + k) for s, k in zip(first, sizes, strict=True))

    def _moves_whole(self, d: int, sizes: Shape) -> bool:
        """Does the window have all of dim d?"""
        return sizes[d] == self.x.shape[d]


class DynamicSlice(_Dynamic):
    """The window of `sizes` that begins at `starts`, which are clamped so that it lies within x.

    C1  There is a start and a size for each dim of x.
    C2  `starts` are scalars of one integer dtype.
    C3  `sizes` are at least 0 and at most those of x, as far as they are known.
    """

    facts = frozenset({Fact.MOVES})
    starts: tuple[Value, ...]
    sizes: Shape

    def infer(self) -> TensorType:
        self._check(self.starts, self.sizes)
        return TensorType(self.sizes, self.x.dtype)

    def reference(self, *arrays: Array) -> Array:
        x, *starts = arrays
        return x[self._window(tuple(starts), x.shape, ints(self.sizes))]

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        found = b.dynamic_update_slice(zeros(b, self.x), grads[0], self.starts)
        return (found, *[None] * len(self.starts))

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        d = carried[0]
        return None if d is None or not self._moves_whole(d, self.sizes) else (Rows(d),)


class DynamicUpdateSlice(_Dynamic):
    """x with the window at `starts` replaced by `update`; `starts` are clamped so that it lies
    within x.

    C1  There is a start for each dim of x, and `update` has the rank of x.
    C2  `starts` are scalars of one integer dtype.
    C3  The sizes of `update` are at most those of x, as far as they are known.
    C4  `update` has the dtype of x.
    """

    facts = frozenset({Fact.MOVES})
    update: Value
    starts: tuple[Value, ...]

    def infer(self) -> TensorType:
        self._check(self.starts, self.update.shape)
        if self.update.dtype != self.x.dtype:
            raise self.error(
                "C4", f"`update` must have the dtype of x: {self.x.type}; got {self.update.type}"
            )
        return self.x.type

    def reference(self, *arrays: Array) -> Array:
        x, update, *starts = arrays
        out = x.copy()
        out[self._window(tuple(starts), x.shape, update.shape)] = update
        return out

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        kept = b.dynamic_update_slice(g, zeros(b, self.update), self.starts)
        found = b.dynamic_slice(g, self.starts, self.update.shape)
        return (kept, found, *[None] * len(self.starts))

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        d, e = carried[:2]
        return (
            None
            if d is None or d != e or not self._moves_whole(d, self.update.shape)
            else (Rows(d),)
        )
