"""Direct convolution, tiled for registers, without im2col.

In a row of NHWC input the channels of neighbouring taps lie side by side, so that a tap row is one
stretch of `taps x channels` elements, and the register tile of GEMM runs over it in place: its rows
are neighbouring output pixels, its columns output features, k the stretch, and an outer loop goes
through the tap rows.

    planes of images, blocks of rows   what they read stays in half of L2; with padding (or another
                                       dtype, layout or a prologue) it is copied there, with zeros;
                                       small images go several at a time past many weights
    panels of features                 packed weights [plane, row, column of taps][channel][panel]
    phases                             see below
    rows, tiles of pixels              two tile heights that differ by one cover any width

A dilated input (the input gradient of a strided convolution, a transposed convolution) is not
filled with zeros: outputs fall into phases by their position modulo the dilation, each of which
meets some of the taps only and is a convolution of its own (conv_spec.py).

The range `lo, hi` counts rows of output over all images; ranges are independent of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from kgraph.codegen.llvm.conv_depthwise import emit_depthwise, emit_pack_depthwise
from kgraph.codegen.llvm.conv_few import emit_pack_few, few_lanes, few_sums
from kgraph.codegen.llvm.conv_input import Input, buffer_of, locate, over_taps
from kgraph.codegen.llvm.conv_spec import ConvSpec, Dim, Phases, each_tap, extent, tile_heights
from kgraph.codegen.llvm.conv_winograd import emit_pack_winograd, emit_winograd
from kgraph.codegen.llvm.conv_winograd_spec import WinogradSpec
from kgraph.codegen.llvm.emit import I64, PTR, Function, Module, Operand
from kgraph.codegen.llvm.gemm_pack import Source, pack
from kgraph.codegen.llvm.gemm_spec import GemmSpec
from kgraph.codegen.llvm.gemm_store import Store
from kgraph.codegen.llvm.gemm_tile import Shape, Streams, accumulate, compute_dtype, zeros

__all__ = ["ConvSpec", "Dim", "emit_conv", "emit_pack_weights"]


def emit_pack_weights(module: Module, name: str, spec: ConvSpec) -> str:
    """Defines `name(w, packed, lo, hi)`: panels lo .. hi of `spec.packed_bytes` for `emit_conv`."""
    with module.function(name, [("w", PTR), ("packed", PTR), ("lo", I64), ("hi", I64)]) as f:
        if isinstance(spec, WinogradSpec):
            emit_pack_winograd(f, spec)
            return name
        if spec.narrow:
            emit_pack_depthwise(f, spec)
            return name
        if spec.few(f.target):
            emit_pack_few(f, spec)
            return name
        width, compute = spec.shape(f.target).columns, compute_dtype(spec.dtype)
        each, channels = spec.features // spec.groups, spec.channels // spec.groups
        steps, per_group = spec.w_steps(), -(-each // width)
        with f.loop(f.parameter("lo"), f.parameter("hi"), name="panel") as panel:
            group, first = f.sdiv(panel, per_group), f.mul(f.srem(panel, per_group), width)
            at = f.mul(panel, spec.packed_taps() * channels * width)
            w = f.offset(f.parameter("w"), f.mul(group, each * steps[4]), spec.dtype)
            for phase in spec.phases():
                with each_tap(f, spec, phase) as tap:
                    origin = f.offset(w, tap.place, spec.dtype)
                    source = Source(origin, spec.dtype, compute, steps[4], steps[3], each)
                    to = f.add(at, f.mul(tap.number, channels * width))
                    to_tap = f.offset(f.parameter("packed"), to, compute)
                    pack(f, source, to_tap, first, width, 0, channels)
                at = f.add(at, prod(part.taps for part in phase) * channels * width)
    return name


def emit_conv(module: Module, name: str, spec: ConvSpec) -> str:
    """Defines the function `name` with `spec.parameters()`, no result; returns its name.

    Weights come from `emit_pack_weights`. The arrays need no alignment but that of their elements;
    y must not overlap x.
    """
    if isinstance(spec, WinogradSpec):
        emit_winograd(module, name, spec)
        return name
    if spec.narrow:
        emit_depthwise(module, name, spec)
        return name
    with module.function(name, spec.parameters()) as f:
        _Conv(module, f, spec).emit()
    return name


@dataclass(frozen=True, eq=False)
class _Conv:
    """One function being emitted."""

    module: Module
    f: Function
    spec: ConvSpec

    def emit(self) -> None:
        """Groups of planes, blocks of rows, panels."""
        f, spec = self.f, self.spec
        rows, group = extent(spec.space[1]), spec.sheets(f.target)
        lo, hi = f.parameter("lo"), f.parameter("hi")
        last = f.sdiv(f.add(hi, rows.units - 1), rows.units)
        with f.loop(f.sdiv(lo, rows.units), last, group, name="sheet") as sheet:
            if group > 1:
                self._group(sheet, f.smin(f.sub(last, sheet), group))
                return
            at, first, stop = self._sheet(sheet)
            with f.loop(first, stop, spec.block(f.target), name="block") as row:
                end = f.smin(f.add(row, spec.block(f.target)), stop)
                source = locate(f, spec, at, row, f.sub(end, row))
                with f.loop(0, spec.panels(f.target), name="panel") as panel:
                    self._panel(source, panel, at, (row, end))

    def _sheet(self, sheet: Operand) -> tuple[tuple[Operand, Operand], Operand, Operand]:
        """Image and plane of a sheet, and which of its rows are to be computed."""
        f, (planes, rows, _) = self.f, (extent(dim) for dim in self.spec.space)
        start = f.mul(sheet, rows.units)
        first = f.smax(f.sub(f.parameter("lo"), start), 0)
        stop = f.smin(f.sub(f.parameter("hi"), start), rows.units)
        return (f.sdiv(sheet, planes.units), f.srem(sheet, planes.units)), first, stop

    def _group(self, sheet: Operand, count: Operand) -> None:
        """Some whole sheets at a time against each panel."""
        f, spec = self.f, self.spec
        step = spec.sheet_elements(f.target)

        def source(number: Operand) -> Input:
            at, first, stop = self._sheet(f.add(sheet, number))
            return locate(f, spec, at, first, f.sub(stop, first), f.mul(number, step))

        if spec.copies():
            with f.loop(0, count, name="image") as number:
                source(number)
        with (
            f.loop(0, spec.panels(f.target), name="panel") as panel,
            f.loop(0, count, name="image") as number,
        ):
            at, first, stop = self._sheet(f.add(sheet, number))
            there = buffer_of(f, spec, f.mul(number, step)) if spec.copies() else source(number)
            self._panel(there, panel, at, (first, stop))

    def _panel(
        self,
        source: Input,
        panel: Operand,
        sheet: tuple[Operand, Operand],
        rows: tuple[Operand, Operand],
    ) -> None:
        """All pixels of a block against one panel of weights."""
        f, spec = self.f, self.spec
        width, compute = spec.panel_width(f.target), compute_dtype(spec.dtype)
        channels, each = spec.channels // spec.groups, spec.features // spec.groups
        per_group = -(-each // width)
        group, number = f.sdiv(panel, per_group), f.srem(panel, per_group)
        inside = f.mul(number, width)
        left = f.smin(f.sub(each, inside), width)
        column = f.add(f.mul(group, each), inside)
        size = channels * width
        weights = f.offset(f.parameter("w"), f.mul(panel, spec.packed_taps() * size), compute)
        x = f.offset(source.origin, f.mul(group, channels), compute)
        for number_of_phase, phase in enumerate(spec.phases()):
            tiles = _PhaseTiles(self, number_of_phase, phase, source)
            tiles.emit(x, weights, sheet, rows, (column, left))
            weights = f.offset(weights, prod(p.taps for p in phase) * size, compute)


@dataclass(frozen=True, eq=False)
class _PhaseTiles:
    """The tiles of one phase."""

    conv: _Conv
    number: int
    phase: Phases
    source: Input

    def emit(
        self,
        x: Operand,
        weights: Operand,
        sheet: tuple[Operand, Operand],
        rows: tuple[Operand, Operand],
        columns: tuple[Operand, Operand],
    ) -> None:
        """Loops over the phase's rows and tiles; the last dims of y may lack the last unit."""
        f, spec = self.conv.f, self.conv.spec
        depth, height, _ = self.phase
        planes, heights, widths = (extent(dim) for dim in spec.space)
        (image, plane), (first, end) = sheet, rows
        shift = (depth.shift - planes.low) * self.source.plane if depth.taps else 0
        shift += (height.shift - heights.low) * self.source.row if height.taps else 0
        width = self.phase[2]
        shift += (width.shift - widths.low) * self.source.column if width.taps else 0
        x = f.offset(x, shift, compute_dtype(spec.dtype))
        with f.when(f.compare("LT", plane, depth.count)):
            y_plane = f.add(f.mul(plane, spec.space[0].period), depth.offset)
            with f.loop(first, f.smin(end, height.count), name="row") as row:
                y_row = f.add(f.mul(row, spec.space[1].period), height.offset)
                offset = f.mul(f.sub(row, first), height.stride * self.source.row)
                line = f.offset(x, offset, compute_dtype(spec.dtype))
                self._tiles(line, weights, (image, y_plane, y_row), columns)

    def _tiles(
        self,
        line: Operand,
        weights: Operand,
        at: tuple[Operand, Operand, Operand],
        columns: tuple[Operand, Operand],
    ) -> None:
        """One row of output."""
        f, spec = self.conv.f, self.conv.spec
        width, dims, steps = self.phase[2], spec.space, spec.y_steps()
        image, plane, row = at
        pixel = f.add(f.mul(f.add(f.mul(image, dims[0].y), plane), dims[1].y), row)
        pixel = f.add(f.mul(pixel, dims[2].y), width.offset)
        place = f.add(f.mul(image, steps[0]), f.mul(plane, steps[1]))
        place = f.add(f.add(place, f.mul(row, steps[2])), width.offset * steps[3])
        y = f.offset(f.parameter("y"), place, spec.result or spec.dtype)
        start = 0
        for height, count in tile_heights(width.count, spec.pixels(f.target)):
            name = self._tile(height)
            with f.loop(start, start + height * count, height, name="pixel") as first:
                a = f.offset(
                    line, f.mul(first, width.stride * self.source.column), compute_dtype(spec.dtype)
                )
                moved = f.mul(first, dims[2].period)
                c = f.offset(y, f.mul(moved, steps[3]), spec.result or spec.dtype)
                extra = [f.parameter(item) for item, _ in spec.extra]
                f.call(name, [a, weights, c, f.add(pixel, moved), *columns, *extra])
            start += height * count

    def _tile(self, height: int) -> str:
        """`name(a, b, c, row, column, left, ...)`: one register tile over all taps."""
        spec, module = self.conv.spec, self.conv.module
        name = f"{self.conv.f.name}.phase{self.number}.tile{height}"
        if name in module:
            return name
        head = [("a", PTR), ("b", PTR), ("c", PTR), ("row", I64), ("column", I64), ("left", I64)]
        with module.function(name, [*head, *spec.extra], internal=True) as f:
            shape, steps, each = spec.shape(f.target), spec.y_steps(), spec.features // spec.groups
            if spec.few(f.target):
                shape = Shape(height, 1, few_lanes(each))
                sums: Sequence[Operand] = few_sums(f, spec, self.phase, self.source, height)
            else:
                sums = self._sums(f, height)
            gemm = GemmSpec(
                None, each, 1, spec.dtype, spec.result,
                c_strides=(steps[3] * spec.space[2].period, steps[4]),
                epilogue=spec.epilogue, inline_epilogue=spec.inline_epilogue, extra=spec.extra,
            )  # fmt: skip
            whole = each % shape.columns == 0
            Store(f, gemm, shape, height, True, whole, spec.space[2].period, local=True).write(sums)
        return name

    def _sums(self, f: Function, height: int) -> Sequence[Operand]:
        """The accumulators of a tile after all taps."""
        spec, source = self.conv.spec, self.source
        shape, compute = spec.shape(f.target), compute_dtype(spec.dtype)
        offsets = [m * self.phase[2].stride * source.column for m in range(height)]
        start = zeros(compute, height * shape.vectors, shape.lanes)

        def add(a: Operand, b: Operand, run: int, totals: Sequence[Operand]) -> Sequence[Operand]:
            masks = [None] * shape.vectors
            streams = Streams(compute, a, offsets, 1, b, shape.columns, shape.lanes, masks)
            return accumulate(f, streams, run, totals)

        return over_taps(f, spec, self.phase, source, shape.columns, start, add)
