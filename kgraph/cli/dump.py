"""`kgraph dump`: the programs behind a model, at any stage of their compilation."""

import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kgraph.cli.sources import read_model, read_program
from kgraph.cli.statistics import print_statistics
from kgraph.cli.steps import trace_step
from kgraph.ir import Function, to_networkx, to_text
from kgraph.passes.base import PASSES, Trail
from kgraph.runtime import default_options

if TYPE_CHECKING:
    from kgraph.codegen.llvm.image import Lowered, Schedule

_STAGES = ("traced", "prepare", "optimized", "llvm", "asm")


def dump(
    source: Annotated[
        str, typer.Argument(help="model.keras, script.py:model (runs the script) or a .kg file.")
    ],
    step: Annotated[
        str | None,
        typer.Option(help="train, evaluate or predict; by default train if the model is compiled."),
    ] = None,
    stage: Annotated[
        str,
        typer.Option(
            help=f"{', '.join(_STAGES[:-1])} or asm; prepare is what runs once for weights."
        ),
    ] = "optimized",
    after: Annotated[
        str | None, typer.Option(help="The graph after the first run of this pass.")
    ] = None,
    changed: Annotated[
        bool, typer.Option(help="Each pass that changed something, as a diff.")
    ] = False,
    layer: Annotated[str | None, typer.Option(help="Only the ops of this layer.")] = None,
    stats: Annotated[
        bool, typer.Option(help="Ops, FLOPs, bytes, memory, critical path, time of each pass.")
    ] = False,
    dot: Annotated[bool, typer.Option(help="The graph in Graphviz's language.")] = False,
    locations: Annotated[
        bool, typer.Option(help="Print the layer and source line of each op.")
    ] = False,
) -> None:
    """Print the program of a model's step."""
    if stage not in _STAGES:
        raise ValueError(f"expected a stage of {', '.join(_STAGES)}; got {stage!r}")
    if source.endswith(".kg"):
        traced, state, donate = read_program(Path(source)), 0, {}
    else:
        found = trace_step(read_model(source), step)
        traced, state, donate = found.function, len(found.variables), found.replaced
    trail = Trail()
    schedule = _schedule(traced, state, donate, trail)
    shown = _shown(stage, traced, schedule) if after is None else _after(trail, after)
    if changed:
        _print_changes(trail)
    elif stats:
        print_statistics(traced, shown, trail, _lowered(schedule, donate))
    elif dot:
        sys.stdout.write(_dot(shown))
    elif stage in ("llvm", "asm"):
        sys.stdout.write(_native_text(_lowered(schedule, donate), stage))
    elif layer is not None:
        sys.stdout.write(_of_layer(shown, layer))
    else:
        sys.stdout.write(to_text(shown, locations))


def _schedule(traced: Function, state: int, donate: Mapping[int, int], trail: Trail) -> "Schedule":
    from kgraph.codegen.llvm.image import schedule

    options = default_options()
    return schedule(traced, state=state, donate=donate, options=options, trail=trail)


def _shown(stage: str, traced: Function, schedule: "Schedule") -> Function:
    if stage == "traced":
        return traced
    if stage != "prepare":
        return schedule.main
    if schedule.prepare is None:
        raise ValueError("the step computes nothing that depends on its weights alone")
    if not schedule.prepare.results:
        raise ValueError("of its weights alone the step only makes panels; --stage llvm shows how")
    return schedule.prepare


def _after(trail: Trail, name: str) -> Function:
    for step in trail.steps:
        if step.name == name:
            return step.after
    raise ValueError(f"no pass called {name!r} ran; the passes are {', '.join(sorted(PASSES))}")


def _print_changes(trail: Trail) -> None:
    for step in trail.steps:
        if step.changed:
            before, after = to_text(step.before).splitlines(), to_text(step.after).splitlines()
            lines = difflib.unified_diff(before, after, "before", "after", lineterm="", n=2)
            sys.stdout.write(
                "\n".join([f"==== {step.name} ({step.seconds * 1e3:.1f} ms)", *list(lines)[2:], ""])
            )


def _of_layer(fn: Function, layer: str) -> str:
    """The lines of ops that the layer or its gradient made."""
    lines = to_text(fn, locations=True).splitlines()
    kept = [
        line
        for line in lines
        if any(part.removesuffix(":grad") == layer for part in _path(line).split("/"))
    ]
    if not kept:
        raise ValueError(f"no op comes from a layer called {layer!r}")
    return "\n".join(kept) + "\n"


def _path(line: str) -> str:
    _, _, rest = line.partition(' @ "')
    return rest.partition('"')[0]


def _dot(fn: Function) -> str:
    graph = to_networkx(fn)
    lines = ["digraph program {", "  node [shape=box, fontname=monospace];"]
    for n, data in graph.nodes(data=True):
        op = data["op"]
        shape = ", shape=ellipse" if n < 0 else ""
        label = op.label if n < 0 else op.name
        lines.append(f'  n{n + len(fn.params)} [label="{label}"{shape}];')
    for a, b, data in graph.edges(data=True):
        lines.append(f'  n{a + len(fn.params)} -> n{b + len(fn.params)} [label="{data["label"]}"];')
    return "\n".join([*lines, "}", ""])


def _lowered(schedule: "Schedule", donate: Mapping[int, int]) -> "list[Lowered]":
    """The module of the step, and that of what runs once for its weights."""
    from kgraph.codegen.llvm.fingerprint import target_of
    from kgraph.codegen.llvm.image import lower, lower_prepare

    target = target_of(default_options())
    found = [lower(schedule.main, target, donate, schedule.panels)]
    if schedule.prepare is not None:
        found.append(lower_prepare(schedule.prepare, target, schedule.panels))
    return found


def _native_text(modules: "Sequence[Lowered]", stage: str) -> str:
    from kgraph.codegen.llvm.assemble import assembly
    from kgraph.codegen.llvm.fingerprint import target_of

    if stage == "llvm":
        return "\n".join(module.text for module in modules)
    target = target_of(default_options())
    return "\n".join(assembly(module.text, target) for module in modules)
