"""From a graph function to machine code: passes, memory plan, module, object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kgraph.codegen.base import NativeImage
from kgraph.codegen.llvm.assemble import compile_object
from kgraph.codegen.llvm.emit import I32, I64, PTR, Function, Module, Operand, Type, constant
from kgraph.codegen.llvm.fingerprint import target_of
from kgraph.codegen.llvm.lower import Frame, Kernels, lower_body, plan_body, slab_of
from kgraph.codegen.llvm.target import Target
from kgraph.codegen.options import Options
from kgraph.ir import Function as Graph
from kgraph.ir import Size
from kgraph.passes.base import run_passes
from kgraph.passes.memory import ALIGNMENT, MemoryPlan, Param
from kgraph.passes.pipeline import llvm_pipeline

_SLABS = 3  # the word of the context that points to the threads' slabs; the caller's is the first
_RUN = [("buffers", PTR), ("sizes", PTR), ("arena", PTR), ("context", PTR)]


@dataclass(frozen=True)
class Lowered:
    """The module of a function, as text, and what it wants around it."""

    text: str
    arena: Size
    slab: Size


def compile(fn: Graph, *, state: int, donate: Mapping[int, int], options: Options) -> NativeImage:
    """Compiles a verified function; see `codegen.base.Backend`."""
    target = target_of(options)
    scheduled = run_passes(fn, llvm_pipeline(), disabled=options.disabled, check=options.verify)
    lowered = lower(scheduled, target, donate)
    return NativeImage(
        code=compile_object(lowered.text, target),
        params=tuple(p.type for p in fn.params),
        results=tuple(v.type for v in fn.results),
        symbols=fn.symbols,
        arena=lowered.arena,
        slab=lowered.slab,
        in_place=bool(donate),
    )


def lower(fn: Graph, target: Target, donate: Mapping[int, int] | None = None) -> Lowered:
    """The module of a scheduled function; its entry is `kgraph_run`."""
    plan = plan_body(fn, target, donate)
    staged = _staged(fn, plan, donate or {})
    arena = plan.arena
    stages: dict[int, Size] = {}
    for i in staged:
        stages[i] = arena
        arena = arena + (fn.results[i].type.nbytes + (ALIGNMENT - 1)) // ALIGNMENT * ALIGNMENT
    module = Module(target)
    with module.function("kgraph_run", _RUN, returns=I32) as f:
        buffers, sizes, base, context = f.parameters
        symbols = {s: _word(f, sizes, i, I64) for i, s in enumerate(fn.symbols)}
        frame = Frame(f, Kernels(module), symbols, context, _word(f, context, _SLABS))
        pointers = [_word(f, buffers, i) for i in range(len(fn.params) + len(fn.results))]
        params, results = pointers[: len(fn.params)], pointers[len(fn.params) :]
        lower_body(frame, fn, plan, params, results, base, stages)
        f.ret(constant(0, I32))
    return Lowered(module.text(), arena, slab_of(fn, target))


def _word(f: Function, table: Operand, index: int, kind: Type = PTR) -> Operand:
    place = f.offset(table, index, "int64")
    return f.instruction(kind, f"load {kind.text}, ptr {place.text}, align 8", pure=False)


def _staged(fn: Graph, plan: MemoryPlan, donate: Mapping[int, int]) -> list[int]:
    """The results that are copies of a donated parameter, other than the one they replace."""
    donated = set(donate.values())
    found = []
    for value, i in plan.copies:
        place = plan.places[value]
        if isinstance(place, Param) and place.index in donated and donate.get(i) != place.index:
            found.append(i)
    return found


__all__ = ["Lowered", "compile", "lower"]
