"""Matrix products over items of a batch, cut into tiles."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace

from kgraph.codegen.llvm.emit import Operand, item_bytes
from kgraph.codegen.llvm.gemm import GemmSpec, emit_pack_b
from kgraph.codegen.llvm.gemm_spec import FEW_ROWS, Split, depth, direct_a, splittable
from kgraph.codegen.llvm.gemm_tile import compute_dtype
from kgraph.codegen.llvm.lower.epilogue import Contraction, Epilogue
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.sides import Run, sides, single_runs
from kgraph.codegen.llvm.lower.tiling import divided_up, likely
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Dim, Size, bind_size, floordiv, maximum, minimum, product, symbols_of
from kgraph.ir.ops.contract import DotGeneral

TILE = 1 << 21  # operations of a tile: some twenty microseconds
# Of a tile at least: so that packing B again for each pays, and packing A, or streaming one that
# outgrows L2.
_ROWS, _COLUMNS = 256, 256
_LONG = 1024  # of a sum: from here on it streams
# With B in panels a product of few rows, one sample's say, is cut finer, so that threads get equal
# shares: into so many ranges of rows, of so many row tiles at least, and so many tiles in all.
_PARTS, _UNITS, _SHARES = 8, 4, 16


@dataclass(frozen=True)
class Product:
    """Matrix products over items of the batch, as they are tiled.

    `swapped`: the columns of the result count through rows of the left operand, which is read as
    the matrix B, because the right one has a single column.
    """

    op: DotGeneral
    batch: tuple[Run, ...]
    m: Run
    n: Run
    k: Run
    swapped: bool
    spec: GemmSpec
    items: int  # of a tile
    units: int  # of a tile

    @staticmethod
    def of(
        op: DotGeneral, target: Target, result: str, packed: bool = False, parts: int = 1
    ) -> Product:
        """The tiling of a product, all of whose roles are single runs.

        `packed`: the matrix B is given in panels. `parts`: of the columns, see `GemmSpec`.
        """
        found = sides(op)
        m, n, k = (runs[0] if runs else (1, 0, 0) for runs in single_runs(found))
        swapped = n[0] == 1 and m[0] != 1
        batch = found.batch
        if swapped:
            m, n, k = ((size, y, x) for size, x, y in (n, m, k))
            batch = tuple((size, y, x) for size, x, y in batch)
        rows, columns, depth_ = likely(m[0]), likely(n[0]), likely(k[0])
        split: Split = "rows" if rows > 2 * columns else "columns"
        spec = GemmSpec(
            m=_known(m[0]), n=_known(n[0]), k=_known(k[0]),
            dtype=op.lhs.dtype, result=result, long=_known(k[0]) is None and depth_ > _LONG,
            a_strides=(_known(m[1]), _known(k[1])),
            b_strides=(_known(k[2]), _known(n[2])),
            c_strides=(_known(n[0]), 1),
            split=split, packed_b=packed, parts=parts,
        )  # fmt: skip
        shape = spec.shape(target)
        unit = shape.rows if split == "rows" else shape.columns
        other = columns if split == "rows" else rows
        work = 2 * rows * columns * depth_
        units = max(1, TILE // max(1, 2 * unit * other * depth_))
        streams = rows * depth_ * item_bytes(compute_dtype(op.lhs.dtype)) > target.l2
        if split == "rows":
            units = max(units, -(-_ROWS // unit))
        elif streams or not direct_a(spec, target):
            units = max(units, -(-_COLUMNS // unit))
        if split == "rows" and packed and parts == 1 and direct_a(spec, target):
            spec = replace(spec, split="both")
        return Product(op, batch, m, n, k, swapped, spec, max(1, TILE // max(1, work)), units)

    def shares(self, target: Target) -> tuple[Size, Size]:
        """Row tiles and panels of a tile of one product that threads share, where B is in panels.

        Few samples are cut finer than many, so that there are tiles enough for equal shares.
        """
        down, across = self.spec.units(target, self.m[0], 0), self._across(target)
        units = minimum(self.units, maximum(_UNITS, _up(down, _PARTS)))
        return units, maximum(1, minimum(across, _up(across * _up(down, units), _SHARES)))

    def each(self, frame: Frame) -> list[Operand]:
        """The arguments of a launch that say how much a tile has of such a product."""
        if self.spec.split != "both":
            return []
        f, alone = frame.f, frame.in_order()
        units, panels = self.shares(frame.target)
        across = frame.size(self._across(frame.target))
        return [
            f.select(alone, f.index(self.units), frame.size(units)),
            f.select(alone, across, frame.size(panels)),
        ]

    def _across(self, target: Target) -> Size:
        """How many panels there are."""
        return _up(self.n[0], self.spec.shape(target).columns)

    @property
    def _keeps_panels(self) -> bool:
        """Do neighbouring tiles share panels, and not rows? Where one sample has fewer rows than
        the weights, which each thread then reads a part of.
        """
        rows, columns, inner = (
            bind_size(size, dict.fromkeys(symbols_of(size), 1))
            for size in (self.m[0], self.n[0], self.k[0])
        )
        return inner * columns > rows * (inner + columns)

    def labels(self, contraction: Contraction) -> list[str]:
        """Of the result's dims: what counts through them."""
        rows, columns = ("column", "row") if self.swapped else ("row", "column")
        names = {"item": "item", "left": rows, "right": columns}
        return [names[label] for label in contraction.labels]

    def slab(self, target: Target) -> Size:
        """Bytes of private memory of a tile."""
        n: Size = self.n[0]
        if self.spec.split == "columns":
            n = minimum(n, self.units * self.spec.shape(target).columns)
        k: Size = self.k[0]
        if splittable(self.spec):
            k = minimum(k, depth(self.spec, target, self.spec.shape(target)))
        found: Size = self.spec.scratch_bytes(target, self.m[0], n, k)
        return found

    def tiles(self, code: Code, each: Sequence[Operand]) -> tuple[Operand, Operand]:
        """Tiles of items, and tiles of each item."""
        if self.spec.split == "both":
            down, across = self._grid(code, each)
            return code.f.index(1), code.f.mul(down, across)
        count = self.spec.units(code.target, self.m[0], self.n[0])
        items = product(size for size, _, _ in self.batch)
        return code.size(_up(items, self.items)), code.size(_up(count, self.units))

    def _grid(self, code: Code, each: Sequence[Operand]) -> tuple[Operand, Operand]:
        """Tiles that lie below each other, and side by side."""
        units, panels = each
        down = code.size(self.spec.units(code.target, self.m[0], 0))
        across = code.size(self._across(code.target))
        return divided_up(code, down, units), divided_up(code, across, panels)

    @property
    def packable(self) -> bool:
        """Is B one matrix for all items, worth a copy in panels that serves several products?"""
        few = self.spec.m is not None and self.spec.m <= FEW_ROWS
        return not (self.swapped or self.batch or few)

    def packed_bytes(self, target: Target) -> Size:
        """Bytes of B in panels."""
        found: Size = self.spec.packed_bytes(target, self.n[0], self.k[0])
        return found

    def launch_pack(self, frame: Frame, b: Operand, to: Operand) -> None:
        """Puts B into panels, each of which is a tile."""
        s, names, target = self.spec, frame.kernels.names, frame.target
        columns = s.shape(target).columns
        key = ("pack_b", s.n, s.k, s.dtype, s.b_strides, columns, s.parts)
        if key not in names:
            plain = replace(
                s,
                epilogue=None,
                inline_epilogue=False,
                long_epilogue=False,
                parts_epilogue=None,
                extra=(),
                packed_b=False,
            )
            names[key] = emit_pack_b(frame.module, frame.kernels.named("pack_b"), plain)
        name = names[key]
        sizes = (self.n[0], self.k[0], self.k[2], self.n[2])
        symbols = self.op.rhs.type.symbols

        def write(k: Kernel) -> None:
            source, into = k.arguments
            unknown = [k.size(n) for n in sizes if isinstance(n, Dim)]
            k.f.call(name, [source, into, k.index, k.f.add(k.index, 1), *unknown])

        count = frame.size(_up(self.n[0], columns))
        frame.launch(("pack_b", name, str(sizes)), "pack_b", [b, to], count, write, symbols)

    def key(self) -> Hashable:
        """Of the generated function."""
        s = self.spec
        return (
            "gemm", s.m, s.n, s.k, s.long, s.dtype, s.result, s.a_strides, s.b_strides, s.c_strides,
            s.split, s.packed_b, s.partial, s.inline_epilogue, s.parts, s.extra, s.continued,
        )  # fmt: skip

    def write(self, k: Kernel, name: str, epilogue: Epilogue | None, places: int) -> None:
        """Writes the kernel: items, and for each a range of units.

        Its arguments are A, B, C, what a tile has (`each`), and then the epilogue's inputs and
        outputs, and the memory of unfinished sums; or whether C is fresh.
        """
        f = k.f
        a, b, c = k.arguments[:3]
        each = k.arguments[3:5] if self.spec.split == "both" else ()
        partial = k.arguments[-1:] if self.spec.partial else ()
        others = k.arguments[3 + len(each) : len(k.arguments) - len(partial)]
        parts = self.tiles(k, each)[1]
        tile, part = f.udiv(k.index, parts), f.urem(k.index, parts)
        total = k.size(product(size for size, _, _ in self.batch))
        first = f.mul(tile, self.items)
        ranges = self._ranges(k, part, each)
        last = f.smin(f.add(first, self.items), total)
        size = f.mul(k.size(self.m[0]), k.size(self.n[0]))
        with f.loop(first, last, name="item") as item:
            x, y = self._offsets(k, item)
            dtype = self.spec.dtype
            result = self.spec.result or dtype
            call = [
                f.offset(a, x, dtype), f.offset(b, y, dtype),
                f.offset(c, f.mul(item, size), result), k.slab,
                *(f.offset(p, f.mul(item, size), compute_dtype(dtype)) for p in partial),
                *ranges, *self._sizes(k), *(others if self.spec.continued else ()),
            ]  # fmt: skip
            if epilogue is not None:
                call += epilogue.arguments(others[:places], others[places:], k, item)
            f.call(name, call)

    def _ranges(self, k: Code, part: Operand, each: Sequence[Operand]) -> list[Operand]:
        """The bounds of a tile of an item."""
        f = k.f
        count = k.size(self.spec.units(k.target, self.m[0], self.n[0]))
        if self.spec.split != "both":
            return _range(k, part, f.index(self.units), count)
        units, panels = each
        down, across = self._grid(k, each)
        if self._keeps_panels:
            row, column = f.urem(part, down), f.udiv(part, down)
        else:
            row, column = f.udiv(part, across), f.urem(part, across)
        columns = _range(k, column, panels, k.size(self._across(k.target)))
        return [*_range(k, row, units, count), *columns]

    def _offsets(self, k: Code, item: Operand) -> tuple[Operand, Operand]:
        """The places of an item in A and B."""
        f = k.f
        x, y, left = f.index(0), f.index(0), item
        for i, (size, dx, dy) in reversed(list(enumerate(self.batch))):
            at = f.urem(left, k.size(size)) if i else left
            left = f.udiv(left, k.size(size)) if i else left
            x = f.add(x, f.mul(at, k.size(dx)))
            y = f.add(y, f.mul(at, k.size(dy)))
        return x, y

    def _sizes(self, k: Code) -> list[Operand]:
        """The parameters of the generated function that are not constant."""
        m, n, inner = self.m, self.n, self.k
        sizes = (m[0], n[0], inner[0], m[1], inner[1], inner[2], n[2], n[0], 1)
        return [k.size(s) for s in sizes if isinstance(s, Dim)]


def _range(k: Code, index: Operand, each: Operand, count: Operand) -> list[Operand]:
    """The bounds of a part of `count`."""
    start = k.f.mul(index, each)
    return [start, k.f.smin(k.f.add(start, each), count)]


def _known(size: Size) -> int | None:
    return size if isinstance(size, int) else None


def _up(size: Size, by: Size) -> Size:
    return floordiv(size + (by - 1), by)
