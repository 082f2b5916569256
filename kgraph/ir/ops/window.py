"""Ops on sliding windows: pooling and its gradients."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import product as combinations
from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Size
from kgraph.ir.errors import NotDifferentiableError
from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.locality import Locality, Rows
from kgraph.ir.ops.common import (
    KINDS,
    accumulator,
    identity,
    ints,
    is_empty,
    pad_array,
    positions,
    span,
    ufunc,
    zeros,
)
from kgraph.ir.types import TensorType

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

_LARGEST_WINDOW = 256  # whose second gradient is written out tap by tap


class _Windows(Op, abstract=True):
    """Windows over x: an entry for each dim of x in every tuple."""

    x: Value

    def _check(self, window: tuple[Size, ...], *others: tuple[object, ...]) -> None:
        rank = self.x.type.rank
        if any(len(entries) != rank for entries in (window, *others)):
            raise self.error(
                "C1",
                f"tuples must have {rank} entries, as x: {self.x.type}; got {(window, *others)}",
            )
        counts = [n for entries in (window, *others) for n in entries if isinstance(n, int)]
        if min([1, *counts]) < 1:
            raise self.error(
                "C2", f"windows, strides and dilations must be at least 1; got {(window, *others)}"
            )


class ReduceWindow(_Windows):
    """Combines the elements in each window; what lies outside of x is the identity of `kind`.

    x gets `base_dilation - 1` holes between neighbours, then `padding` (negative: it is cropped);
    the taps of a window lie `window_dilation` apart. 16-bit floats accumulate in float32 and are
    rounded once.

    C1  Each tuple has an entry for each dim of x.
    C2  Windows, strides and dilations are at least 1.
    C3  `kind` is sum, product, max, min, and, or; the last two for bool and integers, the first two
        not for bool.
    """

    kind: str
    window: tuple[Size, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[Size, Size], ...]
    base_dilation: tuple[int, ...]
    window_dilation: tuple[int, ...]

    def infer(self) -> TensorType:
        t = self.x.type
        self._check(self.window, self.strides, self.base_dilation, self.window_dilation)
        if len(self.padding) != t.rank:
            raise self.error(
                "C1", f"`padding` must have {t.rank} entries, as x: {t}; got {self.padding}"
            )
        wrong = (
            t.dtype.startswith(("float", "bfloat"))
            if self.kind in ("and", "or")
            else t.dtype == "bool"
        )
        if self.kind not in KINDS or (wrong and self.kind not in ("max", "min")):
            raise self.error(
                "C3", f"`kind` must be one of {KINDS} and fit x: {t}; got {self.kind!r}"
            )
        shape = []
        for i, n in enumerate(t.shape):
            padded = span(n, self.base_dilation[i]) + self.padding[i][0] + self.padding[i][1]
            shape.append(
                positions(padded, span(self.window[i], self.window_dilation[i]), self.strides[i])
            )
        return TensorType(tuple(shape), t.dtype)

    def reference(self, x: Array) -> Array:
        wide = accumulator(self.x.dtype)
        start = identity(self.kind, self.x.dtype).astype(wide)
        low, high = ints([lo for lo, _ in self.padding]), ints([hi for _, hi in self.padding])
        padded = pad_array(x.astype(wide, copy=False), start, low, high, self.base_dilation)
        combine, y = ufunc(self.kind), np.full(ints(self.result.shape), start, wide)
        for tap in _taps(ints(self.window), self.window_dilation):
            combine(y, padded[_places(tap, y.shape, self.strides)], out=y)
        return y.astype(x.dtype, copy=False)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """Of a sum: the sum over the windows that an element is in. Of max and min: all to the
        first that has it.
        """
        (g,) = grads
        assert g is not None
        if is_empty(g) or is_empty(self.x):
            return (zeros(b, self.x),)
        if self.kind == "sum":
            return (self._vjp_sum(b, g),)
        plain = all(d == 1 for d in self.base_dilation + self.window_dilation)
        if self.kind in ("max", "min") and plain:
            return (
                b.select_and_scatter(self.x, g, self.kind, self.window, self.strides, self.padding),
            )
        raise NotDifferentiableError(
            "reduce_window has gradients for a sum, and for max and min without dilations; "
            f"got kind={self.kind!r}, "
            f"base_dilation={self.base_dilation}, window_dilation={self.window_dilation}"
        )

    def _vjp_sum(self, b: Builder, g: Value) -> Value:
        padding = []
        for i, n in enumerate(self.x.shape):
            window = span(self.window[i], self.window_dilation[i])
            low = window - 1 - self.padding[i][0]
            padding.append(
                (
                    low,
                    span(n, self.base_dilation[i])
                    + window
                    - 1
                    - span(g.shape[i], self.strides[i])
                    - low,
                )
            )
        x: Value = b.reduce_window(
            g,
            "sum",
            self.window,
            self.base_dilation,
            tuple(padding),
            self.strides,
            self.window_dilation,
        )
        return x

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        if (
            d is None
            or not _apart(self.window, self.strides, self.padding, d)
            or self.base_dilation[d] != 1
        ):
            return None
        return (Rows(d),)


class SelectAndScatter(_Windows):
    """Adds each element of `source` to the place of its window's maximum or minimum in x; the rest
    is zero.

    Of several equal elements the first in row-major order is taken, of NaN the first; padding is
    never taken. 16-bit floats accumulate in float32 and are rounded once.

    C1  Each tuple has an entry for each dim of x.
    C2  Windows and strides are at least 1.
    C3  `kind` is max or min.
    C4  `source` has the dtype of x, and a size for each place of the windows.
    """

    source: Value
    kind: str
    window: tuple[Size, ...]
    strides: tuple[int, ...]
    padding: tuple[tuple[Size, Size], ...]

    def infer(self) -> TensorType:
        t = self.x.type
        self._check(self.window, self.strides)
        if len(self.padding) != t.rank:
            raise self.error(
                "C1", f"`padding` must have {t.rank} entries, as x: {t}; got {self.padding}"
            )
        if self.kind not in ("max", "min"):
            raise self.error("C3", f"`kind` must be max or min; got {self.kind!r}")
        pads = [lo + n + hi for n, (lo, hi) in zip(t.shape, self.padding, strict=True)]
        shape = tuple(
            [positions(n, k, s) for n, k, s in zip(pads, self.window, self.strides, strict=True)]
        )
        if self.source.type is not TensorType(shape, t.dtype):
            raise self.error(
                "C4", f"`source` must be {TensorType(shape, t.dtype)}; got {self.source.type}"
            )
        return t

    def reference(self, x: Array, source: Array) -> Array:
        wide = accumulator(self.x.dtype)
        low, high = ints([lo for lo, _ in self.padding]), ints([hi for _, hi in self.padding])
        once = (1,) * x.ndim
        padded = pad_array(x, 0, low, high, once)
        inside = pad_array(np.ones(x.shape, np.bool_), False, low, high, once)
        taps = list(_taps(ints(self.window), once))
        best, chosen = np.zeros(source.shape, x.dtype), np.full(source.shape, -1)
        for i, tap in enumerate(taps):
            at = _places(tap, source.shape, self.strides)
            new, there = padded[at], inside[at]
            beyond = new > best if self.kind == "max" else new < best
            better = beyond | ((new != new) & (best == best))  # NaN alone differs from itself
            better = there & (better | (chosen < 0))
            best, chosen = np.where(better, new, best), np.where(better, i, chosen)
        total = np.zeros(padded.shape, wide)
        for i, tap in enumerate(taps):
            total[_places(tap, source.shape, self.strides)] += np.where(
                chosen == i, source, 0
            ).astype(wide)
        result = pad_array(total, 0, [-n for n in low], [-n for n in high], once)
        return result.astype(x.dtype, copy=False)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """Nothing for x; for `source`, what g has at the taken places, looked up tap by tap."""
        (g,) = grads
        window = [n for n in self.window if isinstance(n, int)]
        if len(window) < len(self.window) or math.prod(window) > _LARGEST_WINDOW:
            raise NotDifferentiableError(
                "select_and_scatter has a gradient for windows of at most "
                f"{_LARGEST_WINDOW} elements; got {self.window}"
            )
        if is_empty(self.source) or is_empty(self.x):
            return None, zeros(b, self.source)
        low, high = tuple(lo for lo, _ in self.padding), tuple(hi for _, hi in self.padding)
        none = (0,) * len(low)
        if low + high == none + none:
            x, inside = self.x, None
        else:
            x = b.pad(self.x, b.constant(0, self.x.dtype), low, high, none)
            g = b.pad(g, b.constant(0, self.x.dtype), low, high, none)
            everywhere = b.splat(True, self.x.type.with_dtype("bool"))
            inside = b.pad(everywhere, b.constant(False, "bool"), low, high, none)
        once = (1,) * len(low)
        wanted = b.reduce_window(
            self.x, self.kind, self.window, self.strides, self.padding, once, once
        )
        is_nan = b.compare(wanted, wanted, "NE")
        found: Value = zeros(b, self.source)
        free = b.splat(True, self.source.type.with_dtype("bool"))
        for tap in _taps(tuple(window), once):
            at = self._place_of(tap)
            element = b.slice(x, *at)
            equal = b.or_(
                b.compare(element, wanted, "EQ"), b.and_(is_nan, b.compare(element, element, "NE"))
            )
            hit = b.and_(free, equal if inside is None else b.and_(equal, b.slice(inside, *at)))
            found = b.select(hit, b.slice(g, *at), found)
            free = b.and_(free, b.not_(hit))
        return None, found

    def _place_of(self, tap: tuple[int, ...]) -> tuple[tuple[Size, ...], ...]:
        """Start, limit and stride of the slice that has the element `tap` of each window."""
        counts = zip(tap, self.source.shape, self.strides, strict=True)
        return tap, tuple([t + (n - 1) * s + 1 for t, n, s in counts]), self.strides

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        x, source = carried
        if x is None or x != source or not _apart(self.window, self.strides, self.padding, x):
            return None
        return (Rows(x),)


def _apart(
    window: tuple[Size, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[Size, Size], ...],
    d: int,
) -> bool:
    """Does each index of dim d have windows of its own?"""
    return window[d] == 1 and strides[d] == 1 and padding[d] == (0, 0)


def _taps(window: tuple[int, ...], dilation: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    """The offsets of a window's elements, in row-major order."""
    return combinations(*[range(0, n * d, d) for n, d in zip(window, dilation, strict=True)])


def _places(
    tap: tuple[int, ...], count: tuple[int, ...], strides: tuple[int, ...]
) -> tuple[slice, ...]:
    """Where the element `tap` of each window lies in padded x."""
    return tuple(slice(t, t + n * s, s) for t, n, s in zip(tap, count, strides, strict=True))
