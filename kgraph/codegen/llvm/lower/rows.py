"""Several reductions of each row, one behind the other, and what is made of them for each element.

A softmax, a normalisation or a loss over classes reads its rows again and again: for a maximum, for
a sum, for the quotients. Here one kernel does it all for a row, whose elements stay in the first
caches meanwhile. The body is cut into levels: a level is a loop over the row that reduces and
stores whatever needs no sum of a later one. Between the levels numbers of the row are computed. A
level computes again what an earlier one has computed, unless it is dear: that lies in a private row
from the level that makes it on.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.elementwise import accumulator
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.hoist import Hoisting
from kgraph.codegen.llvm.lower.index import ALWAYS, ZERO, Axis
from kgraph.codegen.llvm.lower.keys import body_key, body_symbols
from kgraph.codegen.llvm.lower.loops import body_cost, op_cost, vector_lanes
from kgraph.codegen.llvm.lower.reduce_kernel import ReductionKernel, Stored
from kgraph.codegen.llvm.lower.reduction import Reduction, vectors_of
from kgraph.codegen.llvm.lower.space import space_of
from kgraph.codegen.llvm.lower.tiling import likely, tile_elements
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Op, Param, Shape, Size, TensorType, Value, users
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import Constant
from kgraph.passes.arena import aligned

_DEAR = 8  # operations that cost more than a store and a load of the first cache


def is_of_rows(body: Function) -> bool:
    """Does a body with reductions read their results, or give other numbers of the rows?"""
    reduces = [op for op in body.ops if isinstance(op, Reduce)]
    readers = users(body)
    return any(readers.get(op.result) for op in reduces) or any(
        v.shape != reduces[0].x.shape and not isinstance(v.op, Reduce) for v in body.results
    )


@dataclass(frozen=True)
class Level:
    """A loop over a row.

    Attributes:
        plan: its reductions.
        stores: the results that have an element for each of the row's.
        keeps: what it puts into private rows for later levels.
        reads: what lies in memory since an earlier level.
        numbers: of the row, which have to be known before.
    """

    plan: Reduction
    stores: tuple[Value, ...]
    keeps: tuple[Value, ...]
    reads: tuple[Value, ...]
    numbers: tuple[Value, ...]


@dataclass(frozen=True)
class Rows:
    """A body and its levels. `private` has the places of private rows, in bytes."""

    plan: Reduction
    levels: tuple[Level, ...]
    private: dict[Value, Size]
    slab: Size

    @staticmethod
    def of(body: Function, target: Target) -> Rows:
        """How the body is computed on a target."""
        plan = _plan(body, target)
        levels = _levels(plan)
        private: dict[Value, Size] = {}
        end: Size = 0
        for level in levels:
            for v in level.keeps:
                private[v] = end
                end = end + aligned(_row_type(plan.reduces[0], v).nbytes)
        return Rows(plan, levels, private, end)

    def write(self, k: Kernel) -> None:
        """Writes the kernel: its arguments are the inputs and the outputs."""
        plan, body = self.plan, self.plan.body
        inputs = dict(zip(body.params, k.arguments, strict=False))
        outputs = dict(zip(body.results, k.arguments[len(body.params) :], strict=True))
        evaluator = Evaluator(k, body, inputs, plan.lanes)
        hoisting = Hoisting(evaluator, body, plan.space)
        hoisting.at([])
        sizes = plan.sizes(k)
        tiling = plan.tiling(k, sizes)
        rows, _ = tiling.bounds(k.index)
        first = plan.reduces[0]

        def place(v: Value) -> Stored:
            if v in outputs:
                return Stored(v, outputs[v], v.type, tuple(range(v.type.rank)))
            base = k.f.offset_bytes(k.slab, k.size(self.private[v]))
            return Stored(v, base, _row_type(plan.reduces[0], v), first.dims)

        def row(axes: list[Axis]) -> None:
            with evaluator.scope():
                known = dict(zip(plan.kept, axes, strict=False))
                hoisting.at([known[r] for r in plan.kept])
                index = plan.space.index([known.get(r, ZERO) for r in range(len(sizes))])
                at = tuple(index[d] for d in first.kept)
                for level in self.levels:
                    evaluator.values(level.numbers, at, ALWAYS)
                    stores = [place(v) for v in (*level.stores, *level.keeps)]
                    reads = [place(v) for v in level.reads]
                    kernel = ReductionKernel(level.plan, k, evaluator, stores, reads)
                    sums = kernel.row(known)
                    for op, value in zip(level.plan.reduces, sums, strict=True):
                        dtype = op.x.dtype
                        rounded = k.f.convert(value, accumulator(dtype), dtype)
                        evaluator.give(op.result, at, ALWAYS, rounded)
                found = [v for v in outputs if v.shape == first.result.shape]
                for v, value in zip(found, evaluator.values(found, at, ALWAYS), strict=True):
                    evaluator.store(outputs[v], v.type, at, ALWAYS, value)

        tiling.each_row(rows, row)


def _plan(body: Function, target: Target) -> Reduction:
    """The reductions of all levels as one."""
    reduces = tuple(op for op in body.ops if isinstance(op, Reduce))
    x = reduces[0].x
    roots = [*(op.x for op in reduces), *(v for v in body.results if v.shape == x.shape)]
    space = space_of(body, roots, x.shape, [d in reduces[0].dims for d in range(x.type.rank)])
    cost = body_cost(body)
    elements = max(1, tile_elements(cost) // likely(_row_type(reduces[0], x).size))
    lanes = vector_lanes(body, space, target)
    return Reduction(body, reduces, reduces[0].dims, space, lanes, 1, elements, 0)


def _row_type(reduce: Reduce, v: Value) -> TensorType:
    """Of a row of a value."""
    return v.type.with_shape(tuple(v.shape[d] for d in reduce.dims))


def _levels(plan: Reduction) -> tuple[Level, ...]:
    """The loops, in order."""
    body = plan.body
    at: dict[Value, int] = dict.fromkeys(body.params, 0)
    for op in body.ops:
        level = max((at[v] for v in op.operands), default=0) + isinstance(op, Reduce)
        at.update(dict.fromkeys(op.results, level))
    shape = plan.reduces[0].x.shape
    stored = [v for v in body.results if v.shape == shape]
    last = max(at[v] for v in (*(op.x for op in plan.reduces), *stored))
    roots = [
        (
            [op for op in plan.reduces if at[op.x] == level],
            [v for v in stored if at[v] == level],
        )
        for level in range(last + 1)
    ]
    levels = []
    lies: set[Value] = set()
    for level, (reduces, stores) in enumerate(roots):
        cone = _Cone.of([*(op.x for op in reduces), *stores], shape, lies)
        later = [v for xs, ys in roots[level + 1 :] for v in (*(op.x for op in xs), *ys)]
        keeps = [
            v
            for v in _handed_on(cone, later, _Cone.of(later, shape, lies))
            if v not in stores and _cost(_Cone.of([v], shape, lies)) >= _DEAR
        ]
        vectors = vectors_of(plan.space, plan.lanes, sum(map(op_cost, cone.ops)))
        part = replace(plan, reduces=tuple(reduces), vectors=vectors)
        levels.append(
            Level(part, tuple(stores), tuple(keeps), tuple(cone.read), tuple(cone.numbers))
        )
        lies.update(keeps, stores)
    return tuple(levels)


def _handed_on(now: _Cone, roots: Sequence[Value], later: _Cone) -> list[Value]:
    """The values of both cones that the later one needs for what it has alone."""
    shared = set(now.ops).intersection(later.ops)
    wanted = {v for op in later.ops if op not in shared for v in op.operands} | set(roots)
    return [v for op in now.ops if op in shared for v in op.results if v in wanted]


def _cost(cone: _Cone) -> int:
    """Operations, roughly; a division is as slow as four others."""
    return sum(4 if op.name in ("divide", "sqrt", "rsqrt") else op_cost(op) for op in cone.ops)


@dataclass(frozen=True)
class _Cone:
    """What it takes to make values of an element.

    Attributes:
        ops: of its size.
        read: values that lie in memory since an earlier level.
        numbers: of the row.
    """

    ops: tuple[Op, ...]
    read: tuple[Value, ...]
    numbers: tuple[Value, ...]

    @staticmethod
    def of(roots: Iterable[Value], shape: Shape, lies: Collection[Value]) -> _Cone:
        """What `roots` take, where `lies` lie in memory."""
        ops: dict[Op, None] = {}
        read: dict[Value, None] = {}
        numbers: dict[Value, None] = {}
        pending = list(roots)
        while pending:
            v = pending.pop()
            if v in lies:
                read[v] = None
            elif v.shape != shape:
                if not isinstance(v.op, Param | Constant):
                    numbers[v] = None
            elif v.op not in ops and not isinstance(v.op, Param):
                ops[v.op] = None
                pending += v.op.operands
        return _Cone(tuple(ops), tuple(read), tuple(numbers))


def launch_rows(
    frame: Frame, body: Function, inputs: Sequence[Value], outputs: Sequence[Value]
) -> None:
    """Lowers a body over values."""
    found = Rows.of(body, frame.target)
    places = [frame.pointer(v) for v in (*inputs, *outputs)]
    count = found.plan.tiling(frame, found.plan.sizes(frame)).count()
    key = ("rows", body_key(body), found.plan.lanes, found.plan.elements)
    frame.launch(key, "rows", places, count, found.write, body_symbols(body))


def rows_slab(body: Function, target: Target) -> Size:
    """The bytes of private rows."""
    return Rows.of(body, target).slab
