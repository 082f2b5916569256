"""Dilated kernels as dense ones over images of every d-th pixel.

With taps d apart, pixels whose places differ by no multiple of d never meet. Each such phase of an
image is an image of its own, under a kernel without holes, for which Winograd's algorithm may be
the fastest. The phases become neighbours in the batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar

from kgraph.ir import Builder, Function, Size, Value, floordiv
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.algorithm import fastest
from kgraph.passes.base import Pass
from kgraph.passes.rewrite import RuleSet, rewrite

dilated = RuleSet("dilated")


class SplitDilated(Pass):
    """Writes dilated convolutions, and their gradients, as dense ones where that is faster.

    The same products and sums. It asks for images that the dilation divides.
    """

    name: ClassVar[str] = "split_dilated"

    def run(self, fn: Function) -> Function:
        """The same results."""
        return rewrite(fn, dilated)


@dilated
def convolution_by_phases(op: Convolution, b: Builder) -> Value | None:
    """convolution(x, w, rhs_dilation=d)  ->  joined(convolution(split(x, d), w))"""
    roles, steps = op.roles, op.rhs_dilation
    image = f"b{roles.spatial}f"
    if (roles.lhs, roles.out) != (image, image) or not _splits(op, steps, op.strides):
        return None
    if not _divided(op.lhs, steps) or not _divided(op.result, steps):
        return None
    made = _dense(op, steps, _split(op.lhs, steps, b), op.rhs)
    return None if fastest(made) == "direct" else _joined(b.append(made)[0], steps, b)


@dilated
def gradient_by_phases(op: Convolution, b: Builder) -> Value | None:
    """convolution(x, dy, strides=d)  ->  convolution(split(x, d), split(dy, d)), over all phases"""
    roles, steps = op.roles, op.strides
    forms = (f"f{roles.spatial}b", f"i{roles.spatial}o")
    if (roles.lhs, roles.rhs) != forms or not _splits(op, steps, op.rhs_dilation):
        return None
    if not _divided(op.lhs, steps) or not _divided(op.rhs, steps):
        return None
    made = _dense(op, steps, _split(op.lhs, steps, b), _split(op.rhs, steps, b))
    return None if fastest(made) == "direct" else b.append(made)[0]


def _splits(op: Convolution, steps: Sequence[int], others: Sequence[int]) -> bool:
    """Are the steps all that keeps the kernel from being dense, and do they divide the padding?"""
    ones = {*others, *op.lhs_dilation, op.feature_groups, op.batch_groups}
    if max(steps) == 1 or ones != {1}:
        return False
    return all(
        isinstance(n, int) and n % step == 0
        for pair, step in zip(op.padding, steps, strict=True)
        for n in pair
    )


def _divided(v: Value, steps: Sequence[int]) -> bool:
    """Are all phases of the images equally large?"""
    sizes = zip(v.shape[1:-1], steps, strict=True)
    return all(isinstance(n, int) and n % step == 0 for n, step in sizes)


def _dense(op: Convolution, steps: Sequence[int], lhs: Value, rhs: Value) -> Convolution:
    ones = (1,) * len(steps)
    padding = tuple(
        (floordiv(low, step), floordiv(high, step))
        for (low, high), step in zip(op.padding, steps, strict=True)
    )
    return Convolution(
        lhs, rhs, op.dims, ones, padding, op.lhs_dilation, ones, op.reversal,
        op.feature_groups, op.batch_groups,
    )  # fmt: skip


def _split(v: Value, steps: Sequence[int], b: Builder) -> Value:
    """[batch, space, channels]  ->  [batch * phases, space / steps, channels]"""
    batch, *space, channels = v.shape
    parts = [part for n, step in zip(space, steps, strict=True) for part in (n // step, step)]
    count = len(steps)
    phases, places = [2 + 2 * i for i in range(count)], [1 + 2 * i for i in range(count)]
    apart = b.reshape(v, (batch, *parts, channels))
    order = (0, *phases, *places, 2 * count + 1)
    small: list[Size] = parts[::2]
    found: Value = b.reshape(b.transpose(apart, order), (batch * prod(steps), *small, channels))
    return found


def _joined(v: Value, steps: Sequence[int], b: Builder) -> Value:
    """The inverse of `_split`."""
    batch, *space, channels = v.shape
    count = len(steps)
    apart = b.reshape(v, (floordiv(batch, prod(steps)), *steps, *space, channels))
    order = [place for i in range(count) for place in (1 + count + i, 1 + i)]
    together = b.transpose(apart, (0, *order, 2 * count + 1))
    whole = [n * step for n, step in zip(space, steps, strict=True)]
    found: Value = b.reshape(together, (apart.shape[0], *whole, channels))
    return found
