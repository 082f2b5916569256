"""Depthwise convolution: every input channel has filters of its own, vectors run over channels.

For a vector of channels the weights of all taps are few and stay in L1; a tile of neighbouring
output pixels keeps its sums in registers and reads each tap's input in place. With several filters
per channel (features = channels x multiplier) each is a pass of its own over the input, its weights
packed as [filter][tap][channel], its results stored a multiplier apart.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from kgraph.codegen.llvm.conv_input import Input, locate
from kgraph.codegen.llvm.conv_spec import ConvSpec, Phases, each_tap, extent
from kgraph.codegen.llvm.emit import Function, Module, Operand, View, item_bytes
from kgraph.codegen.llvm.gemm_tile import compute_dtype, multiply_add, zeros

PIXELS = 6


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
                f.loop(0, spec.channels, name="channel") as c,
            ):
                feature = f.add(f.mul(c, multiplier), j)
                at = f.offset(w, f.add(tap.place, f.mul(feature, steps[4])), spec.dtype)
                value = f.convert(f.load_at(at, spec.dtype), spec.dtype, compute)
                row = f.add(f.mul(j, spec.packed_taps()), f.add(tap.number, before))
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
            line = f.offset(self.source.origin, moved, compute)
            multiplier = spec.features // spec.channels
            with f.loop(0, multiplier, name="filter") as j:
                at = f.add(f.mul(j, spec.packed_taps()), self.before)
                weights = f.offset(f.parameter("w"), f.mul(at, spec.channels), compute)
                lanes = f.target.lanes(item_bytes(compute))

                def body(channel: Operand, mask: Operand | None) -> None:
                    feature = f.add(f.mul(channel, multiplier), j)
                    a, b = f.offset(line, channel, compute), f.offset(weights, channel, compute)
                    self._pixels(a, b, y, (pixel, feature), (lanes, mask))

                f.strips(spec.channels, lanes, body, "channel")

    def _pixels(
        self,
        line: Operand,
        weights: Operand,
        y: Operand,
        at: tuple[Operand, Operand],
        width: tuple[int, Operand | None],
    ) -> None:
        """One row of output for one vector of channels."""
        f, phase = self.f, self.phase[2]
        whole = phase.count - phase.count % PIXELS
        with f.loop(0, whole, PIXELS, name="pixel") as first:
            self._tile(line, weights, y, at, width, first, PIXELS)
        with f.loop(whole, phase.count, name="pixel") as first:
            self._tile(line, weights, y, at, width, first, 1)

    def _tile(
        self,
        line: Operand,
        weights: Operand,
        y: Operand,
        at: tuple[Operand, Operand],
        width: tuple[int, Operand | None],
        first: Operand,
        pixels: int,
    ) -> None:
        f, spec, source = self.f, self.spec, self.source
        compute, steps, (lanes, mask) = compute_dtype(spec.dtype), spec.y_steps(), width
        column = self.phase[2]
        a = f.offset(line, f.mul(first, column.stride * source.column), compute)
        totals = list(zeros(compute, pixels, lanes))
        for number, place in enumerate(self._tap_offsets()):
            tap = f.offset(weights, number * spec.channels, compute)
            weight = f.load_at(tap, compute, lanes, mask)
            for m in range(pixels):
                offset = place + m * column.stride * source.column
                value = f.load_at(f.offset(a, offset, compute), compute, lanes, mask)
                totals[m] = multiply_add(f, value, weight, totals[m])
        result = spec.result or spec.dtype
        (pixel, feature), period = at, spec.space[2].period
        strides = (steps[3], spec.features // spec.channels * steps[4])
        view = View(f.offset(y, f.mul(feature, steps[4]), result), result, strides)
        for m, total in enumerate(totals):
            moved = f.mul(f.add(first, m), period)
            stored: Operand | None
            if spec.epilogue is None:
                stored = f.convert(total, compute, result)
            else:
                stored = spec.epilogue(f, f.add(pixel, moved), feature, total, mask)
            if stored is not None:
                f.store(view, [moved, 0], stored, mask=mask)

    def _tap_offsets(self) -> list[int]:
        """Displacements of the phase's taps in the input."""
        extents = [extent(dim) for dim in self.spec.space]
        steps = (self.source.plane, self.source.row, self.source.column)
        result = [0]
        for part, reads, step in zip(self.phase, extents, steps, strict=True):
            places = [(part.shift - reads.low + j * part.dilation) * step for j in range(part.taps)]
            result = [before + place for before in result for place in places]
        return result
