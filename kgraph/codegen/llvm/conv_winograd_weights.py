"""The gradient of a convolution's weights by Winograd's algorithm.

    blocks of tiles    V = B^T x B and Z = A dy A^T of a block stay in L2
      rows of points
        channels, features   dU = V^T Z of a row of points, a register tile each, whose k is the
                       tiles; T += dU G while it is in L1, which is half of dU
    the end            dw += G^T T

The tiles are those of the forward convolution: outputs, and the inputs that they read; both become
zero beyond a border. `lo, hi` counts images, and their tiles are summed in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kgraph.codegen.llvm.conv_weights import WeightsSpec
from kgraph.codegen.llvm.conv_winograd_spec import MOST_TILES, WinogradSpec, winograd_of
from kgraph.codegen.llvm.emit import (
    I1,
    I64,
    PTR,
    Function,
    Module,
    Operand,
    View,
    item_bytes,
    register_type,
)
from kgraph.codegen.llvm.gemm_tile import Shape, Streams, accumulate, zeros
from kgraph.codegen.llvm.target import Target
from kgraph.codegen.llvm.winograd import multiply
from kgraph.codegen.llvm.winograd_tiles import SKEW, Reading, each_tile, emit_reading


@dataclass(frozen=True, eq=False)
class WinogradWeights(WeightsSpec):
    """A weight gradient with tiles of `winograd`, which is the forward convolution."""

    winograd: WinogradSpec = field(kw_only=True)

    def readings(self) -> tuple[Reading, Reading]:
        """How x becomes V, and dy becomes Z."""
        spec = self.winograd
        rows, columns = spec.cuts()
        _, _, row_step, column_step, _ = spec.y_steps()
        zs = Reading(
            (rows.dim.y, columns.dim.y), (row_step, column_step), spec.features,
            (rows.tile, columns.tile), (rows.tile, columns.tile), (0, 0),
            (rows.count, columns.count),
            (rows.matrices.output.T, columns.matrices.output.T), spec.dtype,
        )  # fmt: skip
        return spec.reading(), zs

    def widths(self, target: Target) -> tuple[int, int]:
        """Elements of a row of V, and of Z and T: whole register tiles."""
        vs, zs = self.readings()
        columns = self.winograd.shape(target).columns
        return vs.width(target), -(-zs.width(target) // columns) * columns

    def channels(self, target: Target) -> int:
        """Rows of a plane of T."""
        rows = self.winograd.shape(target).rows
        return -(-self.winograd.channels // rows) * rows

    @property
    def halves(self) -> int:
        """Planes of T: a row of points, times the taps of columns."""
        rows, columns = self.winograd.cuts()
        return rows.points * columns.dim.taps

    def rows(self, target: Target) -> int:
        """Tiles of a block: what a product sums before it is added to T."""
        each = self.winograd.points * sum(self.widths(target)) * item_bytes(self.winograd.dtype)
        return max(16, min(MOST_TILES, target.l2 * 5 // 8 // each) // 16 * 16)

    def planes(self, target: Target) -> tuple[int, int, int]:
        """Elements between the planes of V, Z and T."""
        rows, (v, z) = self.rows(target), self.widths(target)
        # A tile of channels may read a few beyond the last of V.
        return rows * v + SKEW, rows * z + SKEW, self.channels(target) * z + SKEW

    def scratch_bytes(self, target: Target) -> int:
        v, z, t = self.planes(target)
        elements = self.winograd.points * (v + z) + self.halves * t
        elements += max(reading.patch for reading in self.readings())
        return elements * item_bytes(self.winograd.dtype) + 128


def emit_winograd_weights(module: Module, name: str, spec: WinogradWeights) -> str:
    """Defines the function `name` with `spec.parameters()`, no result; returns its name."""
    with module.function(name, spec.parameters()) as f:
        _Weights(module, f, spec).emit()
    return name


@dataclass(frozen=True, eq=False)
class _Weights:
    """One function being emitted."""

    module: Module
    f: Function
    spec: WinogradWeights

    def emit(self) -> None:
        """Blocks of tiles, then the end."""
        f, spec, target = self.f, self.spec, self.f.target
        conv, dtype = spec.winograd, spec.winograd.dtype
        v = f.align_up(f.parameter("scratch"), 64)
        v_plane, z_plane, t_plane = spec.planes(target)
        z = f.offset(v, conv.points * v_plane, dtype)
        half = f.offset(z, conv.points * z_plane, dtype)
        patch = f.offset(half, spec.halves * t_plane, dtype)
        vs, zs = spec.readings()
        read_v = emit_reading(self.module, f"{f.name}.x", vs, v_plane)
        read_z = emit_reading(self.module, f"{f.name}.dy", zs, z_plane)
        lo = f.mul(f.parameter("lo"), conv.tiles)
        hi = f.mul(f.parameter("hi"), conv.tiles)
        products = self._products()
        v_width, z_width = spec.widths(target)
        with f.loop(lo, hi, spec.rows(target), name="block") as block:
            count = f.smin(f.sub(hi, block), spec.rows(target))
            with each_tile(f, block, count, conv.cuts()) as tile:
                x = f.offset(f.parameter("x"), f.mul(tile.image, conv.x_steps()[0]), dtype)
                dy = f.offset(f.parameter("dy"), f.mul(tile.image, conv.y_steps()[0]), dtype)
                to_v = f.offset(v, f.mul(tile.number, v_width), dtype)
                to_z = f.offset(z, f.mul(tile.number, z_width), dtype)
                f.call(read_v, [x, patch, tile.row, tile.column, to_v])
                f.call(read_z, [dy, patch, tile.row, tile.column, to_z])
            f.call(products, [v, z, half, count, f.compare("EQ", block, lo)])
        with f.when(f.compare("LT", lo, hi)):
            f.call(self._end(), [half, f.parameter("dw")])

    def _products(self) -> str:
        """`name(v, z, half, count, first)`: adds a block to T; the first one is stored."""
        name, spec = f"{self.f.name}.products", self.spec
        conv, dtype, shape = spec.winograd, spec.winograd.dtype, spec.winograd.shape(self.f.target)
        tile, turn = self._tile(shape), self._turn(shape)
        head = [("v", PTR), ("z", PTR), ("half", PTR), ("count", I64), ("first", I1)]
        with self.module.function(name, head, internal=True) as f:
            v, z, half, count, first = f.parameters
            v_plane, z_plane, t_plane = spec.planes(f.target)
            rows, columns = conv.cuts()
            width = spec.widths(f.target)[1]
            sums = f.alloca(register_type(dtype, shape.lanes), _vectors(shape) * columns.points)
            with (
                f.loop(0, rows.points, name="row") as row,
                f.loop(0, conv.features, shape.columns, name="column") as column,
                f.loop(0, conv.channels, shape.rows, name="channel") as channel,
            ):
                with f.loop(0, columns.points, name="point") as point:
                    number = f.add(f.mul(row, columns.points), point)
                    a = f.offset(v, f.add(f.mul(number, v_plane), channel), dtype)
                    b = f.offset(z, f.add(f.mul(number, z_plane), column), dtype)
                    to = f.mul(point, _vectors(shape) * shape.lanes)
                    f.call(tile, [a, b, f.offset(sums, to, dtype), count])
                at = f.add(f.mul(channel, width), column)
                at = f.add(f.mul(row, columns.dim.taps * t_plane), at)
                f.call(turn, [sums, f.offset(half, at, dtype), first])
        return name

    def _tile(self, shape: Shape) -> str:
        """`name(a, b, c, count)`: a register tile of dU, its vectors side by side."""
        name, spec, dtype = f"{self.f.name}.tile", self.spec, self.spec.winograd.dtype
        head = [("a", PTR), ("b", PTR), ("c", PTR), ("count", I64)]
        v_width, z_width = spec.widths(self.f.target)
        with self.module.function(name, head, internal=True) as f:
            a, b, c, count = f.parameters
            masks = [None] * shape.vectors
            streams = Streams(dtype, a, range(shape.rows), v_width, b, z_width, shape.lanes, masks)
            start = zeros(dtype, _vectors(shape), shape.lanes)
            for i, value in enumerate(accumulate(f, streams, count, start)):
                f.store_at(f.offset(c, i * shape.lanes, dtype), dtype, value)
        return name

    def _turn(self, shape: Shape) -> str:
        """`name(sums, half, first)`: T += dU G for a register tile of a row of points."""
        name, spec, dtype = f"{self.f.name}.turn", self.spec, self.spec.winograd.dtype
        head = [("sums", PTR), ("half", PTR), ("first", I1)]
        plane, width = spec.planes(self.f.target)[2], spec.widths(self.f.target)[1]
        columns = spec.winograd.cuts()[1]
        with self.module.function(name, head, internal=True, noalias=True) as f:
            sums, half, first = f.parameters
            with f.loop(0, shape.rows, name="channel") as channel:
                for j in range(shape.vectors):
                    at = f.mul(f.add(f.mul(channel, shape.vectors), j), shape.lanes)
                    source = f.offset(sums, at, dtype)
                    values = [
                        f.load_at(
                            f.offset(source, point * _vectors(shape) * shape.lanes, dtype),
                            dtype, shape.lanes,
                        )
                        for point in range(columns.points)
                    ]  # fmt: skip
                    to = f.offset(half, f.add(f.mul(channel, width), j * shape.lanes), dtype)
                    found = multiply(f, columns.matrices.filter.T, values)
                    places = [f.offset(to, tap * plane, dtype) for tap in range(len(found))]
                    choice = f.choose(first)
                    with choice.then():
                        choice.give(*found)
                    with choice.otherwise():
                        before = [f.load_at(place, dtype, shape.lanes) for place in places]
                        choice.give(*map(f.add, before, found))
                    for place, value in zip(places, choice.results, strict=True):
                        f.store_at(place, dtype, value)
        return name

    def _end(self) -> str:
        """`name(half, dw)`: dw += G^T T."""
        name, conv, dtype = f"{self.f.name}.end", self.spec.winograd, self.spec.winograd.dtype
        with self.module.function(name, [("half", PTR), ("dw", PTR)], internal=True) as f:
            half, dw = f.parameters
            plane, width = self.spec.planes(f.target)[2], self.spec.widths(f.target)[1]
            rows, columns = conv.cuts()
            steps, lanes = conv.w_steps(), conv.shape(f.target).lanes

            def body(feature: Operand, mask: Operand | None) -> None:
                source = f.offset(half, f.add(f.mul(channel, width), feature), dtype)
                line = f.offset(dw, f.mul(channel, steps[3]), dtype)
                for j in range(columns.dim.taps):
                    places = [(i * columns.dim.taps + j) * plane for i in range(rows.points)]
                    values = [f.load_at(f.offset(source, x, dtype), dtype, lanes) for x in places]
                    for i, value in enumerate(multiply(f, rows.matrices.filter.T, values)):
                        place = i * steps[1] + j * steps[2]
                        view = View(f.offset(line, place, dtype), dtype, (steps[4],))
                        before = f.load(view, [feature], lanes, mask=mask)
                        f.store(view, [feature], f.add(before, value), mask=mask)

            with f.loop(0, conv.channels, name="channel") as channel:
                f.strips(conv.features, lanes, body, "feature")
        return name


def _vectors(shape: Shape) -> int:
    """Of a register tile."""
    return shape.rows * shape.vectors


def winograd_weights_of(spec: WeightsSpec, tile: int) -> WinogradWeights:
    """The same gradient by Winograd's algorithm.

    Raises:
        ValueError: as `winograd_of` does.
    """
    return WinogradWeights(spec.conv, winograd=winograd_of(spec.conv, tile, False))
