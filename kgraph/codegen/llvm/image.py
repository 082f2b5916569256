"""From a graph function to machine code: passes, memory plan, module, object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from kgraph.codegen.base import CodeStore, NativeImage
from kgraph.codegen.llvm.assemble import Assembler
from kgraph.codegen.llvm.emit import (
    I32,
    I64,
    PTR,
    Function,
    Module,
    Operand,
    Parts,
    Type,
    constant,
)
from kgraph.codegen.llvm.fingerprint import target_of
from kgraph.codegen.llvm.lower import Frame, Kernels, lower_body, plan_body, slab_of
from kgraph.codegen.llvm.lower.nan import NanFinder
from kgraph.codegen.llvm.lower.probes import Probes
from kgraph.codegen.llvm.panels import Panels, panels_of
from kgraph.codegen.llvm.target import Target
from kgraph.codegen.options import Options
from kgraph.codegen.probe import Probe
from kgraph.ir import Function as Graph
from kgraph.ir import Size
from kgraph.passes.arena import aligned
from kgraph.passes.base import Pass, Trail, run_passes
from kgraph.passes.memory import MemoryPlan, Param
from kgraph.passes.outline import Outline
from kgraph.passes.pipeline import llvm_pipeline
from kgraph.passes.prepare import split

_SLABS = 3  # the word of the context that points to the threads' slabs; the caller's is the first
_PLAIN = Options()
_JOINING = ("outline", "fuse")  # the passes that make one op of several
_RUN = [("buffers", PTR), ("sizes", PTR), ("arena", PTR), ("context", PTR)]


@dataclass(frozen=True)
class Lowered:
    """The module of a function, as text, and what it wants around it."""

    text: str
    arena: Size
    slab: Size
    probes: tuple[Probe, ...] = ()


def compile(
    fn: Graph,
    *,
    state: int,
    donate: Mapping[int, int],
    options: Options,
    threads: int = 1,
    store: CodeStore | None = None,
) -> NativeImage:
    """Compiles a verified function; see `codegen.base.Backend`."""
    target = target_of(options)
    if options.find_nan:
        return _searched(fn, target, options, Assembler(target, threads))
    found = schedule(fn, state=state, donate=donate, options=options)
    main = Assembler(target, threads, store)
    image = _image(found.main, target, donate, found.panels, options, main)
    if found.prepare is None:
        return image
    prepare = Assembler(target, threads, store)
    return _with_prepare(image, found.prepare, target, found.panels, prepare)


@dataclass(frozen=True)
class Schedule:
    """What code is written for.

    Attributes:
        main: the function; the results of `prepare` are parameters behind its state.
        prepare: what depends on the state alone; None where there is nothing of it.
        panels: weights of `main` in the order in which products read them, which `prepare` makes.
    """

    main: Graph
    prepare: Graph | None
    panels: Sequence[Panels]


def schedule(
    fn: Graph,
    *,
    state: int,
    donate: Mapping[int, int],
    options: Options,
    trail: Trail | None = None,
) -> Schedule:
    """Runs the passes; `trail` collects those of `main`.

    Where nothing is donated, what depends on the state alone is left to `prepare`: values that the
    function computes from it, and the panels in which products read their weights.
    """
    target = target_of(options)
    passes = llvm_pipeline(bool(state) and not donate, options.exact, near=target.l2 // 4)
    cut = next(i for i, p in enumerate(passes) if isinstance(p, Outline))

    def run(graph: Graph, some: Sequence[Pass], trail: Trail | None = None) -> Graph:
        off = options.disabled
        return run_passes(graph, some, disabled=off, check=options.verify, trail=trail)

    graph = run(fn, passes[:cut], trail)
    early: Graph | None = None
    known = 0
    if state and not donate:
        early, graph = split(graph, state)
        known = state + (len(graph.params) - len(fn.params))
    graph = run(graph, passes[cut:], trail)
    panels = panels_of(graph, known, target)
    if early is None and not panels:
        return Schedule(graph, None, ())
    early = early or Graph(fn.params[:state], (), (), f"{fn.name}.prepare")
    return Schedule(graph, run(early, passes[cut:]), panels)


def _searched(fn: Graph, target: Target, options: Options, assembler: Assembler) -> NativeImage:
    """Each op by itself, with a search for NaN behind it; nothing is updated in place, so that the
    state before the step is there when it fails."""
    disabled = {*options.disabled, *_JOINING}
    graph = run_passes(fn, llvm_pipeline(), disabled=disabled, check=options.verify)
    return _image(graph, target, {}, (), options, assembler)


def _image(
    fn: Graph,
    target: Target,
    donate: Mapping[int, int],
    panels: Sequence[Panels],
    options: Options,
    assembler: Assembler,
) -> NativeImage:
    with assembler:
        lowered = lower(fn, target, donate, panels, options, assembler)
        assembler.add(lowered.text)
        code = assembler.finish()
    first = panels[0].param if panels else 0
    params = [p.type for p in fn.params]
    params[first:first] = [p.type for p in panels]
    return NativeImage(
        code=code,
        params=tuple(params),
        results=tuple(v.type for v in fn.results),
        symbols=fn.symbols,
        arena=lowered.arena,
        slab=lowered.slab,
        in_place=bool(donate),
        probes=lowered.probes,
    )


def _with_prepare(
    image: NativeImage,
    early: Graph,
    target: Target,
    panels: Sequence[Panels],
    assembler: Assembler,
) -> NativeImage:
    """The image with the function that makes its further parameters."""
    with assembler:
        lowered = lower_prepare(early, target, panels, assembler)
        assembler.add(lowered.text)
        code = assembler.finish()
    prepare = NativeImage(
        code=code,
        params=tuple(p.type for p in early.params),
        results=(*(v.type for v in early.results), *(p.type for p in panels)),
        symbols=early.symbols,
        arena=lowered.arena,
        slab=lowered.slab,
    )
    return replace(image, prepare=prepare)


def lower(
    fn: Graph,
    target: Target,
    donate: Mapping[int, int] | None = None,
    panels: Sequence[Panels] = (),
    options: Options = _PLAIN,
    parts: Parts | None = None,
) -> Lowered:
    """The module of a scheduled function; its entry is `kgraph_run`.

    `panels` are further parameters, between the others. The options say whether ops are
    measured or searched for NaN. `parts` takes the module in parts, and the text is then the
    last one.
    """
    plan = plan_body(fn, target, donate)
    arena = plan.arena
    stages: dict[int, Size] = {}
    for i in _staged(fn, plan, donate or {}):
        stages[i] = arena
        arena = arena + aligned(fn.results[i].type.nbytes)
    # What is found stands in a variable, which has to be in the part that writes it.
    module = Module(target, None if options.profile or options.find_nan else parts)
    probes = Probes(module) if options.profile else None
    finder = NanFinder(module) if options.find_nan else None
    kernels = Kernels(module, probes, None if finder is None else finder.after)
    with _entry(kernels, fn.symbols) as (frame, buffers, base):
        count = len(fn.params) + len(panels)
        pointers = [_word(frame.f, buffers, i) for i in range(count + len(fn.results))]
        params, results = pointers[:count], pointers[count:]
        for i, item in enumerate(panels):
            frame.packed[item.path] = params[item.param + i]
        if panels:
            first = panels[0].param
            del params[first : first + len(panels)]
        lower_body(frame, fn, plan, params, results, base, stages)
    watch = probes or finder
    found = () if watch is None else watch.finish()
    return Lowered(module.last(), arena, slab_of(fn, target), found)


def lower_prepare(
    early: Graph,
    target: Target,
    panels: Sequence[Panels],
    parts: Parts | None = None,
) -> Lowered:
    """The module of `prepare`: the results of `early`, then the panels."""
    plan = plan_body(early, target)
    module = Module(target, parts)
    with _entry(Kernels(module), early.symbols) as (frame, buffers, base):
        ends = (len(early.params), len(early.params) + len(early.results))
        pointers = [_word(frame.f, buffers, i) for i in range(ends[1] + len(panels))]
        params, results = pointers[: ends[0]], pointers[ends[0] : ends[1]]
        lower_body(frame, early, plan, params, results, base)
        known = [*params, *results]
        for item, pointer in zip(panels, pointers[ends[1] :], strict=True):
            item.packing.launch(frame, known[item.source], pointer)
    return Lowered(module.last(), plan.arena, slab_of(early, target))


@contextmanager
def _entry(kernels: Kernels, symbols: Sequence[str]) -> Iterator[tuple[Frame, Operand, Operand]]:
    """Writes `kgraph_run`: gives its frame, the table of buffers and the arena."""
    with kernels.module.function("kgraph_run", _RUN, returns=I32, cold=True) as f:
        buffers, sizes, base, context = f.parameters
        values = {s: _word(f, sizes, i, I64) for i, s in enumerate(symbols)}
        yield Frame(f, kernels, values, context, _word(f, context, _SLABS)), buffers, base
        f.ret(constant(0, I32))


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


__all__ = ["Lowered", "Schedule", "compile", "lower", "lower_prepare", "schedule"]
