"""Depthwise convolution: every input channel has filters of its own, vectors run over channels.

So do those of convolutions of small groups, several of which lie in a vector side by side: there a
feature sums over the channels of its group, which come to its lane one after the other (weights are
packed as [tap][turn][feature]).

A tile is a few neighbouring output pixels of one row. Per tap row it holds that row's weights and
its sums in registers, and loads each input vector once, for all taps that meet it: the multiply-add
units are the bound, not the loads. The input is read in place; rows of taps outside of the image
are left out of the loop over them, columns outside of it are left out of the tiles at the edges,
which are written for their place.

    planes of images, rows
    tiles of pixels      so that memory is read in order, as far as it can be
    vectors of channels

With several filters per channel (features = channels x multiplier) each is a pass of its own over
the input, its weights packed as [filter][tap][channel], its results stored a multiplier apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from kgraph.codegen.llvm.conv_input import Input, locate
from kgraph.codegen.llvm.conv_spec import (
    ConvSpec,
    Dim,
    Phase,
    Phases,
    each_tap,
    extent,
    tile_heights,
)
from kgraph.codegen.llvm.emit import Function, Module, Operand, View, item_bytes
from kgraph.codegen.llvm.gemm_tile import compute_dtype, multiply_add, zeros
from kgraph.codegen.llvm.target import Target

PIXELS = 8


def emit_pack_depthwise(f: Function, spec: ConvSpec) -> None:
    """The body of the packing function: the one unit is everything."""
    compute, steps = compute_dtype(spec.dtype), spec.w_steps()
    multiplier = spec.features // spec.channels
    w, packed = f.parameter("w"), f.parameter("packed")
    before = 0
    with f.when(f.compare("LT", f.parameter("lo"), f.parameter("hi"))):
        for phase in spec.phases():
            with (
                each_tap(f, spec, phase) as tap,
                f.loop(0, multiplier, name="filter") as j,
                f.loop(0, spec.within, name="of_group") as k,
                f.loop(0, spec.channels, name="channel") as c,
            ):
                feature = f.add(f.mul(c, multiplier), j)
                of_group = f.xor(f.srem(c, spec.within), k) if exchanges(f.target, spec) else k
                place = f.add(f.mul(of_group, steps[3]), f.mul(feature, steps[4]))
                at = f.offset(w, f.add(tap.place, place), spec.dtype)
                value = f.convert(f.load_at(at, spec.dtype), spec.dtype, compute)
                row = f.add(f.mul(j, spec.packed_taps()), f.add(tap.number, before))
                row = f.add(f.mul(row, spec.within), k)
                to = f.offset(packed, f.add(f.mul(row, spec.channels), c), compute)
                f.store_at(to, compute, value)
            before += prod(part.taps for part in phase)


def emit_depthwise(module: Module, name: str, spec: ConvSpec) -> None:
    """Defines the function of `spec.parameters()`."""
    with module.function(name, spec.parameters()) as f:
        planes, rows, _ = (extent(dim) for dim in spec.space)
        lo, hi = f.parameter("lo"), f.parameter("hi")
        last = f.sdiv(f.add(hi, rows.units - 1), rows.units)
        with f.loop(f.sdiv(lo, rows.units), last, name="sheet") as sheet:
            start = f.mul(sheet, rows.units)
            first = f.smax(f.sub(lo, start), 0)
            stop = f.smin(f.sub(hi, start), rows.units)
            image, plane = f.sdiv(sheet, planes.units), f.srem(sheet, planes.units)
            with f.loop(first, stop, spec.block(f.target), name="block") as row:
                end = f.smin(f.add(row, spec.block(f.target)), stop)
                source = locate(f, spec, (image, plane), row, f.sub(end, row))
                before = 0
                for phase in spec.phases():
                    _Rows(f, spec, phase, source, before).emit((image, plane), (row, end))
                    before += prod(part.taps for part in phase)


@dataclass(frozen=True)
class Columns:
    """A run of tiles of one row: `count` of them from output `first` on, each `pixels` wide.

    At an `edge` some taps are outside of the image.
    """

    first: int
    pixels: int
    count: int
    edge: bool


def columns(phase: Phase, dim: Dim, limit: int, inside: bool) -> list[Columns]:
    """The tiles of a row; unless all is inside, those with taps out of the image stand alone."""
    found: list[Columns] = []
    at = 0
    for pixels, count in tile_heights(phase.count, limit):
        for _ in range(count):
            low = at * phase.stride + phase.shift
            high = (at + pixels - 1) * phase.stride + (phase.taps - 1) * phase.dilation
            edge = not inside and (low < 0 or high + phase.shift >= dim.x)
            before = found[-1] if found else None
            if before and not edge and not before.edge and before.pixels == pixels:
                found[-1] = Columns(before.first, pixels, before.count + 1, False)
            else:
                found.append(Columns(at, pixels, 1, edge))
            at += pixels
    return found


def taps_inside(f: Function, phase: Phase, dim: Dim, unit: Operand) -> tuple[Operand, Operand]:
    """The range of taps that are in the image for an output of the phase."""
    place = f.add(f.mul(unit, phase.stride), phase.shift)
    first, stop = f.index(0), f.index(phase.taps)
    if phase.shift < 0:
        first = f.smax(f.sdiv(f.sub(phase.dilation - 1, place), phase.dilation), 0)
    if (phase.count - 1) * phase.stride + phase.shift + (phase.taps - 1) * phase.dilation >= dim.x:
        left = f.smax(f.sub(dim.x, place), 0)
        stop = f.smin(f.sdiv(f.add(left, phase.dilation - 1), phase.dilation), stop)
    return first, stop


def lanes_of(target: Target, spec: ConvSpec) -> int:
    """The lanes of vectors over channels: whole groups."""
    return max(target.lanes(item_bytes(compute_dtype(spec.dtype))), spec.within)


def spread(f: Function, spec: ConvSpec, value: Operand, k: int) -> Operand:
    """Channel k of every group in all lanes of its group."""
    if spec.within == 1:
        return value
    return f.shuffle(value, [lane // spec.within * spec.within + k for lane in range(value.lanes)])


def exchanges(target: Target, spec: ConvSpec) -> bool:
    """Whether lane i meets channel i xor k of its group in turn k, not channel k.

    Where a vector has several groups such an exchange of lanes is one instruction, a spread two;
    the channels of a single group come straight from memory.
    """
    return lanes_of(target, spec) > spec.within


def _in_turn(f: Function, spec: ConvSpec, value: Operand, k: int) -> Operand:
    """The channels that the lanes meet in turn k."""
    if not exchanges(f.target, spec):
        return spread(f, spec, value, k)
    return f.shuffle(value, [lane ^ k for lane in range(value.lanes)]) if k else value


def most_pixels(target: Target, taps: int) -> int:
    """How many sums a tile may hold beside the weights of a tap row and a vector of input."""
    return max(2, min(PIXELS, target.vector_registers - min(taps, 8) - 3))


@dataclass(frozen=True, eq=False)
class _Rows:
    """The rows of one phase in a block."""

    f: Function
    spec: ConvSpec
    phase: Phases
    source: Input
    before: int  # taps of earlier phases

    def emit(self, sheet: tuple[Operand, Operand], rows: tuple[Operand, Operand]) -> None:
        f, spec = self.f, self.spec
        (image, plane), (first, end) = sheet, rows
        depth, height, width = self.phase
        compute, steps, dims = compute_dtype(spec.dtype), spec.y_steps(), spec.space
        limit = most_pixels(f.target, width.taps)
        with (
            f.when(f.compare("LT", plane, depth.count)),
            f.loop(first, f.smin(end, height.count), name="row") as row,
        ):
            y_plane = f.add(f.mul(plane, dims[0].period), depth.offset)
            y_row = f.add(f.mul(row, dims[1].period), height.offset)
            pixel = f.add(f.mul(f.add(f.mul(image, dims[0].y), y_plane), dims[1].y), y_row)
            pixel = f.add(f.mul(pixel, dims[2].y), width.offset)
            place = f.add(f.mul(image, steps[0]), f.mul(y_plane, steps[1]))
            place = f.add(f.add(place, f.mul(y_row, steps[2])), width.offset * steps[3])
            y = f.offset(f.parameter("y"), place, spec.result or spec.dtype)
            moved = f.mul(f.sub(row, first), height.stride * self.source.row)
            line = f.offset(self.source.origin, f.add(moved, self._first_tap()), compute)
            taps = (self._taps(depth, dims[0], plane), self._taps(height, dims[1], row))
            multiplier = spec.features // spec.channels
            with f.loop(0, multiplier, name="filter") as j:
                at = f.add(f.mul(j, spec.packed_taps()), self.before)
                at = f.mul(at, spec.within * spec.channels)
                weights = f.offset(f.parameter("w"), at, compute)
                for run in columns(width, dims[2], limit, spec.copies()):
                    last = run.first + run.count * run.pixels
                    with f.loop(run.first, last, run.pixels, name="pixel") as start:
                        start = f.index(run.first) if run.count == 1 else start
                        _Tile(self, run, start, taps).emit(line, weights, y, (pixel, j))

    def _first_tap(self) -> int:
        """Where the phase's first tap is, from the first element that any phase reads."""
        steps = (self.source.plane, self.source.row, self.source.column)
        lows = [extent(dim).low for dim in self.spec.space]
        return sum(
            (part.shift - low) * step
            for part, low, step in zip(self.phase, lows, steps, strict=True)
            if part.taps
        )

    def _taps(self, phase: Phase, dim: Dim, unit: Operand) -> tuple[Operand, Operand]:
        if self.spec.copies():
            return self.f.index(0), self.f.index(phase.taps)
        return taps_inside(self.f, phase, dim, unit)


@dataclass(frozen=True, eq=False)
class _Tile:
    """Neighbouring pixels of a row, from `start` on, with the taps of planes and rows."""

    rows: _Rows
    run: Columns
    start: Operand
    taps: tuple[tuple[Operand, Operand], tuple[Operand, Operand]]

    def emit(self, a: Operand, b: Operand, y: Operand, at: tuple[Operand, Operand]) -> None:
        """All channels; `at` has the row's first pixel and the number of the filter."""
        f, spec = self.rows.f, self.rows.spec
        compute, lanes = compute_dtype(spec.dtype), lanes_of(f.target, spec)
        pixel, number = at

        def body(channel: Operand, mask: Operand | None) -> None:
            feature = f.add(f.mul(channel, spec.features // spec.channels), number)
            line, weights = f.offset(a, channel, compute), f.offset(b, channel, compute)
            self._approach(line)
            self._store(y, (pixel, feature), self._sums(line, weights, (lanes, mask)), mask)

        f.strips(spec.channels, lanes, body, "channel")

    def _approach(self, a: Operand) -> None:
        """Asks for what the same tile of the next row reads first: it comes from far away.

        With strides that would be more lines than there is to compute meanwhile.
        """
        rows, f, spec = self.rows, self.rows.f, self.rows.spec
        _, height, column = rows.phase
        if spec.copies() or height.stride * column.stride > 1:
            return
        compute, source = compute_dtype(spec.dtype), rows.source
        last = ((height.taps - 1) * height.dilation + 1) * source.row
        a = f.offset(a, f.add(f.mul(self.start, source.column), last), compute)
        for m in range(self.run.pixels):
            f.prefetch(f.offset(a, m * source.column, compute), 2)

    def _sums(
        self, a: Operand, b: Operand, width: tuple[int, Operand | None]
    ) -> tuple[Operand, ...]:
        """The sums of a vector of channels; a and b at the first tap of the row's first pixel."""
        rows, f, spec = self.rows, self.rows.f, self.rows.spec
        compute = compute_dtype(spec.dtype)
        depth, height, column = rows.phase
        totals = zeros(compute, self.run.pixels, width[0])
        if 0 in (depth.taps, height.taps, column.taps):
            return totals
        source = rows.source
        a = f.offset(a, f.mul(self.start, column.stride * source.column), compute)
        planes = self.taps[0]
        if depth.taps == 1 and planes[0].constant is not None:
            return self._plane(a, b, totals, width)
        with f.carried_loop(*planes, totals, name="plane") as loop:
            moved = f.mul(loop.index, depth.dilation * source.plane)
            size = spec.within * spec.channels
            tap = f.mul(loop.index, height.taps * column.taps * size)
            plane = f.offset(a, moved, compute)
            loop.next(*self._plane(plane, f.offset(b, tap, compute), loop.values, width))
        return loop.results

    def _plane(
        self, a: Operand, b: Operand, totals: tuple[Operand, ...],
        width: tuple[int, Operand | None],
    ) -> tuple[Operand, ...]:  # fmt: skip
        """Adds the products of the tap rows of one plane."""
        rows, f, spec = self.rows, self.rows.f, self.rows.spec
        compute = compute_dtype(spec.dtype)
        _, height, column = rows.phase
        with f.carried_loop(*self.taps[1], totals, name="tap") as loop:
            moved = f.mul(loop.index, height.dilation * rows.source.row)
            tap = f.mul(loop.index, column.taps * spec.within * spec.channels)
            line = f.offset(a, moved, compute)
            loop.next(*self._row(line, f.offset(b, tap, compute), loop.values, width))
        return loop.results

    def _row(
        self, a: Operand, b: Operand, totals: tuple[Operand, ...],
        width: tuple[int, Operand | None],
    ) -> tuple[Operand, ...]:  # fmt: skip
        """Adds the products of one tap row: each input vector meets the taps that reach it."""
        rows, f, spec = self.rows, self.rows.f, self.rows.spec
        compute, column, (lanes, mask) = compute_dtype(spec.dtype), rows.phase[2], width
        found = list(totals)
        for k in range(spec.within):
            places = [(t * spec.within + k) * spec.channels for t in range(column.taps)]
            weights = [
                f.load_at(f.offset(b, place, compute), compute, lanes, mask) for place in places
            ]
            for place, meets in meeting(self.run, column, spec.space[2]):
                x = f.offset(a, place * rows.source.column, compute)
                value = _in_turn(f, spec, f.load_at(x, compute, lanes, mask), k)
                for m, t in meets:
                    found[m] = multiply_add(f, value, weights[t], found[m])
        return tuple(found)

    def _store(
        self, y: Operand, at: tuple[Operand, Operand], sums: tuple[Operand, ...],
        mask: Operand | None,
    ) -> None:  # fmt: skip
        """The sums, through the epilogue."""
        f, spec = self.rows.f, self.rows.spec
        compute, steps, result = (
            compute_dtype(spec.dtype),
            spec.y_steps(),
            spec.result or spec.dtype,
        )
        (pixel, feature), period = at, spec.space[2].period
        strides = (steps[3], spec.features // spec.channels * steps[4])
        view = View(f.offset(y, f.mul(feature, steps[4]), result), result, strides)
        for m, total in enumerate(sums):
            moved = f.mul(f.add(self.start, m), period)
            stored: Operand | None
            if spec.epilogue is None:
                stored = f.convert(total, compute, result)
            else:
                stored = spec.epilogue(f, f.add(pixel, moved), feature, total, mask)
            if stored is not None:
                f.store(view, [moved, 0], stored, mask=mask)


def meeting(run: Columns, phase: Phase, dim: Dim) -> list[tuple[int, list[tuple[int, int]]]]:
    """The input columns of a tile, from that of its first pixel's first tap on, in order.

    Each with the pixels and taps that meet there; at an edge those outside of the image are gone.
    """
    found: dict[int, list[tuple[int, int]]] = {}
    for m in range(run.pixels):
        for t in range(phase.taps):
            place = m * phase.stride + t * phase.dilation
            column = run.first * phase.stride + phase.shift + place
            if not run.edge or 0 <= column < dim.x:
                found.setdefault(place, []).append((m, t))
    return sorted(found.items())


__all__ = [
    "Columns", "columns", "emit_depthwise", "emit_pack_depthwise", "lanes_of", "meeting", "spread",
]  # fmt: skip
