"""The input of a convolution as its tiles see it: in place, or copied to a padded buffer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from kgraph.codegen.llvm.conv_spec import ConvSpec, Extent, Phases, extent
from kgraph.codegen.llvm.emit import (
    Function,
    Index,
    Operand,
    View,
    constant,
    register_type,
)
from kgraph.codegen.llvm.gemm_tile import compute_dtype


@dataclass(frozen=True, eq=False)
class Input:
    """Element (plane, row, column, channel) is at `origin` + the sum of index times stride."""

    origin: Operand
    plane: int
    row: int
    column: int


def locate(
    f: Function, spec: ConvSpec, sheet: tuple[Operand, Operand], row: Operand, rows: Operand,
    at: Index = 0,
) -> Input:  # fmt: skip
    """The input of `rows` units from (image, plane) and row on, its first element that a tap reads.

    Copies what they read to the scratch, from element `at` on, with zeros around it, if the
    convolution is so.
    """
    image, plane = sheet
    planes, heights, widths = (extent(dim) for dim in spec.space)
    steps = spec.x_steps()
    first_plane = f.add(f.mul(plane, planes.stride), planes.low)
    first_row = f.add(f.mul(row, heights.stride), heights.low)
    x = f.offset(f.parameter("x"), f.mul(image, steps[0]), spec.dtype)
    if not spec.copies():
        place = f.add(f.mul(first_plane, steps[1]), f.mul(first_row, steps[2]))
        place = f.add(place, widths.low * steps[3])
        return Input(f.offset(x, place, spec.dtype), *steps[1:4])
    buffer = buffer_of(f, spec, at)
    scratch, surface, line = buffer.origin, buffer.plane, buffer.row
    count = f.add(f.mul(f.sub(rows, 1), heights.stride), heights.reach)
    copy = _Copy(f, spec, x, image, widths)
    with f.loop(0, planes.reach, name="plane") as i, f.loop(0, count, name="row") as j:
        to = f.offset(scratch, f.add(f.mul(i, surface), f.mul(j, line)), compute_dtype(spec.dtype))
        copy.row(f.add(first_plane, i), f.add(first_row, j), to)
    return buffer


def buffer_of(f: Function, spec: ConvSpec, at: Index = 0) -> Input:
    """The padded buffer in the scratch."""
    _, heights, widths = (extent(dim) for dim in spec.space)
    scratch = f.offset(f.align_up(f.parameter("scratch"), 64), at, compute_dtype(spec.dtype))
    line = widths.size(widths.units) * spec.channels
    return Input(scratch, line * heights.size(spec.block(f.target)), line, spec.channels)


# add(a, b, run, totals): the totals after `run` neighbouring elements of x, and their weights.
Add = Callable[[Operand, Operand, int, Sequence[Operand]], Sequence[Operand]]


def over_taps(
    f: Function, spec: ConvSpec, phase: Phases, source: Input, columns: int,
    totals: Sequence[Operand], add: Add,
) -> Sequence[Operand]:  # fmt: skip
    """Loops over what a tile sums: the parameters a and b are its first tap in x and in weights.

    There are `columns` weights for an element of x. Neighbouring taps whose channels lie side by
    side are one run.
    """
    compute, width = compute_dtype(spec.dtype), phase[2]
    joined = spec.groups == 1 and width.dilation == 1 and source.column == spec.within
    run = spec.within * (width.taps if joined else 1)
    steps = (source.plane, source.row, source.column)
    loops = [(part.taps, part.dilation * step) for part, step in zip(phase, steps, strict=True)]
    loops = loops[: 2 if joined else 3]
    if 0 in [part.taps for part in phase]:
        return totals

    def nest(level: int, a: Operand, b: Operand, totals: Sequence[Operand]) -> Sequence[Operand]:
        if level == len(loops):
            return add(a, b, run, totals)
        count, step = loops[level]
        inner = run * columns * prod(n for n, _ in loops[level + 1 :])
        if count == 1:
            return nest(level + 1, a, b, totals)
        with f.carried_loop(0, count, totals, name="tap") as loop:
            next_a = f.offset(a, f.mul(loop.index, step), compute)
            next_b = f.offset(b, f.mul(loop.index, inner), compute)
            loop.next(*nest(level + 1, next_a, next_b, loop.values))
        return loop.results

    return nest(0, f.parameter("a"), f.parameter("b"), totals)


@dataclass(frozen=True, eq=False)
class _Copy:
    """Rows of one image on their way to the buffer."""

    f: Function
    spec: ConvSpec
    x: Operand
    image: Operand
    widths: Extent

    def row(self, plane: Operand, row: Operand, to: Operand) -> None:
        """One row of the buffer: zeros, pixels, zeros; all zeros outside the image."""
        f, spec = self.f, self.spec
        dims, channels = spec.space, spec.channels
        inside = f.and_(
            f.compare("LT", plane, dims[0].x, signed=False),
            f.compare("LT", row, dims[1].x, signed=False),
        )
        width = self.widths.size(self.widths.units)
        left = min(width, max(0, -self.widths.low))
        first = max(0, self.widths.low)
        pixels = max(0, min(dims[2].x - first, width - left))
        choice = f.choose(inside)
        with choice.then():
            self._zeros(to, left * channels)
            body = f.offset(to, left * channels, compute_dtype(spec.dtype))
            self._pixels(plane, row, first, pixels, body)
            rest = f.offset(to, (left + pixels) * channels, compute_dtype(spec.dtype))
            self._zeros(rest, (width - left - pixels) * channels)
            choice.give()
        with choice.otherwise():
            self._zeros(to, width * channels)
            choice.give()

    def _zeros(self, to: Operand, count: int) -> None:
        f, compute = self.f, compute_dtype(self.spec.dtype)
        lanes = f.target.lanes(4)
        zero = constant(0, register_type(compute, lanes))

        def body(i: Operand, mask: Operand | None) -> None:
            f.store_at(f.offset(to, i, compute), compute, zero, mask)

        f.strips(count, lanes, body)

    def _pixels(self, plane: Operand, row: Operand, first: int, pixels: int, to: Operand) -> None:
        """`pixels` neighbours of a row, from column `first` on."""
        f, spec = self.f, self.spec
        steps, channels, compute = spec.x_steps(), spec.channels, compute_dtype(spec.dtype)
        place = f.add(f.mul(plane, steps[1]), f.add(f.mul(row, steps[2]), first * steps[3]))
        source = f.offset(self.x, place, spec.dtype)
        lanes = f.target.lanes(4)
        if spec.prologue is None and steps[3] == channels and steps[4] == 1:

            def flat(i: Operand, mask: Operand | None) -> None:
                value = f.load_at(f.offset(source, i, spec.dtype), spec.dtype, lanes, mask)
                value = f.convert(value, spec.dtype, compute)
                f.store_at(f.offset(to, i, compute), compute, value, mask)

            f.strips(pixels * channels, lanes, flat)
            return
        dims = spec.space
        start = f.add(f.mul(self.image, dims[0].x), plane)
        start = f.add(f.mul(f.add(f.mul(start, dims[1].x), row), dims[2].x), first)
        with f.loop(0, pixels, name="pixel") as pixel:
            source_pixel = f.offset(source, f.mul(pixel, steps[3]), spec.dtype)
            target = f.offset(to, f.mul(pixel, channels), compute)

            def body(i: Operand, mask: Operand | None) -> None:
                self._channels(source_pixel, target, f.add(start, pixel), i, (lanes, mask))

            f.strips(channels, lanes, body)

    def _channels(
        self,
        source: Operand,
        target: Operand,
        pixel: Operand,
        channel: Operand,
        width: tuple[int, Operand | None],
    ) -> None:
        """A vector of channels of one pixel, whatever their distance."""
        f, spec = self.f, self.spec
        compute, (lanes, mask) = compute_dtype(spec.dtype), width
        view = View(source, spec.dtype, (spec.x_steps()[4],))
        value = f.convert(f.load(view, [channel], lanes, mask=mask), spec.dtype, compute)
        if spec.prologue is not None:
            value = spec.prologue(f, pixel, channel, value, mask)
        f.store_at(f.offset(target, channel, compute), compute, value, mask)
