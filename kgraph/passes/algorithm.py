"""The algorithm of each convolution, by a small cost model.

Winograd's algorithm takes fewer multiplications, but transforms inputs, outputs and weights. The
model counts multiply-adds per image: those of the products, and for what is transformed so many per
element as take the same time (measured on machines with vectors of 32 and 64 bytes).

A single image has few tiles for so many weights, and what large tiles save in multiplications they
lose in transformed weights that have to come from memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod
from typing import ClassVar

from kgraph.ir import Function, Op, Size
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.base import Pass, in_regions, replace_ops

TAPS = 3
TILES = (2, 4, 5, 6)
# Tiles from five on have the larger error, which grows with the channels that are summed: they are
# for few of them, and for sizes that they divide.
LARGE = 5
LARGE_CHANNELS = 128
_READ, _WRITTEN = 16, 8  # multiply-adds that take as long as the transform of an element
_WEIGHT = 1.25  # per weight: its transform and its way from memory, shared by a block of images
_ALONE = 13  # the same where a single image reads the weights
_GAIN = 0.8  # of the direct cost: what Winograd must at least save to be worth its rounding
_SINGLE_GAIN = 0.9  # of the cost of a single image: what is worth a second kernel


@dataclass(frozen=True)
class _Shape:
    """A convolution as the model sees it: sizes of the spatial dims, forward or as a gradient.

    Attributes:
        inputs, outputs: per dim; of the forward convolution where this is its weight gradient.
        taps: per dim.
        full: the padding is that of the input gradient of a convolution without padding.
    """

    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    taps: tuple[int, ...]
    channels: int
    features: int
    full: bool


class ChooseAlgorithm(Pass):
    """Gives convolutions of three taps per dim Winograd's algorithm where that takes less time.

    The results change by rounding: docs/numerics.md has the bounds.

    Attributes:
        single: a batch of unknown size may be a single image, for which there may be another
            choice.
    """

    name: ClassVar[str] = "choose_algorithm"
    single: bool = False

    def run(self, fn: Function) -> Function:
        """`fn` with other algorithms; `fn` itself where direct convolution is best."""
        return replace_ops(in_regions(fn, self.run), self._with_fastest)

    def _with_fastest(self, op: Op) -> Op:
        if not isinstance(op, Convolution) or (name := fastest(op, self.single)) == op.algorithm:
            return op
        return op.with_fields(algorithm=name)


def fastest(op: Convolution, single: bool = False) -> str:
    """The name of the algorithm that the model prefers; `single`: see `ChooseAlgorithm`."""
    shape = _shape(op)
    if shape is None:
        return op.algorithm
    each = shape.channels * shape.features
    smaller = shape.inputs if shape.full else shape.outputs
    best, cost = "direct", _GAIN * prod(smaller) * prod(shape.taps) * each
    for tile in TILES:
        for form in ("", "_adjoint") if shape.full else ("",):
            covered = shape.inputs if form else shape.outputs
            if tile >= LARGE and shape.channels > LARGE_CHANNELS:
                continue
            found = _winograd_cost(shape, tile, covered, whole=bool(form) or tile >= LARGE)
            if found is not None and found < cost:
                best, cost = f"winograd_{tile}{form}", found
    unknown = not isinstance(op.lhs.shape[op.roles.lhs.index("b")], int)
    if single and unknown and best in [f"winograd_{tile}" for tile in TILES[1:]]:
        large, small = (
            _winograd_cost(shape, tile, shape.outputs, whole=False, weight=_ALONE) or 0
            for tile in (int(best[-1]), 2)
        )
        return f"{best}_or_2" if small < _SINGLE_GAIN * large else best
    return best


def weights_read(op: Convolution) -> float:
    """How many times the bytes of its weights a convolution reads: Winograd's are transformed."""
    name, *rest = op.algorithm.split("_")
    if name != "winograd":
        return 1.0
    tile = rest[0]
    taps = (op.rhs.shape[op.roles.rhs.index(s)] for s in op.roles.spatial)
    return prod((int(tile) + TAPS - 1) / TAPS for n in taps if n == TAPS)


def _winograd_cost(
    shape: _Shape, tile: int, covered: tuple[int, ...], whole: bool, weight: float = _WEIGHT
) -> float | None:
    """Multiply-adds with tiles that cover these sizes; None where they do not and must."""
    tiles = points = 1
    for size, taps in zip(covered, shape.taps, strict=True):
        if taps == 1:
            tiles *= size
            continue
        if whole and size % tile:
            return None
        tiles *= ceil(size / tile)
        points *= tile + taps - 1
    products = points * shape.channels * shape.features
    moved = points * (_READ * shape.channels + _WRITTEN * shape.features)
    return tiles * (products + moved) + weight * products


def _shape(op: Convolution) -> _Shape | None:
    """What the model needs to know; None for what Winograd's kernels do not compute."""
    ones = {*op.strides, *op.lhs_dilation, *op.rhs_dilation, op.feature_groups, op.batch_groups}
    roles = op.roles
    if ones != {1} or op.lhs.dtype != "float32" or not 1 <= len(op.strides) <= 2:
        return None

    def sizes(letters: str, shape: tuple[Size, ...], wanted: str) -> tuple[Size, ...]:
        return tuple(shape[letters.index(r)] for r in wanted)

    x = sizes(roles.lhs, op.lhs.shape, roles.spatial)
    w = sizes(roles.rhs, op.rhs.shape, roles.spatial)
    y = sizes(roles.out, op.result.shape, roles.spatial)
    gradient = roles.lhs[-1] == "b"
    if gradient:
        if roles.rhs[-1] != "o" or any(op.reversal):
            return None
        channels, features = op.lhs.shape[-1], op.rhs.shape[-1]
        w, y = y, w
    else:
        if roles.lhs[-1] != "f" or roles.out[-1] != "f":
            return None
        channels, features = op.lhs.shape[-1], op.result.shape[-1]
    numbers = [n for n in (*x, *w, *y, channels, features) if isinstance(n, int)]
    if len(numbers) < 3 * len(x) + 2 or 0 in numbers:
        return None
    count = len(x)
    inputs, taps, outputs = (tuple(numbers[i * count : (i + 1) * count]) for i in range(3))
    dims = list(zip(taps, inputs, outputs, strict=True))
    if TAPS not in taps or any(t != TAPS and (t != 1 or i != o) for t, i, o in dims):
        return None
    full = not gradient and all(
        low == high == t - 1 for (low, high), t in zip(op.padding, taps, strict=True)
    )
    return _Shape(inputs, outputs, taps, numbers[-2], numbers[-1], full)
