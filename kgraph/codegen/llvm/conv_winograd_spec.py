"""What a convolution by Winograd's algorithm is asked to do, and the sizes that follow."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from kgraph.codegen.llvm.conv_spec import ConvSpec, tile_heights
from kgraph.codegen.llvm.emit import item_bytes
from kgraph.codegen.llvm.gemm_tile import LINE, UNROLL
from kgraph.codegen.llvm.target import Target
from kgraph.codegen.llvm.winograd import TAPS
from kgraph.codegen.llvm.winograd_tiles import SKEW, Cut, Reading, cut
from kgraph.ir import Size, maximum, minimum

MOST_TILES = 32  # of a block whose weights stay in L2: more do not use them better
HALVED = 64  # features at least whose halves are whole panels
STREAMED_TILES = 64  # of one that brings its weights in: those are more bytes than V and M


@dataclass(frozen=True, eq=False)
class WinogradSpec(ConvSpec):
    """A convolution whose `tile` outputs per dim are computed together; see `ConvSpec`.

    Where the batch is `alone`, a single image, register tiles have heights that divide its tiles or
    halves of them well, and are higher where registers allow, for the weights come from afar.
    """

    tile: int = 4
    adjoint: bool = False
    alone: bool = False

    def cuts(self) -> tuple[Cut, Cut]:
        """Rows and columns."""
        _, rows, columns = self.space
        return cut(rows, self.tile, self.adjoint), cut(columns, self.tile, self.adjoint)

    @property
    def points(self) -> int:
        """Matrix products."""
        rows, columns = self.cuts()
        return rows.points * columns.points

    @property
    def tiles(self) -> int:
        """Of an image."""
        rows, columns = self.cuts()
        return rows.count * columns.count

    def reading(self) -> Reading:
        """How x becomes V."""
        rows, columns = cuts = self.cuts()
        _, _, row_step, column_step, _ = self.x_steps()
        if self.adjoint:
            reads = (rows.tile, columns.tile)
            first = (0, 0)
            matrices = (rows.matrices.output.T, columns.matrices.output.T)
        else:
            reads = (rows.points, columns.points)
            first = (-rows.dim.low, -columns.dim.low)
            matrices = (rows.matrices.data, columns.matrices.data)
        return Reading(
            (rows.dim.x, columns.dim.x), (row_step, column_step), self.channels, reads,
            (rows.tile, columns.tile), first, (cuts[0].count, cuts[1].count), matrices, self.dtype,
        )  # fmt: skip

    def rows(self, target: Target) -> int:
        """Tiles of a block, a multiple of the register tile's rows."""
        height = self.heights(target)[0]
        each = self.points * (self.reading().width(target) + self.shape(target).columns)
        each, least, most = each * item_bytes(self.dtype), target.l2 // 4, target.l2 * 3 // 4
        packed = self.packed_bytes(target)
        room = max(least, most - packed) if packed <= target.l2 else most
        tiles = min(room // each, MOST_TILES)
        if self.alone:
            tiles = min(least // each, -(-self.tiles // height) * height)
        elif self.together(target):
            tiles = STREAMED_TILES
        return max(1, tiles // height) * height

    def together(self, target: Target) -> bool:
        """Whether all panels meet V at a point, and M has all of them: where weights are more than
        L2 keeps, and V is more than can be read again for each panel.
        """
        v = self.points * MOST_TILES * self.reading().width(target) * item_bytes(self.dtype)
        return not self.alone and self.packed_bytes(target) > target.l2 < 2 * v

    def group(self, target: Target) -> int:
        """Panels of M."""
        return self.panels(target) if self.together(target) else 1

    def heights(self, target: Target) -> tuple[int, int]:
        """Rows of the two register tiles."""
        rows = self.shape(target).rows
        if self.alone:
            rows = tile_heights(-(-self.tiles // 2), self.pixels(target))[0][0]
        return rows, (rows + 1) // 2

    def lines(self, target: Target) -> int:
        """Cache lines of the next weights that each turn of a register tile brings nearer."""
        passes = self.rows(target) // self.heights(target)[0]
        step = UNROLL * self.shape(target).columns * item_bytes(self.dtype)
        return -(-step // (LINE * passes))

    def images(self, target: Target) -> int:
        """Images of a block of the adjoint form."""
        return max(1, self.rows(target) // self.tiles)

    @property
    def halves(self) -> bool:
        """Whether units are halves of the features: of a single image with far more weights than V.

        Two threads then read half of the weights each, and both transform the image.
        """
        heavy = self.features >= HALVED and self.features > 2 * self.tiles
        return self.alone and not self.adjoint and heavy

    def units(self, batch: Any) -> Any:
        if self.halves:
            return 2 * batch
        return batch * (1 if self.adjoint else self.tiles)

    def per_launch(self, target: Target, batch: Size) -> Size:
        """Units that are worth a launch: a block, or half of what a single image has."""
        if self.adjoint:
            return self.images(target)
        if self.halves:
            return 1
        half = maximum(self.heights(target)[0], (self.units(batch) + 1) // 2)
        return minimum(self.rows(target), half)

    def panels(self, target: Target) -> int:
        return -(-self.features // self.shape(target).columns)

    def packed_bytes(self, target: Target) -> int:
        width = self.panels(target) * self.shape(target).columns
        return self.points * self.channels * width * item_bytes(self.dtype) + 64

    def planes(self, target: Target) -> tuple[int, int]:
        """Elements between the planes of V and of M."""
        rows = self.rows(target)
        m_width = self.group(target) * self.shape(target).columns
        return rows * self.reading().width(target) + SKEW, rows * m_width + SKEW

    def scratch_bytes(self, target: Target) -> int:
        elements = self.points * sum(self.planes(target)) + self.reading().patch
        return elements * item_bytes(self.dtype) + 128


def winograd_of(spec: ConvSpec, tile: int, adjoint: bool) -> WinogradSpec:
    """The same convolution by Winograd's algorithm.

    Raises:
        ValueError: it has other taps than three or one, strides, dilations, groups, another dtype
            than float32 or float64, channels apart, or, in the adjoint form, another padding than
            two, or a partial last tile.
    """
    fields = {name: getattr(spec, name) for name in ConvSpec.__dataclass_fields__}
    found = WinogradSpec(**fields, tile=tile, adjoint=adjoint)
    for dim in found.space:
        plain = dim.stride == dim.dilation == dim.x_dilation == 1
        single = dim.taps == 1 and dim.low == 0 and dim.x == dim.y
        if not plain or not (single or dim.taps == TAPS):
            raise ValueError(f"no Winograd kernel for {dim}")
        if adjoint and dim.taps == TAPS and not (dim.low == dim.y - dim.x == TAPS - 1):
            raise ValueError(f"no adjoint Winograd kernel for {dim}")
    if found.space[0].taps != 1 or found.space[0].y != 1 or spec.groups != 1:
        raise ValueError("Winograd kernels have two dims and one group")
    apart = found.x_steps()[4] != 1 or found.y_steps()[4] != 1
    if spec.dtype not in ("float32", "float64") or apart:
        raise ValueError("Winograd kernels are of float32 or float64, with channels side by side")
    dense = replace(found, y_strides=None).y_steps() == found.y_steps()
    if adjoint and (not dense or any(side.ragged for side in found.cuts())):
        raise ValueError("an adjoint Winograd kernel has whole tiles of x and a dense y")
    return found
