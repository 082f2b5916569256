"""What a convolution is asked to do, and how its output splits into phases without zeros."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import gcd, prod
from typing import Any

from kgraph.codegen.llvm.emit import I64, PTR, Function, Index, Operand, Type, item_bytes
from kgraph.codegen.llvm.gemm_spec import Epilogue
from kgraph.codegen.llvm.gemm_tile import Shape, choose_shape, compute_dtype
from kgraph.codegen.llvm.target import Target

# Bytes of a group's channels, where vectors may hold several groups: half of the widest vector.
NARROW_BYTES = 32
# Rows of a tile of two vectors: 28 sums, two vectors of a panel.
ROWS = 14
FEW_PIXELS = 8  # of a tile whose vectors are channels
PAGE = 4096

# prologue(f, pixel, channel, value, mask): what is used instead of a loaded input vector, whose
# first lane is x[pixel, channel]; pixel counts over batch and space. It is applied while the input
# is copied to the padded buffer, before the zeros of the padding.
Prologue = Callable[[Function, Operand, Operand, Operand, "Operand | None"], Operand]


@dataclass(frozen=True)
class Dim:
    """One spatial dim: y[o] = sum over taps t of x[(o stride + t dilation - low) / x_dilation].

    Terms whose position is fractional or outside x are zero. With `reverse` tap t reads
    w[taps - 1 - t].
    """

    x: int
    taps: int
    y: int
    stride: int = 1
    low: int = 0
    dilation: int = 1
    x_dilation: int = 1
    reverse: bool = False

    @property
    def period(self) -> int:
        """Outputs this far apart meet the same taps."""
        return self.x_dilation // gcd(self.stride, self.x_dilation)


@dataclass(frozen=True)
class Phase:
    """Outputs `period * i + offset` of a dim: a convolution of its own, without dilated input.

    It reads x[i * stride + j * dilation + shift] through tap `tap + j * tap_step`, j < taps.
    """

    offset: int
    count: int
    taps: int
    tap: int
    tap_step: int
    stride: int
    dilation: int
    shift: int


def phases(dim: Dim) -> tuple[Phase, ...]:
    """The phases of a dim; one, unless the input is dilated."""
    result = []
    step = dim.x_dilation // gcd(dim.dilation, dim.x_dilation)
    for offset in range(dim.period):
        hits = [
            t for t in range(dim.taps)
            if (offset * dim.stride + t * dim.dilation - dim.low) % dim.x_dilation == 0
        ]  # fmt: skip
        first = hits[0] if hits else 0
        at = (offset * dim.stride + first * dim.dilation - dim.low) // dim.x_dilation
        result.append(
            Phase(
                offset=offset,
                count=max(0, -(-(dim.y - offset) // dim.period)),
                taps=len(hits),
                tap=first,
                tap_step=step,
                stride=dim.period * dim.stride // dim.x_dilation,
                dilation=step * dim.dilation // dim.x_dilation,
                shift=at if hits else 0,
            )
        )
    return tuple(result)


Phases = tuple[Phase, Phase, Phase]


@dataclass(frozen=True)
class Extent:
    """What all phases of a dim read of x: rows i * stride + [low, low + reach)."""

    low: int
    reach: int
    stride: int
    units: int  # values of i

    def size(self, count: int) -> int:
        """How many rows `count` neighbouring values of i read."""
        return (count - 1) * self.stride + self.reach


def extent(dim: Dim) -> Extent:
    """The extent of a dim."""
    used = [phase for phase in phases(dim) if phase.taps] or [phases(dim)[0]]
    low = min(phase.shift for phase in used)
    high = max(phase.shift + max(phase.taps - 1, 0) * phase.dilation for phase in used)
    return Extent(low, high - low + 1, used[0].stride, -(-dim.y // dim.period))


@dataclass(frozen=True, eq=False)
class ConvSpec:
    """A convolution y[n, space, o] = sum over taps and c of x[n, ...][c] w[taps, c, o].

    Attributes:
        dims: one to three spatial dims, the last is the innermost.
        channels, features: of x and of y, all groups together.
        x_strides, y_strides: in elements, for batch, spatial dims, channels; w_strides for spatial
            dims, input channels (of a group), output channels. None: dense in that order.
        epilogue: its row is the output pixel, counted over batch and space, its column the feature.
            A depthwise convolution with several filters per channel takes none.
        Other attributes as in `GemmSpec`.
    """

    dims: tuple[Dim, ...]
    channels: int
    features: int
    groups: int = 1
    dtype: str = "float32"
    result: str = ""
    x_strides: tuple[int, ...] | None = None
    w_strides: tuple[int, ...] | None = None
    y_strides: tuple[int, ...] | None = None
    epilogue: Epilogue | None = None
    inline_epilogue: bool = False
    prologue: Prologue | None = None
    extra: tuple[tuple[str, Type], ...] = ()

    def __post_init__(self) -> None:
        if self.epilogue and self.depthwise and self.features > self.channels:
            raise ValueError("lanes of a depthwise convolution with a multiplier lie apart")

    @property
    def space(self) -> tuple[Dim, Dim, Dim]:
        """The dims, with dims of one in front up to three."""
        padded = (Dim(1, 1, 1),) * (3 - len(self.dims)) + self.dims
        return padded[0], padded[1], padded[2]

    @property
    def depthwise(self) -> bool:
        """Whether every group has one input channel."""
        return self.groups == self.channels and self.groups > 1

    @property
    def within(self) -> int:
        """Input channels of a group."""
        return self.channels // self.groups

    @property
    def narrow(self) -> bool:
        """Whether groups are so small that a vector goes through several of them side by side."""
        fits = self.within * item_bytes(compute_dtype(self.dtype)) <= NARROW_BYTES
        whole = self.channels == self.features and self.within in (2, 4, 8) and fits
        return self.depthwise or (self.groups > 1 and whole)

    def x_steps(self) -> tuple[int, ...]:
        """Strides of x: batch, three spatial dims, channel."""
        return _steps(self.x_strides, [dim.x for dim in self.dims], self.channels)

    def y_steps(self) -> tuple[int, ...]:
        """Strides of y: batch, three spatial dims, feature."""
        return _steps(self.y_strides, [dim.y for dim in self.dims], self.features)

    def w_steps(self) -> tuple[int, ...]:
        """Strides of w: three spatial dims, input channel, feature."""
        if self.w_strides is not None:
            return (0,) * (3 - len(self.dims)) + self.w_strides
        each = self.channels // self.groups
        steps = _dense([*(dim.taps for dim in self.dims), each, self.features])
        return (0,) * (3 - len(self.dims)) + steps

    def shape(self, target: Target) -> Shape:
        """The register tile: pixels of one output row x vectors of features."""
        each = self.features // self.groups
        return choose_shape(target, compute_dtype(self.dtype), None, each)

    def tile_rows(self, target: Target) -> int:
        """Rows of a register tile at most.

        As many as 32 registers have room for: the panel that they meet, which outgrows the first
        cache, comes in once for all of them.
        """
        shape = self.shape(target)
        roomy = shape.vectors == 2 and target.vector_registers >= 32 and target.fused
        return ROWS if roomy else shape.rows

    def pixels(self, target: Target) -> int:
        """Pixels of a register tile at most: those a multiple of a page apart share its lines."""
        each = self.features // self.groups
        if self.few(target):
            return max(1, min(FEW_PIXELS, (target.vector_registers - each - 2) // each))
        distance = self.channels * self.space[2].stride * item_bytes(compute_dtype(self.dtype))
        return self.tile_rows(target) if distance % PAGE else self.shape(target).rows

    def few(self, target: Target) -> bool:
        """Whether the features are so few that vectors go through channels; see conv_few.py."""
        lanes = target.lanes(item_bytes(compute_dtype(self.dtype)))
        return 2 * (self.features // self.groups) <= lanes <= self.within

    def panel_width(self, target: Target) -> int:
        """Features of a panel of packed weights."""
        each = self.features // self.groups
        return each if self.few(target) else self.shape(target).columns

    def phases(self) -> list[Phases]:
        """All combinations of the dims' phases, in a fixed order."""
        planes, rows, columns = self.space
        return list(itertools.product(phases(planes), phases(rows), phases(columns)))

    def parameters(self) -> list[tuple[str, Type]]:
        """Of the function: x, w (packed), y, scratch, lo, hi, then `extra`."""
        pointers = [(name, PTR) for name in ("x", "w", "y", "scratch")]
        return [*pointers, ("lo", I64), ("hi", I64), *self.extra]

    def units(self, batch: Any) -> Any:
        """How many units `lo, hi` range over: rows of output (of all phases) of all images."""
        return batch * prod(extent(dim).units for dim in self.space[:2])

    def panels(self, target: Target) -> int:
        """How many panels of weights there are, the units of the packing function."""
        if self.narrow:
            return 1
        return self.groups * -(-(self.features // self.groups) // self.panel_width(target))

    def packed_bytes(self, target: Target) -> int:
        """Bytes of packed weights."""
        size, taps = item_bytes(compute_dtype(self.dtype)), self.packed_taps()
        if self.narrow:
            return (taps * self.within * self.features + target.lanes(size)) * size + 64
        width = self.panel_width(target)
        return self.panels(target) * width * taps * (self.channels // self.groups) * size + 64

    def packed_taps(self) -> int:
        """Taps of all phases together."""
        return sum(prod(phase.taps for phase in combination) for combination in self.phases())

    def copies(self) -> bool:
        """Whether the input goes through a padded buffer."""
        if self.prologue or compute_dtype(self.dtype) != self.dtype or self.x_steps()[4] != 1:
            return True
        if self.narrow:
            return False  # its tiles leave out what is outside of the image
        for dim in self.space:
            reads = extent(dim)
            if reads.low < 0 or reads.low + reads.size(reads.units) > dim.x:
                return True
        return False

    def block(self, target: Target) -> int:
        """Rows of output units in one block, so that what they read stays in half of L2."""
        planes, rows, columns = (extent(dim) for dim in self.space)
        size = item_bytes(compute_dtype(self.dtype)) * self.channels
        per_row = planes.reach * columns.size(columns.units) * size
        limit = max(1, target.l2 // 2 // max(1, per_row))
        return max(1, min(rows.units, (limit - rows.reach) // max(1, rows.stride) + 1))

    def sheets(self, target: Target) -> int:
        """Planes of images that pass by a panel of weights one after the other.

        Several where images are small and the weights too many to stay in the cache until the next.
        """
        if self.narrow or self.block(target) < extent(self.space[1]).units:
            return 1
        if self.packed_bytes(target) <= target.l2 // 2:
            return 1
        size = self.sheet_elements(target) * item_bytes(compute_dtype(self.dtype))
        return max(1, min(4, target.l2 // 2 // max(1, size)))

    def sheet_elements(self, target: Target) -> int:
        """Elements of what the rows of a block read of one image."""
        planes, rows, columns = (extent(dim) for dim in self.space)
        pixels = planes.reach * rows.size(self.block(target)) * columns.size(columns.units)
        return pixels * self.channels

    def scratch_bytes(self, target: Target) -> int:
        """Bytes of private memory that one call needs."""
        if not self.copies():
            return 64
        elements = self.sheet_elements(target) * self.sheets(target)
        return elements * item_bytes(compute_dtype(self.dtype)) + 128


@dataclass(frozen=True, eq=False)
class Tap:
    """A tap in a loop: its number in its phase, its place in w, its index in each spatial dim."""

    number: Index
    place: Index
    indices: tuple[Index, Index, Index]


@contextmanager
def each_tap(f: Function, spec: ConvSpec, phase: Phases, dims: int = 3) -> Iterator[Tap]:
    """A loop over the taps of a phase; with `dims=2` over tap rows, at the first tap of each."""
    with ExitStack() as stack:
        number: Index = 0
        place: Index = 0
        indices: list[Index] = []
        for part, dim, step in zip(phase, spec.space, spec.w_steps(), strict=False):
            first = dim.taps - 1 - part.tap if dim.reverse else part.tap
            move = -part.tap_step if dim.reverse else part.tap_step
            tap: Index = 0
            if len(indices) < dims:
                tap = stack.enter_context(f.loop(0, part.taps, name="tap"))
            indices.append(tap)
            number = f.add(f.mul(number, part.taps), tap)
            place = f.add(place, f.add(f.mul(tap, move * step), first * step))
        yield Tap(number, place, (indices[0], indices[1], indices[2]))


def tile_heights(count: int, limit: int) -> list[tuple[int, int]]:
    """(height, how many tiles): tiles of two neighbouring heights that cover `count` pixels."""
    tiles = -(-count // limit)
    if not tiles:
        return []
    low = count // tiles
    high_tiles = count - low * tiles
    return [(height, n) for height, n in ((low + 1, high_tiles), (low, tiles - high_tiles)) if n]


def _dense(sizes: list[int]) -> tuple[int, ...]:
    steps = [1]
    for size in reversed(sizes[1:]):
        steps.append(steps[-1] * size)
    return tuple(reversed(steps))


def _steps(given: tuple[int, ...] | None, space: list[int], channels: int) -> tuple[int, ...]:
    steps = given if given is not None else _dense([1, *space, channels])
    return (steps[0], *(0,) * (3 - len(space)), *steps[1:])
