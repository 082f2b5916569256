"""The weight gradient of a depthwise convolution: vectors over channels, a sum for each tap.

A tile of neighbouring pixels holds its dy in registers, and the sums of some tap rows, which it
loads from dw and stores there; each vector of x is loaded once, for all taps that meet it. Memory
is read in order, vectors of channels innermost, while the sums, few, stay in L1. x is read in
place: a row outside of the image is a row of zeros in the scratch memory, columns outside are left
out as in conv_depthwise.py. Small groups lie in a vector side by side as there: each tap has a sum
for every channel of a group.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.conv_depthwise import Columns, columns, lanes_of, meeting, spread
from kgraph.codegen.llvm.conv_input import Input, locate
from kgraph.codegen.llvm.conv_spec import ConvSpec, Dim, Phase, Phases, extent
from kgraph.codegen.llvm.emit import Function, Index, Operand, View, item_bytes
from kgraph.codegen.llvm.gemm_tile import compute_dtype, multiply_add

TAPS = 9

PrologueDy = Callable[[Function, Operand, Operand, Operand, "Operand | None"], Operand]

# Of a tap row: the indices of its plane and row, and the taps in it that are summed together.
TapRow = tuple[int, int, range]


def zero_elements(spec: ConvSpec) -> int:
    """Elements of the row of zeros."""
    width = extent(spec.space[2])
    return (width.size(width.units) - 1) * spec.x_steps()[3] + spec.channels


def emit_depthwise_weights(f: Function, spec: ConvSpec, prologue: PrologueDy | None) -> None:
    """The body of the function of `WeightsSpec.parameters()`."""
    planes, rows, _ = (extent(dim) for dim in spec.space)
    first = f.mul(f.parameter("lo"), planes.units)
    last = f.mul(f.parameter("hi"), planes.units)
    nothing = f.align_up(f.parameter("scratch"), 64)
    if not spec.copies():
        compute = compute_dtype(spec.dtype)
        f.fill_bytes(nothing, 0, zero_elements(spec) * item_bytes(compute))
    with (
        f.loop(first, last, name="sheet") as sheet,
        f.loop(0, rows.units, spec.block(f.target), name="block") as row,
    ):
        end = f.smin(f.add(row, spec.block(f.target)), rows.units)
        at = (f.sdiv(sheet, planes.units), f.srem(sheet, planes.units))
        source = locate(f, spec, at, row, f.sub(end, row))
        for phase in spec.phases():
            _Sums(f, spec, prologue, phase, source, nothing).emit(at, (row, end))


@dataclass(frozen=True, eq=False)
class _Sums:
    """The taps of one phase over one block."""

    f: Function
    spec: ConvSpec
    prologue: PrologueDy | None
    phase: Phases
    source: Input
    nothing: Operand  # a row of zeros

    def emit(self, at: tuple[Operand, Operand], rows: tuple[Operand, Operand]) -> None:
        """Rows of output, tiles of a row."""
        f, spec = self.f, self.spec
        (image, plane), (first, end) = at, rows
        depth, height, column = self.phase
        dims = spec.space
        pixels = 8 if f.target.vector_registers >= 32 else 4
        y_plane = f.add(f.mul(plane, dims[0].period), depth.offset)
        with (
            f.when(f.compare("LT", plane, depth.count)),
            f.loop(first, f.smin(end, height.count), name="row") as row,
        ):
            y_row = f.add(f.mul(row, dims[1].period), height.offset)
            lines = {
                (j, i): self._line(j, i, plane, row, first)
                for j in range(depth.taps)
                for i in range(height.taps)
            }
            for run in columns(column, dims[2], pixels, spec.copies()):
                last = run.first + run.count * run.pixels
                with f.loop(run.first, last, run.pixels, name="pixel") as start:
                    start = f.index(run.first) if run.count == 1 else start
                    self._channels(run, start, lines, (image, y_plane, y_row))

    def _channels(
        self,
        run: Columns,
        start: Operand,
        lines: dict[tuple[int, int], Operand],
        at: tuple[Operand, Operand, Operand],
    ) -> None:
        """One tile: vectors of channels, filters of a channel, groups of taps."""
        f, spec = self.f, self.spec
        multiplier, lanes = spec.features // spec.channels, lanes_of(f.target, spec)
        compute = compute_dtype(spec.dtype)

        def body(channel: Operand, mask: Operand | None) -> None:
            with f.loop(0, multiplier, name="filter") as j:
                feature = f.add(f.mul(channel, multiplier), j)
                dy = [
                    self._dy((*at, self._y_column(start, m)), feature, (lanes, mask))
                    for m in range(run.pixels)
                ]
                for group, k in itertools.product(self._groups(), range(spec.within)):
                    x = [f.offset(lines[j, i], channel, compute) for j, i, _ in group]
                    taps = [(j, i, t) for j, i, some in group for t in some]
                    places = [self._place(tap, k, feature) for tap in taps]
                    sums = [f.load(view, [0], lanes, mask=mask) for view in places]
                    sums = self._tile(run, start, (group, x), k, dy, sums, (lanes, mask))
                    for view, total in zip(places, sums, strict=True):
                        f.store(view, [0], total, mask=mask)

        f.strips(spec.channels, lanes, body, "channel")

    def _groups(self) -> list[list[TapRow]]:
        """Tap rows, or parts of long ones, whose sums fit in the registers together."""
        depth, height, width = self.phase
        found: list[list[TapRow]] = []
        room = 0
        for plane in range(depth.taps):
            for row in range(height.taps):
                for start in range(0, width.taps, TAPS):
                    taps = range(start, min(start + TAPS, width.taps))
                    if not found or len(taps) > room:
                        found.append([])
                        room = TAPS
                    found[-1].append((plane, row, taps))
                    room -= len(taps)
        return found

    def _y_column(self, start: Operand, m: int) -> Operand:
        column, period = self.phase[2], self.spec.space[2].period
        return self.f.add(self.f.mul(self.f.add(start, m), period), column.offset)

    def _line(self, j: int, i: int, plane: Operand, row: Operand, first: Operand) -> Operand:
        """Where the input of a tap row begins, for a row of outputs: the zeros if it is outside."""
        f, spec, source = self.f, self.spec, self.source
        depth, height, column = self.phase
        planes, rows, widths = (extent(dim) for dim in spec.space)
        place = (depth.shift - planes.low + j * depth.dilation) * source.plane
        place += (height.shift - rows.low + i * height.dilation) * source.row
        place += (column.shift - widths.low) * source.column
        moved = f.mul(f.sub(row, first), height.stride * source.row)
        compute = compute_dtype(spec.dtype)
        line = f.offset(source.origin, f.add(moved, place), compute)
        if spec.copies():
            return line
        for part, dim, tap, unit in (
            (depth, spec.space[0], j, plane), (height, spec.space[1], i, row)
        ):  # fmt: skip
            low, high = _reach(part, tap)
            if low < 0 or high >= dim.x:
                at = f.add(f.mul(unit, part.stride), part.shift + tap * part.dilation)
                inside = f.compare("LT", at, dim.x, signed=False)
                zeros_here = f.offset(self.nothing, self._shift(column, spec.space[2]), compute)
                line = f.select(inside, line, zeros_here)
        return line

    def _shift(self, column: Phase, dim: Dim) -> int:
        """Elements from the start of the zeros to where a line of them begins."""
        return (column.shift - extent(dim).low) * self.source.column

    def _tile(
        self,
        run: Columns,
        start: Operand,
        lines: tuple[Sequence[TapRow], Sequence[Operand]],
        k: int,
        dy: Sequence[Operand],
        totals: Sequence[Operand],
        width: tuple[int, Operand | None],
    ) -> list[Operand]:
        """Adds the products of neighbouring pixels, with channel k of the groups, to the sums."""
        f, spec, (lanes, mask) = self.f, self.spec, width
        compute, column = compute_dtype(spec.dtype), self.phase[2]
        found, before = list(totals), 0
        moved = f.mul(start, column.stride * self.source.column)
        for (_, _, taps), line in zip(*lines, strict=True):
            a = f.offset(line, moved, compute)
            for place, meets in meeting(run, column, spec.space[2]):
                some = [(m, t) for m, t in meets if t in taps]
                if not some:
                    continue
                x = f.offset(a, place * self.source.column, compute)
                value = spread(f, spec, f.load_at(x, compute, lanes, mask), k)
                for m, t in some:
                    at = before + t - taps.start
                    found[at] = multiply_add(f, value, dy[m], found[at])
            before += len(taps)
        return found

    def _place(self, tap: tuple[int, int, int], k: int, feature: Operand) -> View:
        """Where the sum of a tap and of channel k of the groups lies in dw."""
        f, spec = self.f, self.spec
        compute, steps = compute_dtype(spec.dtype), spec.w_steps()
        place: Index = f.add(f.mul(feature, steps[4]), k * steps[3])
        for number, part, dim, step in zip(tap, self.phase, spec.space, steps, strict=False):
            index = part.tap + number * part.tap_step
            place = f.add(place, (dim.taps - 1 - index if dim.reverse else index) * step)
        spread = spec.features // spec.channels * steps[4]
        return View(f.offset(f.parameter("dw"), place, compute), compute, (spread,))

    def _dy(
        self,
        at: tuple[Operand, Operand, Operand, Operand],
        feature: Operand,
        width: tuple[int, Operand | None],
    ) -> Operand:
        """A vector of dy, features of neighbouring channels."""
        f, spec, (lanes, mask) = self.f, self.spec, width
        place = f.mul(feature, spec.y_steps()[4])
        pixel: Operand = f.index(0)
        for index, step, size in zip(
            at, spec.y_steps(), (1, *(dim.y for dim in spec.space)), strict=False
        ):
            place = f.add(place, f.mul(index, step))
            pixel = f.add(f.mul(pixel, size), index)
        spread = spec.features // spec.channels * spec.y_steps()[4]
        view = View(f.offset(f.parameter("dy"), place, spec.dtype), spec.dtype, (spread,))
        value = f.convert(
            f.load(view, [0], lanes, mask=mask), spec.dtype, compute_dtype(spec.dtype)
        )
        if self.prologue is None:
            return value
        return self.prologue(f, pixel, feature, value, mask)


def _reach(part: Phase, tap: int) -> tuple[int, int]:
    """The first and the last place that a tap reads."""
    low = part.shift + tap * part.dilation
    return low, low + max(part.count - 1, 0) * part.stride


__all__ = ["emit_depthwise_weights", "zero_elements"]
