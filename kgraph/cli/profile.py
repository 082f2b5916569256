"""`kgraph profile`: where the time of a model's step goes, by layer or by op."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from kgraph.cli.inputs import made_up
from kgraph.cli.sources import read_model, read_program
from kgraph.cli.steps import trace_step
from kgraph.ir import Function
from kgraph.runtime import Program, default_options, thread_count
from kgraph.runtime import compile as compile_function
from kgraph.runtime.profile import OpTime, Profile
from kgraph.runtime.profile import profile as measure


def profile(
    source: Annotated[
        str, typer.Argument(help="model.keras, script.py:model (runs the script) or a .kg file.")
    ],
    step: Annotated[
        str | None,
        typer.Option(help="train, evaluate or predict; by default train if the model is compiled."),
    ] = None,
    batch_size: Annotated[int, typer.Option(help="Samples, and any other unknown size.")] = 32,
    repeat: Annotated[int, typer.Option(help="Runs; the quickest one is shown.")] = 5,
    ops: Annotated[bool, typer.Option("--ops", help="A line per op, not per layer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """Print time, FLOP/s, bytes and share of each layer of a step, measured on made-up data.

    Threads are those of KGRAPH_NUM_THREADS; with several, rates are of all of them together.
    """
    if repeat < 1 or batch_size < 1:
        raise ValueError(f"expected counts of at least 1; got {batch_size=}, {repeat=}")
    options = replace(default_options(), profile=True)
    if source.endswith(".kg"):
        fn = read_program(Path(source))
        program = compile_function(fn, options=options)
        state: list[Any] = []
    else:
        traced = trace_step(read_model(source), step)
        fn = traced.function
        program = compile_function(
            fn, state=len(traced.variables), donate=traced.replaced, options=options
        )
        state = [np.array(v.value) for v in traced.variables]
    sizes = dict.fromkeys(fn.symbols, batch_size)
    inputs = made_up(fn, sizes, first=len(state))
    found = measure(program, _runs(program, state, inputs), sizes, repeat)
    rows = _by_op(found) if ops else _by_layer(found)
    if as_json:
        _print_json(fn, batch_size, found, rows)
    else:
        _print_table(fn, batch_size, found, rows)


def _runs(program: Program, state: list[Any], inputs: list[Any]) -> Callable[[], object]:
    """Runs the program; a state that it gives is that of the next run."""

    def run() -> None:
        results = program.run(state, inputs, version=0)
        for result, param in program.donate.items():
            state[param] = results[result]

    return run


@dataclass(frozen=True)
class Row:
    """A line of the table."""

    name: str
    seconds: float
    calls: int
    flops: int
    nbytes: int


def _by_op(found: Profile) -> list[Row]:
    """The ops that took time, most of it first."""
    rows = [_row(_title(item), [item]) for item in found.ops if item.calls]
    return sorted(rows, key=lambda row: -row.seconds)


def _by_layer(found: Profile) -> list[Row]:
    """The layers, most time first; gradients by themselves."""
    groups: dict[str, list[OpTime]] = {}
    for item in found.ops:
        if item.calls:
            name = item.probe.path or ("(blocks)" if item.probe.block else "(no layer)")
            groups.setdefault(name, []).append(item)
    rows = [_row(name, items) for name, items in groups.items()]
    return sorted(rows, key=lambda row: -row.seconds)


def _title(item: OpTime) -> str:
    return "  ".join(p for p in (item.probe.op, item.probe.path, item.probe.result) if p)


def _row(name: str, items: Sequence[OpTime]) -> Row:
    return Row(
        name,
        sum(item.seconds for item in items),
        sum(item.calls for item in items),
        sum(item.flops for item in items),
        sum(item.nbytes for item in items),
    )


def _print_table(fn: Function, batch_size: int, found: Profile, rows: list[Row]) -> None:
    write = sys.stdout.write
    write(
        f"{fn.name or 'program'}: {found.seconds * 1e3:.3f} ms, batch {batch_size}, "
        f"threads {thread_count()}\n"
    )
    write(f"{'ms':>10} {'share':>6} {'GFLOP/s':>8} {'MB':>9} {'GB/s':>7} {'calls':>7}  layer\n")
    rest = found.seconds - sum(row.seconds for row in rows)
    for row in [*rows, Row("(arguments, results, Python)", rest, 1, 0, 0)]:
        seconds = max(row.seconds, 1e-9)
        write(
            f"{row.seconds * 1e3:10.4f} {row.seconds / found.seconds:6.1%} "
            f"{row.flops / seconds * 1e-9:8.1f} {row.nbytes * 1e-6:9.3f} "
            f"{row.nbytes / seconds * 1e-9:7.1f} {row.calls:7}  {row.name}\n"
        )


def _print_json(fn: Function, batch_size: int, found: Profile, rows: list[Row]) -> None:
    layers = [{**row.__dict__, "share": row.seconds / found.seconds} for row in rows]
    ops = [
        {
            "op": item.probe.op,
            "layer": item.probe.path,
            "line": item.probe.line,
            "result": item.probe.result,
            "seconds": item.seconds,
            "calls": item.calls,
            "flops": item.flops,
            "bytes": item.nbytes,
        }
        for item in found.ops
    ]
    data = {
        "program": fn.name,
        "seconds": found.seconds,
        "batch_size": batch_size,
        "threads": thread_count(),
        "rows": layers,
        "ops": ops,
    }
    sys.stdout.write(json.dumps(data, indent=1) + "\n")
