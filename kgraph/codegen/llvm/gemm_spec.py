"""What a matrix product is asked to do, and the choices of layout and blocking that follow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from kgraph.codegen.llvm.emit import I64, PTR, Function, Operand, Type, item_bytes
from kgraph.codegen.llvm.gemm_pack import Prologue
from kgraph.codegen.llvm.gemm_tile import Shape, choose_shape, compute_dtype, parts_shape
from kgraph.codegen.llvm.target import Target

# epilogue(f, row, column, value, mask): from a vector of sums in the compute dtype, whose first
# lane is C[row, column], to what is stored there, in the register type of C's dtype. `mask` is None
# for whole vectors. A result of None means that the epilogue stored what it wanted by itself.
Epilogue = Callable[[Function, Operand, Operand, Operand, "Operand | None"], "Operand | None"]


# parts_epilogue(f, row, column, values): the same of a product in parts; it gets the sums at a row
# and column of all parts, and stores by itself.
PartsEpilogue = Callable[[Function, Operand, Operand, "Sequence[Operand]"], None]

Split = Literal["rows", "columns", "both"]

# Up to so many rows of a product B is read where it lies.
FEW_ROWS = 3


@dataclass(frozen=True, eq=False)
class GemmSpec:
    """What to compute. Sizes and strides (in elements) are numbers, or None for arguments.

    Attributes:
        m, n, k: C is m x n, the sum runs over k.
        dtype: of A and B; `result`: of C, the same when empty.
        long: an unknown k is most likely in the thousands.
        a_strides: of A in m and k; b_strides: of B in k and n; c_strides: of C in m and n.
        accumulate: C += instead of C =.
        continued: a parameter `fresh` says that it is C =, or, where it is 0, C +=.
        partial: sums between chunks of k are held in memory of their own (m x n, dense, of the
            compute dtype) and not in C: the epilogue may then read what C is written over.
        split: what the range `lo, hi` counts: row tiles or column panels; or row tiles, and another
            range, `from, to`, column panels.
        packed_b: B already is in panels (see `emit_pack_b`); b_strides are then not used.
        epilogue: see `Epilogue`; `inline_epilogue` writes it out for every accumulator, which pays
            for a bias or a maximum; otherwise it is a loop over the stored tile, so that long
            functions do not compete with the accumulators for registers. `long_epilogue`: it gets
            two registers at once, as it is longer than a core looks ahead.
        streams: names and dtypes of parameters that are arrays laid out as C, which the epilogue
            reads: a tile asks for its part before it sums.
        parts, parts_epilogue: where several, the columns are so many blocks side by side, such as
            the gates of an LSTM; a tile has a vector of each, which `PartsEpilogue` gets together.
            Then n and k are known, and a part is whole vectors wide.
        prologue_a, prologue_b: see `gemm_pack.Prologue`; they force packing.
        extra: names and types of further parameters, for the hooks: `f.parameter(name)`.
    """

    m: int | None
    n: int | None
    k: int | None
    dtype: str = "float32"
    result: str = ""
    long: bool = False
    a_strides: tuple[int | None, int | None] = (None, 1)
    b_strides: tuple[int | None, int | None] = (None, 1)
    c_strides: tuple[int | None, int | None] = (None, 1)
    accumulate: bool = False
    continued: bool = False
    partial: bool = False
    split: Split = "columns"
    packed_b: bool = False
    epilogue: Epilogue | None = None
    inline_epilogue: bool = False
    long_epilogue: bool = False
    streams: tuple[tuple[str, str], ...] = ()
    parts: int = 1
    parts_epilogue: PartsEpilogue | None = None
    prologue_a: Prologue | None = None
    prologue_b: Prologue | None = None
    extra: tuple[tuple[str, Type], ...] = ()

    def shape(self, target: Target) -> Shape:
        """The register tile; its columns are the width of a panel."""
        if self.parts > 1:
            return parts_shape(target, compute_dtype(self.dtype), self.m, self.parts)
        return choose_shape(target, compute_dtype(self.dtype), self.m, self.n)

    def parameters(self) -> list[tuple[str, Type]]:
        """Of the function: a, b, c, scratch, ranges, what is not constant, fresh, then `extra`."""
        names = ["m", "n", "k", "a_m", "a_k", "b_k", "b_n", "c_m", "c_n"]
        values = (self.m, self.n, self.k, *self.a_strides, *self.b_strides, *self.c_strides)
        unknown = [name for name, value in zip(names, values, strict=True) if value is None]
        memory = ("a", "b", "c", "scratch", *(("partial",) if self.partial else ()))
        pointers = [(name, PTR) for name in memory]
        unknown += ["fresh"] if self.continued else []
        ranges = ("lo", "hi", *(("from", "to") if self.split == "both" else ()))
        return [*pointers, *((name, I64) for name in (*ranges, *unknown)), *self.extra]

    def units(self, target: Target, m: Any, n: Any) -> Any:
        """How many units `lo, hi` range over; the sizes may be numbers or symbolic."""
        shape = self.shape(target)
        size, unit = (n, shape.columns) if self.split == "columns" else (m, shape.rows)
        return (size + (unit - 1)) // unit

    def scratch_bytes(self, target: Target, m: Any, n: Any, k: Any) -> Any:
        """Bytes of private memory that one call needs; the sizes may be numbers or symbolic."""
        shape, size = self.shape(target), item_bytes(compute_dtype(self.dtype))
        panels = (n + (shape.columns - 1)) // shape.columns
        deep, block = depth(self, target, shape), block_rows(self, target, shape)
        b_bytes = panels * shape.columns * k * size
        a_bytes = (block + shape.rows) * (deep if splittable(self) else k + 1) * size
        return (0 if direct_b(self, shape) or self.packed_b else b_bytes) + a_bytes + 192

    def packed_bytes(self, target: Target, n: Any, k: Any) -> Any:
        """Bytes of B in panels."""
        columns = self.shape(target).columns
        panels = (n + (columns - 1)) // columns
        return panels * columns * k * item_bytes(compute_dtype(self.dtype)) + 64


def direct_b(spec: GemmSpec, shape: Shape) -> bool:
    """Whether B is read where it lies."""
    if spec.prologue_b or spec.packed_b or compute_dtype(spec.dtype) != spec.dtype:
        return False
    if spec.parts > 1 or spec.b_strides[1] != 1:
        return False
    few_rows = spec.m is not None and spec.m <= shape.rows
    one_panel = spec.n == shape.columns and spec.b_strides[0] is not None
    return few_rows or one_panel


def direct_a(spec: GemmSpec, target: Target) -> bool:
    """Whether A is read where it lies."""
    m_stride, k_stride = spec.a_strides
    if spec.prologue_a or compute_dtype(spec.dtype) != spec.dtype:
        return False
    if m_stride is None or k_stride is None:
        return spec.m == 1 and k_stride is not None
    if spec.m is not None and spec.m <= 4:
        return True
    # Rows a multiple of 4 KB apart fall on one set of L1 and evict each other, unless it has a way
    # for each, and some for B.
    aliased = m_stride * item_bytes(spec.dtype) % 4096 == 0 and m_stride != 0
    aliased = aliased and spec.shape(target).rows + 2 > target.l1 // 4096
    # So do the steps of k that are so far apart, each in a page of its own: measured, a few hundred
    # do not mind, 512 take half as long again. Where they are many, all lines of a tile are gone
    # from L1 when the next tile wants the other half of them.
    far = k_stride * item_bytes(spec.dtype) % 4096 == 0 and (spec.k is None or spec.k > 256)
    aliased = aliased or (k_stride != 1 and (far or (spec.k is None and spec.long)))
    return 1 in (m_stride, k_stride) and not aliased


def depth(spec: GemmSpec, target: Target, shape: Shape) -> int:
    """Steps of k in one chunk."""
    size = item_bytes(compute_dtype(spec.dtype))
    limit = max(256, target.l2 // 4 // (shape.columns * size) // 8 * 8)
    if spec.k is None:
        # Most likely a sum over a batch, which streams from memory: so much of it that a panel of B
        # stays in L1 or, of a sum that is not long, all of it.
        return min(limit, 256 if spec.long else 512)
    if spec.k <= limit or not splittable(spec):
        return max(1, spec.k)
    chunks = -(-spec.k // limit)
    return -(-spec.k // (8 * chunks)) * 8


def splittable(spec: GemmSpec) -> bool:
    """Whether unfinished sums have a place between chunks of k."""
    if spec.parts > 1:
        return False
    return spec.partial or (spec.result or spec.dtype) == compute_dtype(spec.dtype)


def block_rows(spec: GemmSpec, target: Target, shape: Shape) -> int:
    """Rows in a block: half of L2 for their part of A."""
    deep = depth(spec, target, shape)
    rows = target.l2 // 2 // (deep * item_bytes(compute_dtype(spec.dtype)))
    rows = max(4, rows // shape.rows) * shape.rows
    if spec.m is not None:
        rows = min(rows, -(-spec.m // shape.rows) * shape.rows)
    return rows


def one_chunk(spec: GemmSpec, target: Target) -> bool:
    """Whether k is known and summed in one go, from nothing."""
    if spec.k is None or spec.continued:
        return False
    return not splittable(spec) or spec.k <= depth(spec, target, spec.shape(target))


def whole_panels(spec: GemmSpec, target: Target, shape: Shape) -> bool:
    """Whether every panel of this width is full, in every range of units."""
    if spec.n is None or spec.n % shape.columns:
        return False
    return spec.split == "rows" or spec.shape(target).columns % shape.columns == 0


def few_rows_shape(spec: GemmSpec, target: Target) -> Shape | None:
    """For an unknown m: the tile of a second version that reads B in place, if that can be.

    Packing B costs as much as a product with `FEW_ROWS` rows; a batch of one must not pay it. One
    row at a time, which reads the panel again from L2, keeps this version small.
    """
    shape = spec.shape(target)
    if spec.m is not None or direct_b(spec, shape) or spec.n == shape.columns:
        return None
    if not direct_b(replace(spec, m=1), shape):
        return None
    return choose_shape(target, compute_dtype(spec.dtype), 1, spec.n)
