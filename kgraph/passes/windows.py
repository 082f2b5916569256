"""Small windows as slices.

A pooling with a window of a few elements is a chain of elementwise ops on slices, one for each
place in the window: fusion makes one loop of them. Its gradient puts each window's share back with
a padding that has holes. What a convolution of one tap reads with its strides is a slice, and the
rest is a matrix product.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import product as combinations
from typing import ClassVar

from kgraph.ir import Builder, Function, Size, Value, is_nonnegative, is_positive
from kgraph.ir.ops.common import identity
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.window import ReduceWindow, SelectAndScatter
from kgraph.passes.base import Pass
from kgraph.passes.rewrite import RuleSet, rewrite

_COMBINE = {
    "sum": "add",
    "product": "multiply",
    "max": "maximum",
    "min": "minimum",
    "and": "and_",
    "or": "or_",
}
_LARGEST = 32  # elements of a window

windows = RuleSet("windows")


class SliceWindows(Pass):
    """Writes windows of up to 32 elements, and their gradients, as elementwise ops on slices.

    So it does convolutions of one tap, and the gradients of their weights. Exact but for the
    rounding of 16-bit sums, which stay as they are. After it, only large windows are left.
    """

    name: ClassVar[str] = "slice_windows"

    def run(self, fn: Function) -> Function:
        """The same results without small windows."""
        return rewrite(fn, windows)


def _is_small(window: Sequence[Size], dtype: str) -> bool:
    sizes = [n for n in window if isinstance(n, int)]
    return (
        len(sizes) == len(window)
        and 1 < math.prod(sizes) <= _LARGEST
        and dtype not in ("float16", "bfloat16")
    )


@windows
def reduce_to_slices(op: ReduceWindow, b: Builder) -> Value | None:
    """reduce_window(x)  ->  combine(slice(pad(x)), slice(pad(x)), ...)"""
    if not _is_small(op.window, op.x.dtype) or any(d == 0 for d in op.result.shape):
        return None
    padded = _padded(b, op.x, identity(op.kind, op.x.dtype), op.padding, op.base_dilation)
    total: Value | None = None
    for tap in _taps(op.window, op.window_dilation):
        part = _at(b, padded, tap, op.result.shape, op.strides)
        total = part if total is None else getattr(b, _COMBINE[op.kind])(total, part)
    return total


@windows
def select_to_slices(op: SelectAndScatter, b: Builder) -> Value | None:
    """select_and_scatter(x, source)  ->  add(pad(select(taken, source, 0)), ...)"""
    if not _is_small(op.window, op.x.dtype) or any(d == 0 for d in (*op.source.shape, *op.x.shape)):
        return None
    if any(not is_nonnegative(n) for pair in op.padding for n in pair):
        return None
    if any(s > 1 and not is_positive(n) for n, s in zip(op.source.shape, op.strides, strict=True)):
        return None  # no share that could be spread, as far as can be told
    taps = list(_taps(op.window, (1,) * len(op.window)))
    zero = b.splat(0, op.source.type)
    total: Value | None = None
    for tap, taken in zip(taps, _taken(op, b, taps), strict=True):
        share = b.select(taken, op.source, zero)
        part = _put(b, share, tap, op)
        total = part if total is None else b.add(total, part)
    return total


def _taken(op: SelectAndScatter, b: Builder, taps: Sequence[tuple[int, ...]]) -> list[Value]:
    """For each tap: is it the one that its window takes? The first of equal ones, the first NaN."""
    dilation = (1,) * len(op.window)
    shape, flags = op.source.shape, op.source.type.with_dtype("bool")
    padded = _padded(b, op.x, identity(op.kind, op.x.dtype), op.padding, dilation)
    inside = None
    if padded is not op.x:  # padding is never taken, not even before an infinity of its sign
        everywhere = b.splat(True, op.x.type.with_dtype("bool"))
        inside = _padded(b, everywhere, identity("or", "bool"), op.padding, dilation)
    best: Value | None = None
    chosen: Value | None = None
    better: list[Value] = []
    for tap in taps:
        new = _at(b, padded, tap, shape, op.strides)
        there = None if inside is None else _at(b, inside, tap, shape, op.strides)
        if best is None or chosen is None:
            wins = b.splat(True, flags) if there is None else there
            best, chosen = new, wins
        else:
            beyond = b.compare(new, best, "GT" if op.kind == "max" else "LT")
            first_nan = b.and_(b.compare(new, new, "NE"), b.compare(best, best, "EQ"))
            wins = b.or_(b.or_(beyond, first_nan), b.not_(chosen))
            wins = wins if there is None else b.and_(wins, there)
            best, chosen = b.select(wins, new, best), b.or_(chosen, wins)
        better.append(wins)
    later: Value | None = None
    taken: list[Value] = []
    for wins in reversed(better):
        taken.append(wins if later is None else b.and_(wins, b.not_(later)))
        later = wins if later is None else b.or_(later, wins)
    return taken[::-1]


def _put(b: Builder, share: Value, tap: tuple[int, ...], op: SelectAndScatter) -> Value:
    """The shares at their places in x, zeros between."""
    low = tuple(t - lo for t, (lo, _) in zip(tap, op.padding, strict=True))
    spread = [(n - 1) * s + 1 for n, s in zip(share.shape, op.strides, strict=True)]
    high = tuple(n - size - lo for n, size, lo in zip(op.x.shape, spread, low, strict=True))
    found: Value = b.pad(
        share, b.constant(0, share.dtype), low, high, tuple(s - 1 for s in op.strides)
    )
    return found


@windows
def strided_tap_to_slice(op: Convolution, b: Builder) -> Value | None:
    """convolution(x, one tap, strides=s)  ->  convolution(slice(x, s), one tap)"""
    roles, ones = op.roles, (1,) * len(op.strides)
    taps = [op.rhs.shape[roles.rhs.index(s)] for s in roles.spatial]
    if op.strides == ones or any(n != 1 for n in taps) or not _reads_in_place(op):
        return None
    if any(pair != (0, 0) for pair in op.padding):
        return None
    sizes = [op.result.shape[roles.out.index(s)] for s in roles.spatial]
    made = op.with_fields(lhs=_sparse(op, sizes, op.strides, b), strides=ones)
    return b.append(made)[0]


@windows
def gradient_of_strided_tap_to_slice(op: Convolution, b: Builder) -> Value | None:
    """convolution(x, dy, rhs_dilation=s) with one result  ->  convolution(slice(x, s), dy)"""
    roles, ones = op.roles, (1,) * len(op.strides)
    taps = [op.result.shape[roles.out.index(s)] for s in roles.spatial]
    if op.rhs_dilation == ones or any(n != 1 for n in taps) or not _reads_in_place(op):
        return None
    sizes = [op.rhs.shape[roles.rhs.index(s)] for s in roles.spatial]
    read = [(n - 1) * d + 1 for n, d in zip(sizes, op.rhs_dilation, strict=True)]
    whole = [op.lhs.shape[roles.lhs.index(s)] for s in roles.spatial]
    for pair, n, m in zip(op.padding, read, whole, strict=True):
        if pair != (0, n - m) or not is_nonnegative(m - n):  # it may read less than x, not more
            return None
    lhs = _sparse(op, sizes, op.rhs_dilation, b)
    nothing = ((0, 0),) * len(ones)
    made = op.with_fields(lhs=lhs, rhs_dilation=ones, strides=ones, padding=nothing)
    return b.append(made)[0]


def _reads_in_place(op: Convolution) -> bool:
    """Is it a product of what it reads, neither spread nor turned?"""
    groups = op.feature_groups == op.batch_groups == 1
    return groups and set(op.lhs_dilation) == {1} and not any(op.reversal)


def _sparse(op: Convolution, sizes: Sequence[Size], steps: Sequence[int], b: Builder) -> Value:
    """So many elements of the left operand's spatial dims, so far apart."""
    roles = op.roles.lhs
    places = [roles.index(s) for s in op.roles.spatial]
    shape, strides = list(op.lhs.shape), [1] * len(roles)
    for d, size, step in zip(places, sizes, steps, strict=True):
        shape[d], strides[d] = size, step
    return _at(b, op.lhs, (0,) * len(roles), tuple(shape), strides)


def _padded(
    b: Builder,
    x: Value,
    value: object,
    padding: Sequence[tuple[Size, Size]],
    dilation: Sequence[int],
) -> Value:
    if all(pair == (0, 0) for pair in padding) and all(d == 1 for d in dilation):
        return x
    low, high = tuple(lo for lo, _ in padding), tuple(hi for _, hi in padding)
    found: Value = b.pad(x, b.constant(value, x.dtype), low, high, tuple(d - 1 for d in dilation))  # type: ignore[arg-type]  # an array
    return found


def _at(
    b: Builder, x: Value, tap: tuple[int, ...], shape: tuple[Size, ...], strides: Sequence[int]
) -> Value:
    """The element `tap` of each window."""
    limit = tuple(t + (n - 1) * s + 1 for t, n, s in zip(tap, shape, strides, strict=True))
    found: Value = b.slice(x, tap, limit, tuple(strides))
    return found


def _taps(window: Sequence[Size], dilation: Sequence[int]) -> Iterator[tuple[int, ...]]:
    return combinations(*[range(0, int(n) * d, d) for n, d in zip(window, dilation, strict=True)])
