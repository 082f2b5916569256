"""A graph function into a frame: places from the memory plan, then op after op."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.contraction import finishes_elsewhere
from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.lower.loop_ops import lower_as_loop
from kgraph.codegen.llvm.lower.packings import Packings
from kgraph.codegen.llvm.lower.probes import probe_of
from kgraph.codegen.llvm.lower.table import LOWERINGS, SCRATCH, SLAB, is_loop
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Op, Size, Value, largest
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.index import DynamicUpdateSlice
from kgraph.ir.ops.scatter import Scatter
from kgraph.ir.ops.shape import Constant
from kgraph.passes.memory import Arena, MemoryPlan, Param, Place, Result, plan_memory, writes_over


class LoweringError(NotImplementedError):
    """An op that the llvm backend has no code for."""


def plan_body(
    fn: Function,
    target: Target,
    donated: Mapping[int, int] | None = None,
    packed: Packings | None = None,
) -> MemoryPlan:
    """The memory plan of a function, with the scratch that its lowerings want.

    `packed` has the contractions whose panels will be made before.
    """
    ready = packed or {}

    def scratch(op: Op) -> Size:
        if (op,) in ready:
            return ready[op,].scratch
        wanted = SCRATCH.get(type(op))
        return 0 if wanted is None or is_empty(op) else wanted(op, target)

    return plan_memory(
        fn,
        donated=donated,
        scratch=scratch,
        in_place=lambda op, operand, result: _in_place(op, operand, result, target),
        elsewhere=lambda op: isinstance(op, Constant),
    )


def slab_of(fn: Function, target: Target, packed: Packings | None = None) -> Size:
    """The bytes that a thread wants for itself while the function runs."""
    found: list[Size] = []
    for op in fn.ops:
        if packed and (op,) in packed:
            found.append(packed[op,].slab)
            continue
        wanted = SLAB.get(type(op))
        if wanted is not None and not is_empty(op):
            found.append(wanted(op, target))
    return largest(found)


def _in_place(op: Op, operand: int, result: int, target: Target) -> bool:
    """May an op write a result over an operand, also one with sums that are not yet finished?

    What replaces windows of its first operand may do so where that lies.
    """
    if isinstance(op, DynamicUpdateSlice | Scatter):
        return operand == 0
    if not (isinstance(op, Fusion) or is_loop(op)) or not writes_over(op, operand, result):
        return False
    return not isinstance(op, Fusion) or finishes_elsewhere(op, target)


def lower_body(
    frame: Frame,
    fn: Function,
    plan: MemoryPlan,
    params: Sequence[Operand],
    results: Sequence[Operand],
    arena: Operand,
    stages: Mapping[int, Size] | None = None,
) -> None:
    """Writes the code of a function over parameters, results and an arena in memory.

    `stages` gives offsets in the arena to results that are copies of a parameter which the copy of
    another result may write over.
    """
    f = frame.f

    def pointer(place: Place) -> Operand | None:
        if isinstance(place, Param):
            return params[place.index]
        if isinstance(place, Result):
            return results[place.index]
        if isinstance(place, Arena):
            return f.offset_bytes(arena, frame.size(place.offset))
        return None

    found: dict[Value, Operand] = {}
    for value, place in plan.places.items():
        where = pointer(place)
        if where is not None:
            found[value] = where
    frame.pointers.update(found)
    for op, offset in plan.scratch.items():
        frame.scratches[op] = f.offset_bytes(arena, frame.size(offset))
    for op in fn.ops:
        lower_op(frame, op)
    staged: dict[int, Operand] = {}
    for i, offset in (stages or {}).items():
        staged[i] = f.offset_bytes(arena, frame.size(offset))
        value = fn.results[i]
        f.copy_bytes(staged[i], frame.pointer(value), frame.size(value.type.nbytes))
    for value, i in plan.copies:
        source = staged.get(i, frame.pointer(value))
        # A state that stays as it is may have one buffer as parameter and result.
        with f.when(f.compare("NE", source, results[i])):
            f.copy_bytes(results[i], source, frame.size(value.type.nbytes))


def lower_op(frame: Frame, op: Op) -> None:
    """Writes the code of one op."""
    frame.f.comment(_describe(op))
    if is_empty(op):
        return
    lowering = LOWERINGS.get(type(op))
    if lowering is None:
        if not is_loop(op):
            raise LoweringError(f"the llvm backend has no lowering for {op.name}")
        lowering = lower_as_loop
    probes = frame.kernels.probes
    with nullcontext() if probes is None else probes.around(frame.f, probe_of(op, probes.current)):
        lowering(frame, op)
    if frame.kernels.after is not None:
        frame.kernels.after(frame, op)


def is_empty(op: Op) -> bool:
    """Is it known that no result has an element? Then nothing is to be done."""
    return all(v.type.size == 0 for v in op.results)


def _describe(op: Op) -> str:
    types = ", ".join(str(v.type) for v in op.results)
    path = op.location.path
    return f"{op.name} -> {types}{f'  ({path})' if path else ''}"
