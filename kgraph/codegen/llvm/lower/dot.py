"""`dot_general` as batches of matrix products."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from kgraph.codegen.llvm.emit import Operand, item_bytes
from kgraph.codegen.llvm.gemm import GemmSpec, emit_gemm, emit_pack_b
from kgraph.codegen.llvm.gemm_spec import FEW_ROWS, depth, direct_a, one_chunk, splittable
from kgraph.codegen.llvm.gemm_tile import compute_dtype
from kgraph.codegen.llvm.lower.epilogue import Contraction, Epilogue, launch_rest, sum_bytes
from kgraph.codegen.llvm.lower.frame import Code, Frame, Kernel
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.loops import Loop
from kgraph.codegen.llvm.lower.sides import Copies, Run, sides, single_runs
from kgraph.codegen.llvm.lower.tiling import likely
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Builder, Dim, Size, Value, minimum, product
from kgraph.ir.ops.contract import DotGeneral
from kgraph.passes.arena import aligned

TILE = 1 << 21  # operations of a tile: some twenty microseconds
# Of a tile at least: so that packing B again for each pays, and packing A, or streaming one that
# outgrows L2.
_ROWS, _COLUMNS = 256, 256
_LONG = 1024  # of a sum: from here on it streams


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
        split: Literal["rows", "columns"] = "rows" if rows > 2 * columns else "columns"
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
        return Product(op, batch, m, n, k, swapped, spec, max(1, TILE // max(1, work)), units)

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

    def tiles(self, target: Target) -> tuple[Size, Size]:
        """Tiles of items, and tiles of each item."""
        count: Size = self.spec.units(target, self.m[0], self.n[0])
        items = product(size for size, _, _ in self.batch)
        return _up(items, self.items), _up(count, self.units)

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

        Its arguments are A, B, C and then the epilogue's inputs and outputs, and the memory of
        unfinished sums; or whether C is fresh.
        """
        f, target = k.f, k.target
        a, b, c = k.arguments[:3]
        partial = k.arguments[-1:] if self.spec.partial else ()
        others = k.arguments[3 : len(k.arguments) - len(partial)]
        parts = k.size(self.tiles(target)[1])
        tile, part = f.udiv(k.index, parts), f.urem(k.index, parts)
        total = k.size(product(size for size, _, _ in self.batch))
        first = f.mul(tile, self.items)
        units = k.size(self.spec.units(target, self.m[0], self.n[0]))
        lo = f.mul(part, self.units)
        hi = f.smin(f.add(lo, self.units), units)
        last = f.smin(f.add(first, self.items), total)
        each = f.mul(k.size(self.m[0]), k.size(self.n[0]))
        with f.loop(first, last, name="item") as item:
            x, y = self._offsets(k, item)
            dtype = self.spec.dtype
            result = self.spec.result or dtype
            call = [
                f.offset(a, x, dtype), f.offset(b, y, dtype),
                f.offset(c, f.mul(item, each), result), k.slab,
                *(f.offset(p, f.mul(item, each), compute_dtype(dtype)) for p in partial),
                lo, hi, *self._sizes(k), *(others if self.spec.continued else ()),
            ]  # fmt: skip
            if epilogue is not None:
                call += epilogue.arguments(others[:places], others[places:], k, item)
            f.call(name, call)

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


def _known(size: Size) -> int | None:
    return size if isinstance(size, int) else None


def _up(size: Size, by: int) -> Size:
    return (size + (by - 1)) // by


@dataclass(frozen=True)
class _Plan:
    """How a product is done: on copies of its operands, tiled, and what becomes of its sums.

    Attributes:
        copies: the operands' order.
        product: the tiling.
        epilogue: the hook for what follows; None: a loop of its own, if anything does.
        sums: bytes of memory for sums outside of the results: all of them for a loop of its own,
            those between chunks of k for a hook, whose results may lie over what it reads.
    """

    copies: Copies
    product: Product
    epilogue: Epilogue | None
    sums: Size

    @staticmethod
    def of(contraction: Contraction, target: Target, packed: bool) -> _Plan:
        """The plan; `packed`: the right operand is given in panels."""
        op = contraction.hero
        assert isinstance(op, DotGeneral)
        copies = Copies.of(op)
        if contraction.plain:
            return _Plan(copies, Product.of(copies.product, target, "", packed), None, 0)
        result = contraction.outputs[contraction.primary].dtype
        parts = contraction.parts
        plan = Product.of(copies.product, target, result, packed, parts)
        found = Epilogue.of(contraction, plan.labels(contraction))
        sums = aligned(sum_bytes(contraction))
        if found is None:
            plan = Product.of(copies.product, target, "", packed)
            return _Plan(copies, plan, None, sums)
        whole = one_chunk(plan.spec, target)
        if parts > 1:
            spec = replace(plan.spec, parts_epilogue=found.parts_hook, extra=found.extra)
            return _Plan(copies, replace(plan, spec=spec), found, 0)
        spec = replace(
            plan.spec, epilogue=found.hook, inline_epilogue=found.inline, extra=found.extra,
            streams=found.streams, partial=not whole,
        )  # fmt: skip
        return _Plan(copies, replace(plan, spec=spec), found, 0 if whole else sums)


def lower_dot(
    frame: Frame, contraction: Contraction, scratch: Operand | None, packed: Operand | None,
    fresh: Operand | None,
) -> None:  # fmt: skip
    """Lowers a product with its epilogue; `packed` is the right operand in panels, if it is.

    `fresh`, where given: 0 if the sums are added to what a plain product's result holds.
    """
    f = frame.f
    plan = _Plan.of(contraction, frame.target, packed is not None)
    copies, epilogue = plan.copies, plan.epilogue
    operands = []
    at: Size = 0
    for v, perm in zip(contraction.operands, (copies.lhs, copies.rhs), strict=True):
        pointer = frame.pointer(v)
        if perm is not None:
            assert scratch is not None
            to = f.offset_bytes(scratch, frame.size(at))
            at = at + aligned(v.type.nbytes)
            _launch_transpose(frame, v, perm, pointer, to)
            pointer = to
        operands.append(pointer)
    if packed is not None:
        operands[1] = packed
    outputs = [frame.pointer(v) for v in contraction.outputs]
    target = outputs[contraction.primary]
    others: list[Operand] = []
    if epilogue is not None:
        others = [frame.pointer(v) for v in contraction.inputs] + outputs
    if plan.sums != 0:
        assert scratch is not None
        sums = f.offset_bytes(scratch, frame.size(at))
        if epilogue is None:
            target = sums
        else:
            others.append(sums)
    product = plan.product
    if fresh is not None:
        product = replace(product, spec=replace(product.spec, continued=True))
        others.append(fresh)
    _launch_product(frame, product, epilogue, operands, target, others)
    if epilogue is None and not contraction.plain:
        launch_rest(frame, contraction, target)


def _launch_product(
    frame: Frame, plan: Product, epilogue: Epilogue | None, operands: Sequence[Operand],
    target: Operand, others: Sequence[Operand],
) -> None:  # fmt: skip
    if plan.swapped:
        operands = operands[::-1]
    own = epilogue.key() if epilogue is not None else None
    names = frame.kernels.names
    key = (plan.key(), own)
    if key not in names:
        names[key] = emit_gemm(frame.module, frame.kernels.named("gemm"), plan.spec)
    name = names[key]
    items, parts = plan.tiles(frame.target)
    count = frame.f.mul(frame.size(items), frame.size(parts))
    places = len(epilogue.contraction.inputs) if epilogue is not None else 0
    symbols = set(op_symbols(plan.op))
    if epilogue is not None:
        symbols |= {s for n, _ in epilogue.extra if n.startswith("s.") for s in [n[2:]]}
    frame.launch(
        ("dot", name, op_key(plan.op), own),
        "dot",
        [*operands, target, *others],
        count,
        lambda k: plan.write(k, name, epilogue, places),
        sorted(symbols),
    )


def _launch_transpose(
    frame: Frame, v: Value, perm: tuple[int, ...], source: Operand, to: Operand
) -> None:
    b = Builder()
    body = b.function(b.transpose(b.param("x", v.type), perm))
    Loop.of(body, frame.target).launch(frame, [source], [to])


def dot_scratch(contraction: Contraction, target: Target) -> Size:
    """Bytes for copies of the operands, and for sums outside of the results."""
    plan = _Plan.of(contraction, target, packed=False)
    total = plan.sums
    orders = (plan.copies.lhs, plan.copies.rhs)
    for v, perm in zip(contraction.operands, orders, strict=True):
        total = total + (aligned(v.type.nbytes) if perm is not None else 0)
    return total


def dot_slab(contraction: Contraction, target: Target, packed: bool = False) -> Size:
    """Bytes of private memory of a tile."""
    return _Plan.of(contraction, target, packed).product.slab(target)
