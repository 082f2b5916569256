"""The weight gradient of a convolution: dw[tap, c, o] += sum over pixels of x[pixel + tap, c] dy.

A product with k = pixels: the rows of a register tile are neighbouring input channels (of all taps
of a tap row, where those lie side by side), read in place at a pixel's distance per step; its
columns are features, of which a panel of dy is packed, since every tap and channel reads it again.

    images and blocks of rows   x and the panel of dy stay in L2; small images go several at a time,
                                so that a tile has enough pixels to pay for its load and store of dw
    panels of features          dy packed as [image][row][pixel][panel]
    phases, taps, channels      as in conv.py; the tile's sums are added to dw

`lo, hi` counts images. dw has the compute dtype (float32 for 16-bit floats) and is added to: the
caller clears it, gives each thread its own, and adds those up. Or it counts panels, which are parts
of one dw.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from kgraph.codegen.llvm.conv_input import Input, buffer_of, locate
from kgraph.codegen.llvm.conv_spec import ConvSpec, Phases, Tap, each_tap, extent, tile_heights
from kgraph.codegen.llvm.conv_weights_depthwise import emit_depthwise_weights, zero_elements
from kgraph.codegen.llvm.emit import I64, PTR, Function, Index, Module, Operand, View, item_bytes
from kgraph.codegen.llvm.gemm_spec import GemmSpec
from kgraph.codegen.llvm.gemm_store import Store
from kgraph.codegen.llvm.gemm_tile import Streams, accumulate, compute_dtype, zeros
from kgraph.codegen.llvm.target import Target

# Pixels that a tile should sum before it goes to memory.
ENOUGH_PIXELS = 256


@dataclass(frozen=True, eq=False)
class WeightsSpec:
    """The gradient of `conv`, whose w_strides are those of dw.

    `prologue_dy(f, pixel, feature, value, mask)` is applied to dy as it is packed, such as the mask
    of a relu; `conv.prologue` to x. `conv.epilogue` is not used. With `by_panels` the range counts
    panels of features, and a parameter `images` says how many there are.
    """

    conv: ConvSpec
    prologue_dy: Callable[[Function, Operand, Operand, Operand, Operand | None], Operand] | None = (
        None
    )
    by_panels: bool = False

    def parameters(self) -> list[tuple[str, Any]]:
        """Of the function: x, dy, dw, scratch, lo, hi (and images), then `conv.extra`."""
        pointers = [(name, PTR) for name in ("x", "dy", "dw", "scratch")]
        images = [("images", I64)] if self.by_panels else []
        return [*pointers, ("lo", I64), ("hi", I64), *images, *self.conv.extra]

    def block(self, target: Target) -> int:
        """Units of rows in a block."""
        columns = self.conv.shape(target).columns * item_bytes(compute_dtype(self.conv.dtype))
        limit = max(1, target.l2 // 4 // max(1, self.conv.dims[-1].y * columns))
        return min(self.conv.block(target), limit)

    def sheets(self, target: Target) -> int:
        """Planes of images that are summed in one go."""
        planes, rows, _ = (extent(dim) for dim in self.conv.space)
        conv, size = self.conv, item_bytes(compute_dtype(self.conv.dtype))
        uneven = planes.units > 1 and (not conv.copies() or conv.space[0].period > 1)
        if self.block(target) < rows.units or uneven:
            return 1
        pixels = max(1, conv.space[1].y * conv.space[2].y)
        in_cache = target.l2 // 2 // max(1, self.conv.sheet_elements(target) * size)
        return max(1, min(-(-ENOUGH_PIXELS // pixels), in_cache))

    def input_elements(self, target: Target) -> int:
        """Elements of scratch before the panel of dy."""
        return self.conv.sheet_elements(target) * self.sheets(target) if self.conv.copies() else 0

    def scratch_bytes(self, target: Target) -> int:
        """Bytes of private memory that one call needs."""
        if self.conv.narrow:
            zeros = zero_elements(self.conv) * item_bytes(compute_dtype(self.conv.dtype)) + 128
            return self.conv.scratch_bytes(target) if self.conv.copies() else zeros
        rows, columns = self.conv.space[1], self.conv.space[2]
        panel = self.block(target) * rows.period * columns.y * self.conv.shape(target).columns
        elements = self.input_elements(target) + panel * self.sheets(target)
        return elements * item_bytes(compute_dtype(self.conv.dtype)) + 128


def emit_weights(module: Module, name: str, spec: WeightsSpec) -> str:
    """Defines the function `name` with `spec.parameters()`, no result; returns its name."""
    with module.function(name, spec.parameters()) as f:
        if spec.conv.narrow:
            emit_depthwise_weights(f, spec.conv, spec.prologue_dy)
        else:
            _Weights(module, f, spec).emit()
    return name


@dataclass(frozen=True, eq=False)
class _Block:
    """What is summed in one go: sheets (planes of images) and units of rows."""

    source: Input
    first_sheet: Operand
    sheets: Operand
    sheet_step: int  # elements between the inputs of two sheets
    row: Operand
    end: Operand


@dataclass(frozen=True, eq=False)
class _Weights:
    """One function being emitted."""

    module: Module
    f: Function
    spec: WeightsSpec

    def emit(self) -> None:
        """Blocks of sheets and rows, panels of features, phases."""
        f, spec, conv = self.f, self.spec, self.spec.conv
        planes, rows, _ = (extent(dim) for dim in conv.space)
        group, block = spec.sheets(f.target), spec.block(f.target)
        images = f.parameter("lo"), f.parameter("hi")
        panels = f.index(0), f.index(conv.panels(f.target))
        if spec.by_panels:
            images, panels = (f.index(0), f.parameter("images")), images
        first, last = (f.mul(image, planes.units) for image in images)
        scratch = f.align_up(f.parameter("scratch"), 64)
        panel_memory = f.offset(scratch, spec.input_elements(f.target), compute_dtype(conv.dtype))
        with (
            f.loop(first, last, group, name="sheet") as sheet,
            f.loop(0, rows.units, block, name="block") as row,
        ):
            sheets = f.smin(f.sub(last, sheet), group)
            end = f.smin(f.add(row, block), rows.units)
            source, step = self._inputs(sheet, sheets, row, end)
            what = _Block(source, sheet, sheets, step, row, end)
            with f.loop(*panels, name="panel") as panel:
                for number, phase in enumerate(conv.phases()):
                    _PhaseWeights(self, number, phase, what, panel_memory).emit(panel)

    def _inputs(
        self, sheet: Operand, sheets: Operand, row: Operand, end: Operand
    ) -> tuple[Input, int]:
        """The input of all sheets of a block, and the distance between two of them."""
        f, conv = self.f, self.spec.conv
        planes = extent(conv.space[0]).units
        count = f.sub(end, row)

        def one(number: Index) -> tuple[Operand, Operand]:
            at = f.add(sheet, number)
            return f.sdiv(at, planes), f.srem(at, planes)

        if not conv.copies():
            return locate(f, conv, one(0), row, count), conv.x_steps()[0]
        step = self.spec.conv.sheet_elements(f.target)
        with f.loop(0, sheets, name="image") as number:
            locate(f, conv, one(number), row, count, f.mul(number, step))
        return buffer_of(f, conv), step


@dataclass(frozen=True, eq=False)
class _PhaseWeights:
    """The taps of one phase against one panel of dy."""

    weights: _Weights
    number: int
    phase: Phases
    block: _Block
    memory: Operand

    def emit(self, panel: Operand) -> None:
        """Packs the panel, then goes through taps and channels."""
        f, conv = self.weights.f, self.weights.spec.conv
        shape, compute, steps = conv.shape(f.target), compute_dtype(conv.dtype), conv.w_steps()
        channels, each = conv.channels // conv.groups, conv.features // conv.groups
        per_group = -(-each // shape.columns)
        group, inside = f.sdiv(panel, per_group), f.srem(panel, per_group)
        inside = f.mul(inside, shape.columns)
        left = f.smin(f.sub(each, inside), shape.columns)
        column = f.add(f.mul(group, each), inside)
        if prod(part.taps for part in self.phase) == 0:
            return
        rows = self._rows()
        self._pack(column, left, rows)
        x = f.offset(self.block.source.origin, f.mul(group, channels), compute)
        joined = self._joined()
        run = channels * (self.phase[2].taps if joined else 1)
        with each_tap(f, conv, self.phase, dims=2 if joined else 3) as tap:
            a = f.offset(x, self._input_place(tap), compute)
            dw = f.offset(f.parameter("dw"), tap.place, compute)
            start = 0
            for height, count in tile_heights(run, conv.tile_rows(f.target)):
                name = self._tile(height)
                with f.loop(start, start + height * count, height, name="channel") as m:
                    c = f.offset(dw, f.mul(m, steps[3]), compute)
                    f.call(name, [f.offset(a, m, compute), self.memory, c, self.block.sheets,
                                  rows, 0, column, left])  # fmt: skip
                start += height * count

    def _rows(self) -> Operand:
        """How many rows of the phase are in the block; none if its plane is not of the phase."""
        f, block = self.weights.f, self.block
        rows = f.smax(f.sub(f.smin(block.end, self.phase[1].count), block.row), 0)
        planes = extent(self.weights.spec.conv.space[0])
        plane = f.srem(block.first_sheet, planes.units)
        return f.select(f.compare("LT", plane, self.phase[0].count), rows, 0)

    def _input_place(self, tap: Tap) -> Index:
        """Displacement of a tap in the input."""
        f, source = self.weights.f, self.block.source
        place: Index = 0
        distances = (source.plane, source.row, source.column)
        dims = self.weights.spec.conv.space
        for part, dim, distance, index in zip(
            self.phase, dims, distances, tap.indices, strict=True
        ):
            moved = f.add(f.mul(index, part.dilation), part.shift - extent(dim).low)
            place = f.add(place, f.mul(moved, distance))
        return place

    def _pack(self, column: Operand, left: Operand, rows: Operand) -> None:
        """The panel of dy, [sheet][row][pixel][columns]; zeros beyond its last feature."""
        f, spec, conv = self.weights.f, self.weights.spec, self.weights.spec.conv
        shape, compute, steps = conv.shape(f.target), compute_dtype(conv.dtype), conv.y_steps()
        depth, height, width = self.phase
        dims, planes = conv.space, extent(conv.space[0]).units
        with (
            f.loop(0, self.block.sheets, name="image") as s,
            f.loop(0, rows, name="row") as r,
            f.loop(0, width.count, name="pixel") as p,
        ):
            sheet = f.add(self.block.first_sheet, s)
            image, plane = f.sdiv(sheet, planes), f.srem(sheet, planes)
            at = [
                f.add(f.mul(index, dim.period), part.offset)
                for index, dim, part in zip(
                    (plane, f.add(self.block.row, r), p), dims, (depth, height, width), strict=True
                )
            ]
            place = f.mul(image, steps[0])
            pixel: Operand = image
            for index, step, dim in zip(at, steps[1:4], dims, strict=True):
                place = f.add(place, f.mul(index, step))
                pixel = f.add(f.mul(pixel, dim.y), index)
            source = View(f.offset(f.parameter("dy"), place, conv.dtype), conv.dtype, (steps[4],))
            line = f.add(f.mul(f.add(f.mul(s, rows), r), width.count), p)
            to = f.offset(self.memory, f.mul(line, shape.columns), compute)
            for start in range(0, shape.columns, shape.lanes):
                mask = None
                if (conv.features // conv.groups) % shape.columns:
                    mask = f.tail_mask(f.smax(f.sub(left, start), 0), shape.lanes)
                feature = f.add(column, start)
                value = f.load(source, [feature], shape.lanes, mask=mask)
                value = f.convert(value, conv.dtype, compute)
                if spec.prologue_dy is not None:
                    value = spec.prologue_dy(f, pixel, feature, value, mask)
                f.store_at(f.offset(to, start, compute), compute, value)

    def _tile(self, height: int) -> str:
        """`name(a, b, c, sheets, rows, row, column, left)`: one register tile over all pixels."""
        module, conv = self.weights.module, self.weights.spec.conv
        name = f"{self.weights.f.name}.phase{self.number}.tile{height}"
        if name in module:
            return name
        head = [("a", PTR), ("b", PTR), ("c", PTR), ("sheets", I64), ("rows", I64), ("row", I64),
                ("column", I64), ("left", I64)]  # fmt: skip
        with module.function(name, head, internal=True) as f:
            shape, compute, steps = conv.shape(f.target), compute_dtype(conv.dtype), conv.w_steps()
            each = conv.features // conv.groups
            gemm = GemmSpec(None, each, 1, compute, c_strides=(steps[3], steps[4]), accumulate=True)
            whole = each % shape.columns == 0
            Store(f, gemm, shape, height, True, whole, local=True).write(self._sums(f, height))
        return name

    def _sums(self, f: Function, height: int) -> tuple[Operand, ...]:
        """The accumulators of a tile after all sheets, rows and pixels."""
        conv, source = self.weights.spec.conv, self.block.source
        shape, compute = conv.shape(f.target), compute_dtype(conv.dtype)
        _, rows, width = self.phase
        line = width.count * shape.columns
        start = zeros(compute, height * shape.vectors, shape.lanes)
        count = f.parameter("rows")
        with f.carried_loop(0, f.parameter("sheets"), start, name="image") as images:
            a = f.offset(f.parameter("a"), f.mul(images.index, self.block.sheet_step), compute)
            b = f.offset(f.parameter("b"), f.mul(f.mul(images.index, count), line), compute)
            with f.carried_loop(0, count, images.values, name="row") as loop:
                moved = f.mul(loop.index, rows.stride * source.row)
                streams = Streams(
                    compute,
                    f.offset(a, moved, compute),
                    range(height),
                    width.stride * source.column,
                    f.offset(b, f.mul(loop.index, line), compute),
                    shape.columns,
                    shape.lanes,
                    [None] * shape.vectors,
                )
                loop.next(*accumulate(f, streams, width.count, loop.values))
            images.next(*loop.results)
        return images.results

    def _joined(self) -> bool:
        """Whether the channels of neighbouring taps lie side by side, in x and in dw."""
        conv, width = self.weights.spec.conv, self.phase[2]
        steps = conv.w_steps()
        return (
            conv.groups == 1
            and width.dilation == 1
            and width.tap_step == 1
            and not conv.space[2].reverse
            and self.block.source.column == conv.channels
            and steps[2] == conv.channels * steps[3]
        )
