"""Convolution by Winograd's algorithm: three taps per dim, stride 1, forward or as its adjoint.

    blocks of tiles    V of a block stays in L2
      tiles            V[point][tile][channel] = B^T d B           (winograd_tiles.py)
      panels           of features, whose M stays in L2; or all together, where V is too large
        points         M[point] = V[point] U[point], a matrix product; tiles of rows: the register
                       tile of gemm_tile.py
        tiles          y = A^T M A through the epilogue

U[panel][point][channel], or U[point][panel][channel], are the packed weights G g G^T. The adjoint
form computes the input gradient of a convolution without padding with the tiles of that
convolution, which cover its output exactly: V = A d A^T of the tiles of x, and B M B^T is added to
y, where the tiles of one image overlap. So a block has whole images, and the epilogue is a loop
over their pixels at the end.

The range `lo, hi` counts tiles of all images, or images in the adjoint form; each tile's sums are
the same whatever the range.
"""

from __future__ import annotations

from dataclasses import dataclass

from kgraph.codegen.llvm.conv_winograd_spec import WinogradSpec
from kgraph.codegen.llvm.emit import (
    I64,
    PTR,
    Function,
    Index,
    Module,
    Operand,
    View,
    item_bytes,
    memory_type,
    register_type,
)
from kgraph.codegen.llvm.gemm_tile import LINE, UNROLL, Streams, accumulate, zeros
from kgraph.codegen.llvm.winograd import multiply, transform
from kgraph.codegen.llvm.winograd_tiles import Cut, each_tile, emit_reading
from kgraph.passes.algorithm import LARGE

CHUNK = 32  # channels that large tiles sum at a time: their results are less exact than the sums


def emit_pack_winograd(f: Function, spec: WinogradSpec) -> None:
    """The body of the packing function: U of panels lo .. hi.

    In float64: all tiles meet the rounding errors of U, which no sum evens out. In loops, as each
    weight is met once: rows of taps to `turned`, then those to points.
    """
    shape, dtype, steps = spec.shape(f.target), spec.dtype, spec.w_steps()
    rows, columns = spec.cuts()
    by_rows, by_columns = rows.matrices.filter, columns.matrices.filter
    plane = spec.channels * shape.columns
    lanes, wide, points = shape.lanes, "float64", len(by_rows)
    turned = f.alloca(memory_type(wide), columns.dim.taps * points * lanes, name="turned")

    def place(side: Cut, number: Index, step: int) -> Operand:
        """Of a tap: w's are in the order in which the matrices want them, or in the opposite."""
        backwards = side.dim.reverse != spec.adjoint
        return f.mul(f.sub(side.dim.taps - 1, number) if backwards else number, step)

    with (
        f.loop(f.parameter("lo"), f.parameter("hi"), name="panel") as panel,
        f.loop(0, spec.channels, name="channel") as channel,
        f.loop(0, shape.columns, lanes, name="start") as start,
    ):
        feature = f.add(f.mul(panel, shape.columns), start)
        left = f.smax(f.sub(spec.features, feature), 0)
        mask = f.tail_mask(left, lanes) if spec.features % shape.columns else None
        w = f.offset(f.parameter("w"), f.mul(channel, steps[3]), dtype)
        with f.loop(0, columns.dim.taps, name="tap") as j:
            values = []
            for i in range(rows.dim.taps):
                at = f.add(place(rows, i, steps[1]), place(columns, j, steps[2]))
                view = View(f.offset(w, at, dtype), dtype, (steps[4],))
                loaded = f.load(view, [feature], lanes, mask=mask)
                values.append(f.convert(loaded, dtype, wide))
            to = f.offset(turned, f.mul(j, points * lanes), wide)
            for i, value in enumerate(multiply(f, by_rows, values)):
                f.store_at(f.offset(to, i * lanes, wide), wide, value)
        step = plane if spec.together(f.target) else spec.points * plane
        row = f.add(f.mul(panel, step), f.mul(channel, shape.columns))
        packed = f.offset(f.parameter("packed"), f.add(row, start), dtype)
        with f.loop(0, points, name="point") as point:
            source = f.offset(turned, f.mul(point, lanes), wide)
            values = [
                f.load_at(f.offset(source, j * points * lanes, wide), wide, lanes)
                for j in range(columns.dim.taps)
            ]
            apart = spec.group(f.target) * plane
            to = f.offset(packed, f.mul(point, len(by_columns) * apart), dtype)
            for number, value in enumerate(multiply(f, by_columns, values)):
                rounded = f.convert(value, wide, dtype)
                f.store_at(f.offset(to, number * apart, dtype), dtype, rounded)


def emit_winograd(module: Module, name: str, spec: WinogradSpec) -> None:
    """Defines the function of `spec.parameters()`."""
    with module.function(name, spec.parameters()) as f:
        _Winograd(module, f, spec).emit()


@dataclass(frozen=True, eq=False)
class _Winograd:
    """One function being emitted."""

    module: Module
    f: Function
    spec: WinogradSpec

    def emit(self) -> None:
        """Blocks of tiles, or of images."""
        f, spec, target = self.f, self.spec, self.f.target
        lo, hi = f.parameter("lo"), f.parameter("hi")
        panels: tuple[Index, Index] = (0, spec.panels(target))
        if spec.halves:
            half = (spec.panels(target) + 1) // 2
            panels = f.mul(lo, half), f.smin(f.mul(hi, half), spec.panels(target))
            lo, hi = f.index(0), f.index(spec.tiles)
        if not spec.adjoint:
            with f.loop(lo, hi, spec.rows(target), name="block") as block:
                self._block(block, f.smin(f.sub(hi, block), spec.rows(target)), panels)
            return
        with f.loop(lo, hi, spec.images(target), name="image") as image:
            images = f.smin(f.sub(hi, image), spec.images(target))
            self._clear(image, images)
            first, count = f.mul(image, spec.tiles), f.mul(images, spec.tiles)
            with f.loop(0, count, spec.rows(target), name="block") as block:
                left = f.smin(f.sub(count, block), spec.rows(target))
                self._block(f.add(first, block), left, panels)
            if spec.epilogue is not None:
                self._finish(image, images)

    def _block(self, first: Operand, count: Operand, panels: tuple[Index, Index]) -> None:
        """`count` tiles from `first` on, with a range of panels."""
        f, spec, target, dtype = self.f, self.spec, self.f.target, self.spec.dtype
        v_plane, m_plane = spec.planes(target)
        reading = spec.reading()
        v = f.align_up(f.parameter("scratch"), 64)
        m = f.offset(v, spec.points * v_plane, dtype)
        patch = f.offset(m, spec.points * m_plane, dtype)
        read = emit_reading(self.module, f"{f.name}.read", reading, v_plane)
        with each_tile(f, first, count, spec.cuts()) as tile:
            x = f.offset(f.parameter("x"), f.mul(tile.image, spec.x_steps()[0]), dtype)
            to = f.offset(v, f.mul(tile.number, reading.width(target)), dtype)
            f.call(read, [x, patch, tile.row, tile.column, to])
        self._clear_behind(v, count)
        products, write = self._products(), self._write()
        extra = [f.parameter(item) for item, _ in spec.extra]
        columns, group = spec.shape(target).columns, spec.group(target)
        with f.loop(*panels, group, name="panel") as panel:
            u = f.mul(panel, spec.points * spec.channels * columns)
            f.call(products, [v, f.offset(f.parameter("w"), u, dtype), m, count])
            feature = f.mul(panel, columns)
            with each_tile(f, first, count, spec.cuts()) as tile:
                source = f.offset(m, f.mul(tile.number, group * columns), dtype)
                place = [tile.image, tile.row, tile.column]
                f.call(write, [source, f.parameter("y"), *place, feature, *extra])

    def _clear_behind(self, v: Operand, count: Operand) -> None:
        """Zeros in the rows of V behind the last tile that products compute too: of what happens to
        lie there, denormal numbers would cost a hundred times as much.
        """
        f, spec, dtype = self.f, self.spec, self.spec.dtype
        plane, width = spec.planes(f.target)[0], spec.reading().width(f.target)
        high, low = spec.heights(f.target)
        rest = f.srem(count, high)
        behind = f.sub(f.select(f.compare("GT", rest, low), high, low), rest)
        with (
            f.when(f.compare("GT", rest, 0)),
            f.loop(0, spec.points, name="point") as point,
        ):
            to = f.offset(v, f.add(f.mul(point, plane), f.mul(count, width)), dtype)
            f.fill_bytes(to, 0, f.mul(behind, width * item_bytes(dtype)))

    def _products(self) -> str:
        """`name(v, u, m, count)`: the products of all points over `count` tiles, for a panel or
        all.
        """
        name, spec = f"{self.f.name}.products", self.spec
        shape = spec.shape(self.f.target)
        high, low = spec.heights(self.f.target)
        kernels = {height: self._tile(height) for height in (high, low)}
        head = [("v", PTR), ("u", PTR), ("m", PTR), ("count", I64)]
        with self.module.function(name, head, internal=True) as f:
            v, u, m, count = f.parameters
            dtype, target = spec.dtype, f.target
            v_plane, m_plane = spec.planes(target)
            v_width = spec.reading().width(target)
            size, group = spec.channels * shape.columns, spec.group(target)
            whole = f.sub(count, f.srem(count, high))
            rest = f.sub(count, whole)
            each = f.sdiv(size, count)
            with (
                f.loop(0, spec.points, name="point") as point,
                f.loop(0, group, name="panel") as panel,
            ):
                a = f.offset(v, f.mul(point, v_plane), dtype)
                b = f.offset(u, f.mul(f.add(f.mul(point, group), panel), size), dtype)
                c = f.add(f.mul(point, m_plane), f.mul(panel, shape.columns))
                c = f.offset(m, c, dtype)

                def rows(
                    first: Operand, height: int, a: Operand = a, b: Operand = b, c: Operand = c
                ) -> None:
                    source = f.offset(a, f.mul(first, v_width), dtype)
                    to = f.offset(c, f.mul(first, group * shape.columns), dtype)
                    # While rows pass by the weights of a point, each brings its part of the next's.
                    ahead = f.add(size, f.mul(first, each))
                    f.call(kernels[height], [source, b, to, f.offset(b, ahead, dtype)])

                with f.loop(0, whole, high, name="row") as row:
                    rows(row, high)
                # Rows behind the last tile are computed too: the planes have room for them.
                with f.when(f.compare("GT", rest, low)):
                    rows(whole, high)
                small = f.and_(f.compare("GT", rest, 0), f.compare("LE", rest, low))
                with f.when(small):
                    rows(whole, low)
        return name

    def _tile(self, height: int) -> str:
        """`name(a, b, c, ahead)`: one register tile, `height` rows of V against a panel of U."""
        name, spec = f"{self.f.name}.tile{height}", self.spec
        head = [("a", PTR), ("b", PTR), ("c", PTR), ("ahead", PTR)]
        with self.module.function(name, head, internal=True) as f:
            a, b, c, ahead = f.parameters
            dtype, shape = spec.dtype, spec.shape(f.target)
            rows = [i * spec.reading().width(f.target) for i in range(height)]
            masks = [None] * shape.vectors
            start = zeros(dtype, height * shape.vectors, shape.lanes)

            def part(first: Operand, count: int) -> tuple[Operand, ...]:
                """The sums over `count` channels."""
                lines = spec.lines(f.target)
                streams = Streams(
                    dtype, f.offset(a, first, dtype), rows, 1,
                    f.offset(b, f.mul(first, shape.columns), dtype), shape.columns, shape.lanes,
                    masks, f.offset_bytes(ahead, f.mul(first, lines * LINE // UNROLL)), lines,
                )  # fmt: skip
                return accumulate(f, streams, count, start)

            if spec.tile < LARGE or spec.channels <= CHUNK:
                sums = part(f.index(0), spec.channels)
            else:
                rest = spec.channels % CHUNK
                with f.carried_loop(0, spec.channels - rest, start, CHUNK, name="chunk") as loop:
                    loop.next(*map(f.add, loop.values, part(loop.index, CHUNK)))
                sums = loop.results
                if rest:
                    sums = tuple(map(f.add, sums, part(f.index(spec.channels - rest), rest)))
            for i, value in enumerate(sums):
                row, vector = divmod(i, shape.vectors)
                place = row * spec.group(f.target) * shape.columns + vector * shape.lanes
                f.store_at(f.offset(c, place, dtype), dtype, value)
        return name

    def _write(self) -> str:
        """`name(source, y, image, row, column, feature, ...)`: a panel's results of a tile."""
        name, spec = f"{self.f.name}.write", self.spec
        numbers = [(name, I64) for name in ("image", "row", "column", "feature")]
        head = [("source", PTR), ("y", PTR), *numbers]
        with self.module.function(name, [*head, *spec.extra], internal=True) as f:
            rows, columns = spec.cuts()
            source, y, image, row, column, feature = f.parameters[:6]
            top, left = f.mul(row, rows.tile), f.mul(column, columns.tile)
            steps, dtype = spec.y_steps(), spec.dtype
            plane, lanes = spec.planes(f.target)[1], spec.shape(f.target).lanes
            at = f.add(f.mul(top, steps[2]), f.mul(left, steps[3]))
            y = f.offset(y, f.add(f.mul(image, steps[0]), at), spec.result or dtype)
            pixel = f.add(f.mul(f.add(f.mul(image, rows.dim.y), top), columns.dim.y), left)
            sides = [
                cut.matrices.data.T if spec.adjoint else cut.matrices.output
                for cut in (rows, columns)
            ]
            below, right = f.sub(rows.dim.y, top), f.sub(columns.dim.y, left)
            output = _Output(f, spec, y, pixel, right)

            def body(channel: Operand, mask: Operand | None) -> None:
                def load(i: int, j: Operand) -> Operand:
                    place = f.offset(source, f.add(f.mul(j, plane), channel), dtype)
                    number = i * columns.points * plane
                    return f.load_at(f.offset(place, number, dtype), dtype, lanes)

                def store(i: Operand, line: list[Operand]) -> None:
                    (output.add if spec.adjoint else output.store)(
                        i, line, f.add(feature, channel), mask
                    )

                height = f.smin(below, rows.tile) if rows.ragged else None
                transform(f, (sides[0], sides[1]), dtype, load, store, height)

            group = spec.group(f.target) * spec.shape(f.target).columns
            partial = spec.features % group > 0
            width = f.smin(f.sub(spec.features, feature), group) if partial else f.index(group)
            if spec.features % lanes:
                f.strips(width, lanes, body, "channel")
            else:
                with f.loop(0, width, lanes, name="channel") as channel:
                    body(channel, None)
        return name

    def _clear(self, image: Operand, images: Operand) -> None:
        """Images of y as of no tile."""
        f, spec = self.f, self.spec
        step = spec.y_steps()[0]
        y = f.offset(f.parameter("y"), f.mul(image, step), spec.dtype)
        f.fill_bytes(y, 0, f.mul(images, step * item_bytes(spec.dtype)))

    def _finish(self, image: Operand, images: Operand) -> None:
        """The epilogue over the sums of whole images."""
        f, spec = self.f, self.spec
        rows, columns = spec.cuts()
        pixels, step = rows.dim.y * columns.dim.y, spec.y_steps()[3]
        first = f.mul(image, pixels)
        lanes = spec.shape(f.target).lanes
        with f.loop(first, f.add(first, f.mul(images, pixels)), name="pixel") as pixel:
            line = f.offset(f.parameter("y"), f.mul(pixel, step), spec.dtype)

            def body(channel: Operand, mask: Operand | None) -> None:
                assert spec.epilogue is not None
                place = f.offset(line, channel, spec.dtype)
                value = f.load_at(place, spec.dtype, lanes, mask)
                stored = spec.epilogue(f, pixel, channel, value, mask)
                if stored is not None:
                    f.store_at(place, spec.dtype, stored, mask)

            f.strips(spec.features, lanes, body, "channel")


@dataclass(frozen=True, eq=False)
class _Output:
    """The part of y that a tile's results belong to.

    Attributes:
        y: the pointer to its first pixel; `pixel`: the number of that.
        right: columns from there to the border.
    """

    f: Function
    spec: WinogradSpec
    y: Operand
    pixel: Operand
    right: Operand

    def add(self, i: Operand, line: list[Operand], channel: Operand, mask: Operand | None) -> None:
        """Adds a vector of channels of each pixel of a row to what other tiles gave."""
        f, spec = self.f, self.spec
        steps, lanes = spec.y_steps(), spec.shape(f.target).lanes
        base = f.offset(self.y, f.add(f.mul(i, steps[2]), channel), spec.dtype)
        for j, value in enumerate(line):
            place = f.offset(base, j * steps[3], spec.dtype)
            before = f.load_at(place, spec.dtype, lanes, mask)
            f.store_at(place, spec.dtype, f.add(before, value), mask)

    def store(
        self, i: Operand, line: list[Operand], channel: Operand, mask: Operand | None
    ) -> None:
        """Stores the pixels of a row that are inside of the image, through the epilogue.

        Where tiles reach over the border they go by the stack: only so many are stored.
        """
        f, spec = self.f, self.spec
        columns = spec.cuts()[1]
        if not columns.ragged:
            for j, value in enumerate(line):
                self._pixel(value, i, f.index(j), channel, mask)
            return
        lanes, dtype = spec.shape(f.target).lanes, spec.dtype
        stack = f.alloca(register_type(dtype, lanes), columns.tile, name="pixels")
        for j, value in enumerate(line):
            f.store_at(f.offset(stack, j * lanes, dtype), dtype, value)
        with f.loop(0, f.smin(self.right, columns.tile), name="pixel") as pixel:
            kept = f.load_at(f.offset(stack, f.mul(pixel, lanes), dtype), dtype, lanes)
            self._pixel(kept, i, pixel, channel, mask)

    def _pixel(
        self, value: Operand, i: Operand, j: Operand, channel: Operand, mask: Operand | None
    ) -> None:
        """A vector of channels of one pixel, through the epilogue."""
        f, spec = self.f, self.spec
        steps, columns = spec.y_steps(), spec.cuts()[1]
        result = spec.result or spec.dtype
        if spec.epilogue is None:
            stored: Operand | None = f.convert(value, spec.dtype, result)
        else:
            pixel = f.add(self.pixel, f.add(f.mul(i, columns.dim.y), j))
            stored = spec.epilogue(f, pixel, channel, value, mask)
        if stored is not None:
            at = f.add(f.add(f.mul(i, steps[2]), f.mul(j, steps[3])), channel)
            f.store_at(f.offset(self.y, at, result), result, stored, mask)
