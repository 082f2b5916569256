"""Loop kernels: every element of the results is computed by itself, in one pass over memory."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Operand, item_bytes
from kgraph.codegen.llvm.lower.element import Evaluator
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.hoist import Hoisting
from kgraph.codegen.llvm.lower.index import ALWAYS, Axis, Guard
from kgraph.codegen.llvm.lower.keys import body_key, body_symbols, named_symbols
from kgraph.codegen.llvm.lower.space import Space, space_of
from kgraph.codegen.llvm.lower.tiling import Tiling, strips, tile_elements
from kgraph.codegen.llvm.lower.turned import Turned
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Dim, Fact, Function, Op, Value
from kgraph.ir.ops.gather import Gather
from kgraph.ir.ops.index import DynamicSlice, Pad, Reverse

# Where these read depends on the size of what they read.
_SIZED = (DynamicSlice, Gather, Reverse)
_LONG = 32  # operations


@dataclass(frozen=True)
class Loop:
    """A body whose results all have one shape."""

    body: Function
    space: Space
    lanes: int
    elements: int
    turned: Turned | None

    @staticmethod
    def of(body: Function, target: Target) -> Loop:
        """How the body is computed on a target."""
        space = space_of(body, body.results, body.results[0].shape)
        lanes, elements = vector_lanes(body, space, target), tile_elements(body_cost(body))
        return Loop(body, space, lanes, elements, Turned.of(body, space, lanes, elements))

    @property
    def flat(self) -> bool:
        """Whether one counter runs through all elements: then one kernel serves all sizes."""
        return len(self.space.runs) == 1 and all(
            not isinstance(op, _SIZED)
            and all(v.type.rank == 0 or v.shape == self.space.shape for v in op.operands)
            and all(v.type.rank == 0 or v.shape == self.space.shape for v in op.results)
            for op in self.body.ops
        )

    def key(self) -> Hashable:
        """Of the kernel."""
        return ("loop", body_key(self.body, shapes=not self.flat), self.lanes, self.elements)

    def launch(self, frame: Frame, inputs: Sequence[Operand], outputs: Sequence[Operand]) -> None:
        """Runs the kernel."""
        symbols = named_symbols(self.body) if self.flat else body_symbols(self.body)
        sizes = [frame.size(s) for s in self.space.sizes]
        if self.turned is None:
            count = Tiling.of(frame, sizes, self.elements).count()
        else:
            count = self.turned.count(frame, sizes)
        unknown = sizes if self.flat else []
        label = "loop" if len(self.body.ops) > 1 else self.body.results[0].op.name
        frame.launch(self.key(), label, [*inputs, *outputs, *unknown], count, self.write, symbols)

    def write(self, k: Kernel) -> None:
        """Writes the kernel: its arguments are inputs, outputs, and the size of a flat one."""
        body = self.body
        places = k.arguments[: len(body.params) + len(body.results)]
        inputs, outputs = places[: len(body.params)], places[len(body.params) :]
        sizes = list(k.arguments[len(places) :]) or [k.size(s) for s in self.space.sizes]
        pointers = dict(zip(body.params, inputs, strict=True))
        evaluator = Evaluator(k, body, pointers, self.lanes)
        hoisting = Hoisting(evaluator, body, self.space)
        hoisting.at([])

        def element(axes: list[Axis], column: list[Axis], guard: Guard) -> None:
            index = self.space.index([*axes, *column])
            values = evaluator.values(body.results, index, guard)
            for v, base, value in zip(body.results, outputs, values, strict=True):
                evaluator.store(base, v.type, index, guard, value)

        if self.turned is not None:

            def vector(axes: list[Axis], column: Axis, guard: Guard) -> None:
                hoisting.at(axes)
                element(axes, [column], guard)

            self.turned.write(k, sizes, evaluator, pointers, vector)
            return
        tiling = Tiling.of(k, sizes, self.elements)
        rows, columns = tiling.bounds(k.index)

        def row(axes: list[Axis]) -> None:
            hoisting.at(axes)

            def strip(column: Axis, guard: Guard) -> None:
                with evaluator.scope():
                    element(axes, [column], guard)

            strips(k, columns, self.lanes, strip)

        if not sizes:
            element([], [], ALWAYS)
            return

        def scoped_row(axes: list[Axis]) -> None:
            with evaluator.scope():
                row(axes)

        tiling.each_row(rows, scoped_row)


def launch_loop(
    frame: Frame, body: Function, inputs: Sequence[Value], outputs: Sequence[Value]
) -> None:
    """Lowers a body over values."""
    Loop.of(body, frame.target).launch(
        frame, [frame.pointer(v) for v in inputs], [frame.pointer(v) for v in outputs]
    )


def vector_lanes(body: Function, space: Space, target: Target) -> int:
    """The lanes for a space: a register of the widest dtype, no more than the columns need.

    Of a dtype that few ops have, a vector may be two registers. So is that of a chain of ops longer
    than a core looks ahead: it waits for each op, and the two take turns.
    """
    if not space.runs or _has_holes(body, space.runs[-1]):
        return 0
    costs: dict[int, int] = {}
    for op in body.ops:
        dtypes = [v.dtype for v in (*op.operands, *op.results) if v.type.rank]
        width = max(map(compute_bytes, dtypes), default=1)
        costs[width] = costs.get(width, 0) + op_cost(op)
    widest = max(costs, default=4)
    if len(costs) > 1 and 4 * costs[widest] <= sum(costs.values()):
        widest //= 2
    lanes = target.lanes(widest)
    if is_long(body):
        lanes *= 2
    columns = space.sizes[-1]
    if isinstance(columns, Dim):
        return lanes
    while lanes > 1 and lanes // 2 >= columns:
        lanes //= 2
    return lanes if lanes > 1 else 0


def compute_bytes(dtype: str) -> int:
    """Bytes of a register's lane when computing in the dtype."""
    return 4 if dtype in ("float16", "bfloat16") else item_bytes(dtype)


def _has_holes(body: Function, run: Sequence[int]) -> bool:
    """Does an op pad between elements of the run, or does the run count places of a gather?

    Vectors cannot run along such a dim.
    """
    return any(
        (isinstance(op, Pad) and any(op.interior[d] for d in run if d < len(op.interior)))
        or (isinstance(op, Gather) and any(d not in op.offset_dims for d in run))
        for op in body.ops
    )


def body_cost(body: Function) -> int:
    """Operations per element, roughly."""
    return len(body.params) + sum(map(op_cost, body.ops))


def is_long(body: Function) -> bool:
    """Is it a chain of ops longer than a core looks ahead?"""
    return sum(map(op_cost, body.ops)) >= _LONG


def op_cost(op: Op) -> int:
    """Operations per element, roughly."""
    slow = 10 if Fact.TRANSCENDENTAL in op.facts else 0
    return 1 + slow + (20 if op.name in ("threefry", "power", "erf_inv") else 0)
