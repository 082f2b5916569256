"""Convolutions that are weight gradients: an image of gradients slid over an image.

Chunks of images are tiles; each has sums of its own in the scratch memory, which are added up in
order at the end. There are at most `CHUNKS` of them, and their number follows from the sizes.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import astuple, dataclass, replace
from math import prod

from kgraph.codegen.llvm.conv_weights import WeightsSpec, emit_weights
from kgraph.codegen.llvm.conv_winograd_weights import WinogradWeights, emit_winograd_weights
from kgraph.codegen.llvm.emit import Operand, item_bytes
from kgraph.codegen.llvm.gemm_tile import compute_dtype
from kgraph.codegen.llvm.lower.combine import launch_combine
from kgraph.codegen.llvm.lower.convolution import size_of, spec_of
from kgraph.codegen.llvm.lower.epilogue import Prologue
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.product import TILE
from kgraph.codegen.llvm.lower.tiling import divided_up
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Size, symbols_of
from kgraph.ir.ops.convolution import Convolution

CHUNKS = 16
# Pixels that a chunk should sum: its sums are cleared, leave the cache and are read again.
ENOUGH_PIXELS = 1024
BLOCK = "block"  # the symbol of a region's samples
_MOST_BYTES = 1 << 27  # of all chunks' sums together


@dataclass(frozen=True)
class Weights:
    """A weight gradient by the generator of conv_weights.py.

    Attributes:
        least: images of a chunk at least.
        chunks: how many chunks there are at most; 1 within a region, where threads are mostly at
            work already: the sums then go straight to the result. Where they are not, each has
            some of the features.
    """

    op: Convolution
    spec: WeightsSpec
    images: Size
    least: int
    chunks: int
    prologue: Prologue | None = None

    def with_prologue(self, prologue: Prologue | None) -> Weights:
        """The same behind what is done to its input."""
        if prologue is None:
            return self
        conv = replace(self.spec.conv, prologue=prologue.hook, extra=prologue.extra)
        return replace(self, spec=replace(self.spec, conv=conv), prologue=prologue)

    @staticmethod
    def of(op: Convolution, target: Target) -> Weights | None:
        """How the gradient is tiled; None if it is not for the generator."""
        spec = spec_of(op)
        if not isinstance(spec, WeightsSpec):
            return None
        images = size_of(op.lhs, op.roles.lhs, "f")
        pixels = prod(dim.y for dim in spec.conv.dims)
        size = int(op.result.type.size)
        least = max(1, 4 * TILE // max(1, 2 * pixels * size), ENOUGH_PIXELS // max(1, pixels))
        chunks = max(2, min(CHUNKS, _MOST_BYTES // (8 * size)))
        if BLOCK in symbols_of(images) and compute_dtype(op.lhs.dtype) == op.lhs.dtype:
            chunks = 1
            conv, direct = spec.conv, not isinstance(spec, WinogradWeights)
            if direct and not conv.narrow and conv.groups == 1 and conv.w_steps()[4] == 1:
                spec = replace(spec, by_panels=True)
        return Weights(op, spec, images, least, chunks)

    def key(self) -> Hashable:
        """Of the generated function."""
        s = self.spec.conv
        return (
            "weights", self.op.algorithm, tuple(map(astuple, s.dims)), s.channels, s.features,
            s.groups, s.dtype, s.x_strides, s.w_strides, s.y_strides, self.spec.by_panels,
            self.prologue and self.prologue.key(),
        )  # fmt: skip

    def scratch(self) -> Size:
        """Bytes of all chunks' sums."""
        return 0 if self.chunks == 1 else self.chunks * 8 * self.op.result.type.size

    def chunk(self, code: Code) -> Operand:
        """The images of a chunk."""
        if self.chunks == 1:
            return code.size(self.images)
        return code.f.smax(divided_up(code, code.size(self.images), self.chunks), self.least)

    def launch(
        self, frame: Frame, operands: Sequence[Operand], scratch: Operand | None, target: Operand,
        fresh: Operand | None, more: Sequence[Operand] = (),
    ) -> None:  # fmt: skip
        """Sums of chunks, then their sum.

        `fresh`, where given: 0 if the sums of the only chunk go on from what the result holds.
        """
        f, names = frame.f, frame.kernels.names
        if self.key() not in names:
            name = frame.kernels.named("weights")
            if isinstance(self.spec, WinogradWeights):
                emit_winograd_weights(frame.module, name, self.spec)
            else:
                emit_weights(frame.module, name, self.spec)
            names[self.key()] = name
        name = names[self.key()]
        images = frame.size(self.images)
        if self.chunks == 1:
            scratch = target
        assert scratch is not None
        tiles = f.index(1)
        if self.chunks > 1:
            tiles = f.smax(divided_up(frame, images, self.chunk(frame)), 1)
        elif self.spec.by_panels:
            panels = min(self.spec.conv.panels(frame.target), CHUNKS)
            tiles = f.select(frame.in_order(), tiles, panels)
        frame.launch(
            ("weights", name, str(self.images)), "weights",
            [*operands, scratch, f.index(1) if fresh is None else fresh, tiles, *more], tiles,
            lambda k: self.write(k, name), self.op.lhs.type.symbols,
        )  # fmt: skip
        if self.chunks == 1:
            return
        dtype = self.op.result.dtype
        size = frame.size(self.op.result.type.size)
        places = (scratch, target)
        launch_combine(frame, "sum", (compute_dtype(dtype), dtype), places, size, tiles)

    def write(self, k: Kernel, name: str) -> None:
        """Writes the kernel: the sums of one chunk, or of some panels."""
        f = k.f
        x, dy, scratch, fresh, tiles, *more = k.arguments
        size, dtype = int(self.op.result.type.size), compute_dtype(self.op.result.dtype)
        images = k.size(self.images)
        if self.spec.by_panels:
            count = self.spec.conv.panels(f.target)
            lo, hi = (f.udiv(f.mul(f.add(k.index, i), count), tiles) for i in range(2))
            with f.when(f.compare("NE", fresh, 0)):
                self._clear_panels(k, scratch, lo, hi)
            f.call(name, [x, dy, scratch, k.slab, lo, hi, images, *more])
            return
        sums = f.offset(scratch, f.mul(k.index, size), dtype)
        with f.when(f.compare("NE", fresh, 0)):
            f.fill_bytes(sums, 0, size * item_bytes(dtype))
        chunk = self.chunk(k)
        lo = f.smin(f.mul(k.index, chunk), images)
        hi = f.smin(f.add(lo, chunk), images)
        f.call(name, [x, dy, sums, k.slab, lo, hi, *more])

    def _clear_panels(self, k: Kernel, sums: Operand, lo: Operand, hi: Operand) -> None:
        """Zeros in the features of some panels, which are a part of each row."""
        f, conv, result = k.f, self.spec.conv, self.op.result
        width, dtype = conv.shape(f.target).columns, compute_dtype(result.dtype)
        first, last = f.mul(lo, width), f.smin(f.mul(hi, width), conv.features)
        with f.loop(0, int(result.type.size), conv.features, "row") as row:
            start = f.offset(sums, f.add(row, first), dtype)
            f.fill_bytes(start, 0, f.mul(f.sub(last, first), item_bytes(dtype)))
