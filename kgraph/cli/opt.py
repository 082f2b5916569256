"""`kgraph opt` and `kgraph run`: programs in text, in the manner of mlir-opt."""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from kgraph.cli.sources import read_program
from kgraph.ir import evaluate, numpy_dtype, to_text, verify
from kgraph.passes.base import PASSES, run_passes
from kgraph.passes.pipeline import llvm_pipeline

File = Annotated[
    Path, typer.Argument(help="A program in the text form, a `.kg` file; - reads standard input.")
]


def opt(
    file: File,
    passes: Annotated[
        str, typer.Option(help="Names of passes, parted by commas; `all` is the llvm pipeline.")
    ] = "",
    locations: Annotated[bool, typer.Option(help="Print the location of each op.")] = False,
) -> None:
    """Run passes over a program and print what comes out."""
    fn = read_program(file)
    verify(fn)
    chosen = (
        llvm_pipeline()
        if passes == "all"
        else [_pass(name.strip()) for name in passes.split(",") if name.strip()]
    )
    sys.stdout.write(to_text(run_passes(fn, chosen, check=True), locations))


def run_file(
    file: File,
    backend: Annotated[str, typer.Option(help="llvm, jax or reference.")] = "llvm",
    input: Annotated[
        list[Path] | None,
        typer.Option(help="An .npy file for each parameter, in order; ones without."),
    ] = None,  # the option's name
    compare: Annotated[
        bool, typer.Option(help="Also print the largest difference to the reference.")
    ] = False,
) -> None:
    """Run a program on arrays and print its results."""
    from kgraph.runtime import Options
    from kgraph.runtime import compile as compile_function

    fn = read_program(file)
    verify(fn)
    given = [np.load(path, allow_pickle=False) for path in input or ()]
    if len(given) > len(fn.params):
        raise ValueError(
            f"expected at most {len(fn.params)} inputs for {', '.join(fn.param_names)}; got "
            f"{len(given)}"
        )
    missing = fn.params[len(given) :]
    arrays = [
        *given,
        *[
            np.ones([d if isinstance(d, int) else 2 for d in p.shape], numpy_dtype(p.dtype))
            for p in missing
        ],
    ]
    results = compile_function(fn, options=Options(backend=backend))(*arrays)
    for i, (v, array) in enumerate(zip(fn.results, results, strict=True)):
        sys.stdout.write(f"result {i}: {v.type}\n{np.asarray(array)}\n")
    if compare:
        for i, (a, b) in enumerate(zip(results, evaluate(fn, arrays), strict=True)):
            worst = np.max(
                np.abs(np.asarray(a).astype("f8") - np.asarray(b).astype("f8")), initial=0.0
            )
            sys.stdout.write(f"result {i}: largest difference to the reference {worst:.3g}\n")


def _pass(name: str) -> object:
    if name not in PASSES:
        raise ValueError(f"there is no pass called {name!r}; `kgraph passes` lists them")
    return PASSES[name]()
