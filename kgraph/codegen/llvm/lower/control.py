"""Branches and loops: the regions are written in place, over memory that the op asked for.

Carries are double-buffered: a turn reads one set of buffers and writes the other, and one of the
two sets is the results themselves. Slices of a scan are rows of dim 0, so they are read and written
where they lie.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from kgraph.codegen.llvm.emit import I1, Operand
from kgraph.codegen.llvm.lower.body import lower_body, plan_body, slab_of
from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.lower.packings import Packings, captures_of, packings_of
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch, wants_slab
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Op, Size, TensorType, Value, maximum
from kgraph.ir.ops.control import Case, If, Scan, While
from kgraph.passes.arena import aligned
from kgraph.passes.memory import MemoryPlan


@dataclass(frozen=True)
class Spans:
    """Pieces of memory one behind the other."""

    starts: tuple[Size, ...]
    total: Size

    @staticmethod
    def of(sizes: Sequence[Size]) -> Spans:
        """Those of these sizes, each on cache lines of its own."""
        starts: list[Size] = []
        total: Size = 0
        for size in sizes:
            starts.append(total)
            total = total + aligned(size)
        return Spans(tuple(starts), total)


def write_region(
    frame: Frame,
    op: Op,
    region: Function,
    plan: MemoryPlan,
    params: Sequence[Operand],
    results: Sequence[Operand],
    arena: Operand,
) -> None:
    """Writes a region's code; no result shares memory with a parameter or another result."""
    lower_body(frame.inner(op), region, plan, params, results, arena)


def _copy(frame: Frame, to: Operand, source: Operand, type_: TensorType) -> None:
    frame.f.copy_bytes(to, source, frame.size(type_.nbytes))


@wants_slab(If, Case, While, Scan)
def regions_slab(op: Op, target: Target) -> Size:
    """What the ops of the regions want for their tiles."""
    packings = packings_of(op.body, captures_of(op), target) if isinstance(op, Scan) else None
    total: Size = 0
    for region in op.regions:
        total = maximum(total, slab_of(region, target, packings))
    return total


# ---- branches ----


def _arena(frame: Frame, op: Op) -> Operand:
    """The scratch of the op; where it wants none, some pointer."""
    found = frame.scratches.get(op)
    return frame.slab if found is None else found


@wants_scratch(If, Case)
def branches_scratch(op: If | Case, target: Target) -> Size:
    """The arena of the branch that runs."""
    total: Size = 0
    for region in op.regions:
        total = maximum(total, plan_body(region, target).arena)
    return total


@lowers(If)
def lower_if(frame: Frame, op: If) -> None:
    """One of the two regions."""
    _write_branches(frame, op, op.captures, frame.f.load_at(frame.pointer(op.pred), "bool"))


@lowers(Case)
def lower_case(frame: Frame, op: Case) -> None:
    """One of the regions; the last one runs for an index that is none of the others'."""
    index = frame.f.load_at(frame.pointer(op.index), "int32")
    _write_branches(frame, op, op.captures, index)


def _write_branches(
    frame: Frame, op: If | Case, captures: Sequence[Value], selector: Operand
) -> None:
    f = frame.f
    params = [frame.pointer(v) for v in captures]
    results = [frame.pointer(v) for v in op.results]
    arena = _arena(frame, op)

    def write(regions: Sequence[Function], number: int) -> None:
        if len(regions) == 1:
            plan = plan_body(regions[0], frame.target)
            write_region(frame, op, regions[0], plan, params, results, arena)
            return
        is_it = selector if selector.type is I1 else f.compare("EQ", selector, number)
        choice = f.choose(is_it)
        with choice.then():
            write(regions[:1], number)
        with choice.otherwise():
            write(regions[1:], number + 1)

    write(op.regions, 0)


# ---- loops ----


@dataclass(frozen=True)
class _Loop:
    """The memory of a loop: the other set of carries, the condition, the arena of a turn.

    Behind them are the panels of `packings`, which the turns share.
    """

    plans: tuple[MemoryPlan, ...]
    packings: Packings
    spans: Spans

    @staticmethod
    def of(
        regions: Sequence[Function],
        carries: Sequence[Value],
        target: Target,
        packings: Packings = MappingProxyType({}),
    ) -> _Loop:
        plans = tuple([plan_body(region, target, packed=packings) for region in regions])
        arena: Size = 0
        for plan in plans:
            arena = maximum(arena, plan.arena)
        panels = [packing.nbytes for packing in packings.values()]
        spans = Spans.of([1, arena, *[v.type.nbytes for v in carries], *panels])
        return _Loop(plans, packings, spans)

    @staticmethod
    def of_scan(op: Scan, target: Target) -> _Loop:
        packings = packings_of(op.body, captures_of(op), target)
        return _Loop.of((op.body,), op.init, target, packings)

    def places(self, frame: Frame, op: Op) -> list[Operand]:
        """Where the condition, the arena, the carries and the panels are."""
        scratch = frame.scratch(op)
        return [frame.f.offset_bytes(scratch, frame.size(start)) for start in self.spans.starts]


@wants_scratch(While)
def while_scratch(op: While, target: Target) -> Size:
    """The memory of the loop."""
    return _Loop.of((op.cond, op.body), op.init, target).spans.total


@wants_scratch(Scan)
def scan_scratch(op: Scan, target: Target) -> Size:
    """The memory of the loop."""
    return _Loop.of_scan(op, target).spans.total


@lowers(While)
def lower_while(frame: Frame, op: While) -> None:
    """Turns read one set of carries and write the other; the first set are the results."""
    f = frame.f
    loop = _Loop.of((op.cond, op.body), op.init, frame.target)
    flag, arena, *others = loop.places(frame, op)
    captures = [frame.pointer(v) for v in op.captures]
    results = [frame.pointer(v) for v in op.results]
    for v, to in zip(op.init, results, strict=True):
        _copy(frame, to, frame.pointer(v), v.type)
    count = len(results)
    with f.while_loop([*results, *others]) as turn:
        now, then = turn.values[:count], turn.values[count:]
        write_region(frame, op, op.cond, loop.plans[0], [*now, *captures], [flag], arena)
        turn.test(f.load_at(flag, "bool"))
        write_region(frame, op, op.body, loop.plans[1], [*now, *captures], then, arena)
        turn.next(*then, *now)
    if count:
        with f.when(f.compare("NE", turn.results[0], results[0])):
            for v, to, source in zip(op.init, results, turn.results, strict=False):
                _copy(frame, to, source, v.type)


@lowers(Scan)
def lower_scan(frame: Frame, op: Scan) -> None:
    """The first turn reads `init`; the two sets alternate so that the last turn writes results."""
    f = frame.f
    loop = _Loop.of_scan(op, frame.target)
    length, count = frame.size(op.length), len(op.init)
    _, arena, *others = loop.places(frame, op)
    others, panels = others[:count], others[count:]
    init = [frame.pointer(v) for v in op.init]
    captures = [frame.pointer(v) for v in op.captures]
    results = [frame.pointer(v) for v in op.results[:count]]
    with f.when(f.compare("LE", length, 0)):
        for v, to in zip(op.init, results, strict=True):
            _copy(frame, to, frame.pointer(v), v.type)
    _give_panels(frame, op, loop.packings, panels)
    odd = f.compare("NE", f.and_(length, 1), 0)
    first = [f.select(odd, x, y) for x, y in zip(results, others, strict=True)]
    second = [f.select(odd, y, x) for x, y in zip(results, others, strict=True)]
    with f.carried_loop(0, length, [*init, *first, *second], name="t") as turn:
        now = turn.values[:count]
        then, after = turn.values[count : 2 * count], turn.values[2 * count :]
        at = f.sub(f.sub(length, 1), turn.index) if op.reverse else turn.index

        def row(v: Value) -> Operand:
            size = v.type.with_shape(v.shape[1:]).nbytes
            return f.offset_bytes(frame.pointer(v), f.mul(at, frame.size(size)))

        params = [*now, *(row(x) for x in op.xs), *captures]
        gives = [*then, *(row(y) for y in op.results[count:])]
        write_region(frame, op, op.body, loop.plans[0], params, gives, arena)
        turn.next(*then, *after, *then)


def _give_panels(frame: Frame, op: Scan, packings: Packings, panels: Sequence[Operand]) -> None:
    """Makes the panels that nobody has made before, and tells where they are."""
    for (path, packing), panel in zip(packings.items(), panels, strict=True):
        place = (*frame.path, op, *path)
        if place not in frame.packed:
            source = op.operands[op.body.params.index(path[0].operands[packing.operand])]
            packing.launch(frame, frame.pointer(source), panel)
            frame.packed[place] = panel
