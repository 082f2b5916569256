"""The weight gradient of a depthwise convolution: vectors over channels, a sum for each tap.

For a vector of channels and up to `TAPS` taps the sums stay in registers while all pixels of the
images pass by; they are added to dw in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kgraph.codegen.llvm.conv_input import Input, locate
from kgraph.codegen.llvm.conv_spec import ConvSpec, Phases, extent
from kgraph.codegen.llvm.emit import Function, Operand, View, item_bytes
from kgraph.codegen.llvm.gemm_tile import compute_dtype, multiply_add, zeros

TAPS = 9

PrologueDy = Callable[[Function, Operand, Operand, Operand, "Operand | None"], Operand]


def emit_depthwise_weights(f: Function, spec: ConvSpec, prologue: PrologueDy | None) -> None:
    """The body of the function of `WeightsSpec.parameters()`."""
    planes, rows, _ = (extent(dim) for dim in spec.space)
    first = f.mul(f.parameter("lo"), planes.units)
    last = f.mul(f.parameter("hi"), planes.units)
    with (
        f.loop(first, last, name="sheet") as sheet,
        f.loop(0, rows.units, spec.block(f.target), name="block") as row,
    ):
        end = f.smin(f.add(row, spec.block(f.target)), rows.units)
        at = (f.sdiv(sheet, planes.units), f.srem(sheet, planes.units))
        source = locate(f, spec, at, row, f.sub(end, row))
        for phase in spec.phases():
            _Sums(f, spec, prologue, phase, source).emit(at, (row, end))


@dataclass(frozen=True, eq=False)
class _Sums:
    """The taps of one phase over one block."""

    f: Function
    spec: ConvSpec
    prologue: PrologueDy | None
    phase: Phases
    source: Input

    def emit(self, at: tuple[Operand, Operand], rows: tuple[Operand, Operand]) -> None:
        """Vectors of channels, filters of a channel, groups of taps."""
        f, spec = self.f, self.spec
        multiplier = spec.features // spec.channels
        lanes = f.target.lanes(item_bytes(compute_dtype(spec.dtype)))
        taps = self._taps()

        def body(channel: Operand, mask: Operand | None) -> None:
            with f.loop(0, multiplier, name="filter") as j:
                feature = f.add(f.mul(channel, multiplier), j)
                for start in range(0, len(taps), TAPS):
                    some = taps[start : start + TAPS]
                    self._group(some, at, rows, (channel, feature), (lanes, mask))

        with f.when(f.compare("LT", at[1], self.phase[0].count)):
            f.strips(spec.channels, lanes, body, "channel")

    def _taps(self) -> list[tuple[int, int]]:
        """(displacement in the input, place in dw) of every tap of the phase."""
        source, steps = self.source, self.spec.w_steps()
        result = [(0, 0)]
        distances = (source.plane, source.row, source.column)
        for part, dim, distance, step in zip(
            self.phase, self.spec.space, distances, steps[:3], strict=True
        ):
            low = extent(dim).low
            places = []
            for j in range(part.taps):
                tap = part.tap + j * part.tap_step
                tap = dim.taps - 1 - tap if dim.reverse else tap
                places.append(((part.shift - low + j * part.dilation) * distance, tap * step))
            result = [(a + c, b + d) for a, b in result for c, d in places]
        return result

    def _group(
        self,
        taps: list[tuple[int, int]],
        at: tuple[Operand, Operand],
        rows: tuple[Operand, Operand],
        place: tuple[Operand, Operand],
        width: tuple[int, Operand | None],
    ) -> None:
        f, spec, source = self.f, self.spec, self.source
        (image, plane), (first, end), (channel, feature), (lanes, mask) = at, rows, place, width
        compute, dims = compute_dtype(spec.dtype), spec.space
        depth, height, column = self.phase
        step = spec.features // spec.channels
        y_plane = f.add(f.mul(plane, dims[0].period), depth.offset)
        start = zeros(compute, len(taps), lanes)
        stop = f.smin(end, height.count)
        with f.carried_loop(first, stop, start, name="row") as outer:
            y_row = f.add(f.mul(outer.index, dims[1].period), height.offset)
            line = f.mul(f.sub(outer.index, first), height.stride * source.row)
            with f.carried_loop(0, column.count, outer.values, name="pixel") as loop:
                y_column = f.add(f.mul(loop.index, dims[2].period), column.offset)
                dy = self._dy((image, y_plane, y_row, y_column), feature, width)
                moved = f.add(line, f.mul(loop.index, column.stride * source.column))
                x = f.offset(source.origin, f.add(moved, channel), compute)
                values = [
                    multiply_add(
                        f, f.load_at(f.offset(x, shift, compute), compute, lanes, mask), dy, total
                    )
                    for (shift, _), total in zip(taps, loop.values, strict=True)
                ]
                loop.next(*values)
            outer.next(*loop.results)
        for (_, tap), total in zip(taps, outer.results, strict=True):
            spread = step * spec.w_steps()[4]
            dw = f.offset(f.parameter("dw"), f.add(f.mul(feature, spec.w_steps()[4]), tap), compute)
            view = View(dw, compute, (spread,))
            before = f.load(view, [0], lanes, mask=mask)
            f.store(view, [0], f.add(before, total), mask=mask)

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
