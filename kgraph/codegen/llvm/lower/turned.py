"""Loops over operands that lie the other way round: square blocks are turned over in registers.

Where a body reads an operand densely along another run of dims than it writes, the lanes of a
vector of results come from as many cache lines, and each of these lines is wanted again in the next
row. So such loops go over patches, a few cache lines of the operand wide. In a patch, squares of
the operand are loaded as vectors, turned over, and put on the stack; from there the rows of the
body's space read them as vectors. A square that reaches beyond the operand reads it shifted back,
or masked where it has no whole square.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kgraph.codegen.llvm.emit import Operand, memory_type
from kgraph.codegen.llvm.gemm_pack import transpose
from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.frame import Code, Kernel
from kgraph.codegen.llvm.lower.index import ZERO, Axis, Guard, Index
from kgraph.codegen.llvm.lower.space import Space, accesses
from kgraph.codegen.llvm.lower.tiling import divided_up, strips
from kgraph.ir import Fact, Function, Value
from kgraph.ir.ops.shape import AssumeShape, BroadcastInDim, Constant, DimSize, Iota, Transpose

_SIDE = 16  # of a square at most: a cache line of float32
_ROWS = 64  # of a patch: some lines of the operand, and few pages of the results

# An operand, and for each of its dims the dim of the space that it follows.
Turning: TypeAlias = "tuple[Value, tuple[int, ...]]"
_IN_STEP = (AssumeShape, BroadcastInDim, Constant, DimSize, Iota, Transpose)


@dataclass(frozen=True)
class Turned:
    """How a body with such operands is computed.

    Attributes:
        run: the run that the operands lie along; vectors of the body run along the last one.
        reads: the operands.
        lanes: of the body's vectors.
    """

    space: Space
    run: int
    reads: tuple[Turning, ...]
    lanes: int
    elements: int

    @staticmethod
    def of(body: Function, space: Space, lanes: int, elements: int) -> Turned | None:
        """The plan for a body, if it has such operands."""
        if lanes == 0 or len(space.runs) < 2:
            return None
        if not all(Fact.ELEMENTWISE in op.facts or isinstance(op, _IN_STEP) for op in body.ops):
            return None
        found: dict[int, list[Turning]] = {}
        run_of = {run[-1]: k for k, run in enumerate(space.runs)}
        identity = tuple((d, True) for d in range(len(space.shape)))
        for v, follows in accesses(body, body.results, identity):
            dims = tuple(d for d, _ in follows)
            live = [d for d, size in zip(dims, v.shape, strict=True) if size != 1]
            if v not in body.params or not live or not all(plain for _, plain in follows):
                continue
            run = run_of.get(live[-1], -1)
            if 0 <= run < len(space.runs) - 1 and space.runs[-1][-1] in live:
                found.setdefault(run, []).append((v, dims))
        if not found:
            return None
        run = max(found, key=lambda k: len(found[k]))
        return Turned(space, run, tuple(found[run]), lanes, elements)

    @property
    def side(self) -> int:
        """Of a square."""
        return min(self.lanes, _SIDE)

    def count(self, code: Code, sizes: Sequence[Operand]) -> Operand:
        """How many patches there are."""
        f = code.f
        total = f.mul(self._along(code, sizes), self._across(code, sizes))
        for k in self._outer:
            total = f.mul(total, sizes[k])
        return total

    @property
    def _outer(self) -> list[int]:
        return [k for k in range(len(self.space.runs) - 1) if k != self.run]

    @property
    def _columns(self) -> int:
        return max(self.lanes, self.elements // _ROWS // self.lanes * self.lanes)

    def _along(self, code: Code, sizes: Sequence[Operand]) -> Operand:
        return divided_up(code, sizes[-1], self._columns)

    def _across(self, code: Code, sizes: Sequence[Operand]) -> Operand:
        return divided_up(code, sizes[self.run], _ROWS)

    def write(
        self,
        k: Kernel,
        sizes: Sequence[Operand],
        evaluator: Evaluator,
        pointers: Mapping[Value, Operand],
        row: Callable[[list[Axis], Axis, Guard], None],
    ) -> None:
        """One patch. `row` writes a vector: it gets the axes of all runs but the last, and that.

        `pointers` say where the body's parameters lie.
        """
        f = k.f
        along, across = self._along(k, sizes), self._across(k, sizes)
        start = f.mul(f.urem(k.index, along), self._columns)
        columns = (start, f.smin(f.add(start, self._columns), sizes[-1]))
        left = f.udiv(k.index, along)
        first = f.mul(f.urem(left, across), _ROWS)
        stop = f.smin(f.add(first, _ROWS), sizes[self.run])
        left = f.udiv(left, across)
        axes = [ZERO] * (len(sizes) - 1)
        for at in reversed(self._outer):
            axes[at] = Axis(f.urem(left, sizes[at]))
            left = f.udiv(left, sizes[at])
        stacks = [
            f.alloca(memory_type(v.dtype, self.lanes), self.side, name="turned")
            for v, _ in self.reads
        ]
        size = sizes[self.run]
        whole = isinstance(size.constant, int) and size.constant >= self.side
        with f.loop(first, stop, self.side, name="square") as top:
            end = f.smin(f.add(top, self.side), stop)
            base = f.smin(top, f.sub(size, self.side)) if whole else top
            mask = None if whole else f.tail_mask(f.sub(end, top), self.side)

            def strip(column: Axis, guard: Guard) -> None:
                for (v, dims), stack in zip(self.reads, stacks, strict=True):

                    def place(at: Operand, v: Value = v, dims: Sequence[int] = dims) -> Operand:
                        axes[self.run] = Axis(base, 1)
                        index = index_of(self.space.index([*axes, Axis(at)]), dims)
                        return evaluator.place(pointers[v], v.type, index)[0]

                    # Columns behind the last one are read again and not used.
                    last = f.sub(columns[1], 1)
                    rows = [f.smin(f.add(column.base, i), last) for i in range(self.lanes)]
                    self._turn(k, v.dtype, [place(at) for at in rows], mask, stack)
                with f.loop(top, end, name="row", nonempty=True) as at, evaluator.scope():
                    axes[self.run] = Axis(at)
                    index = self.space.index([*axes, column])
                    for (v, dims), stack in zip(self.reads, stacks, strict=True):
                        turned = f.offset(stack, f.mul(f.sub(at, base), self.lanes), v.dtype)
                        value = f.load_at(turned, v.dtype, self.lanes)
                        evaluator.give(v, index_of(index, dims), guard, value)
                    row(axes, column, guard)

            strips(k, columns, self.lanes, strip)

    def _turn(
        self, k: Kernel, dtype: str, rows: Sequence[Operand], mask: Operand | None, stack: Operand
    ) -> None:
        """Writes the columns of what lies at the pointers `rows` to the stack, square by square."""
        f, kind = k.f, "uint8" if dtype == "bool" else dtype
        for first in range(0, self.lanes, self.side):
            block = [f.load_at(p, kind, self.side, mask) for p in rows[first : first + self.side]]
            for i, column in enumerate(transpose(f, block)):
                f.store_at(f.offset(stack, i * self.lanes + first, kind), kind, column)


def index_of(index: Index, dims: Sequence[int]) -> Index:
    """The index of an operand whose dims follow those of the space."""
    return tuple(ZERO if d < 0 else index[d] for d in dims)
