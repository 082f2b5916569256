"""`kgraph bench`: the kernels against what this machine can do at most."""

import json
import sys
from dataclasses import replace
from typing import Annotated, Any

import typer

from kgraph.cli.inputs import made_up
from kgraph.cli.kernels import Kernel, kernels
from kgraph.codegen.llvm.fingerprint import target_of
from kgraph.codegen.llvm.peaks import Peaks, measure_peaks
from kgraph.runtime import compile as compile_function
from kgraph.runtime import default_options, set_threads
from kgraph.runtime.profile import profile


def bench(
    measure_kernels: Annotated[
        bool, typer.Option("--kernels", help="Measure each family of kernels.")
    ] = False,
    only: Annotated[str, typer.Option(help="Those whose name has this in it.")] = "",
    repeat: Annotated[int, typer.Option(help="Runs of each; the quickest one counts.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="All figures as JSON.")] = False,
) -> None:
    """Print each kernel's time against the machine's peak, measured first: one thread.

    `of FMA` is the share of the multiply-adds, `of memory` that of the bytes that a second has room
    for; arrays in the caches may go beyond the latter.
    """
    if not measure_kernels:
        raise ValueError("say what to measure: kgraph bench --kernels")
    chosen = [k for k in kernels() if only in f"{k.family} {k.sizes}"]
    if not chosen:
        raise ValueError(f"no kernel's name has {only!r} in it")
    options = replace(default_options(), profile=True)
    peaks = measure_peaks(target_of(options))
    if not as_json:
        _print_head(peaks)
    rows = []
    set_threads(1)
    try:
        for kernel in chosen:
            row = _measure(kernel, options, peaks, repeat)
            rows.append(row)
            if not as_json:
                _print_row(row)
    finally:
        set_threads(None)
    if as_json:
        sys.stdout.write(json.dumps({"peaks": peaks.__dict__, "kernels": rows}, indent=1) + "\n")


def _measure(kernel: Kernel, options: Any, peaks: Peaks, repeat: int) -> dict[str, Any]:
    fn = kernel.function()
    program = compile_function(fn, state=kernel.state, options=options)
    arrays = made_up(fn, {})
    state, inputs = arrays[: kernel.state], arrays[kernel.state :]
    found = profile(program, lambda: program.run(state, inputs, version=0), {}, repeat)
    seconds = sum(item.seconds for item in found.ops)
    nbytes = sum(v.type.nbytes for v in (*fn.params, *fn.results))
    elements = max(v.type.size for v in (*fn.params, *fn.results))
    return {
        "family": kernel.family,
        "sizes": kernel.sizes,
        "seconds": seconds,
        "flops": kernel.work,
        "bytes": nbytes,
        "nanoseconds_per_element": seconds * 1e9 / elements,
        "of_fma": kernel.work / seconds / peaks.flops,
        "of_memory": nbytes / seconds / peaks.bandwidth,
    }


def _print_head(peaks: Peaks) -> None:
    sys.stdout.write(
        f"peak of one thread: {peaks.flops * 1e-9:.1f} GFLOP/s, {peaks.bandwidth * 1e-9:.1f} GB/s\n"
        f"{'ms':>9} {'GFLOP/s':>8} {'of FMA':>7} {'GB/s':>7} {'of memory':>9} {'ns/elem.':>8}"
        "  kernel\n"
    )


def _print_row(row: dict[str, Any]) -> None:
    seconds = row["seconds"]
    work = (
        f"{row['flops'] / seconds * 1e-9:8.1f} {row['of_fma']:7.0%}"
        if row["flops"]
        else f"{'-':>8} {'-':>7}"
    )
    sys.stdout.write(
        f"{seconds * 1e3:9.4f} {work} {row['bytes'] / seconds * 1e-9:7.1f} "
        f"{row['of_memory']:9.0%} {row['nanoseconds_per_element']:8.2f}  "
        f"{row['family']}: {row['sizes']}\n"
    )
    sys.stdout.flush()
