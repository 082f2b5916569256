"""The jax backend: a graph as one function of `jax.lax`, jitted for each set of sizes."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import version

from kgraph.codegen.base import CodeStore
from kgraph.codegen.options import Options
from kgraph.ir import Function
from kgraph.passes.base import run_passes
from kgraph.passes.decompose import Decompose
from kgraph.passes.pipeline import simplification


def compile(
    fn: Function,
    *,
    state: int,
    donate: Mapping[int, int],
    options: Options,
    threads: int = 1,
    store: CodeStore | None = None,
) -> object:  # Backend
    """An executable of `fn`."""
    from kgraph.codegen.jax.executable import JaxExecutable
    from kgraph.codegen.jax.lowering import lower

    passes = (*simplification(), Decompose(keep=tuple(lower)))
    optimized = run_passes(fn, passes, disabled=options.disabled, check=options.verify)
    return JaxExecutable(optimized, options.tf32, donate)


def fingerprint(options: Options) -> Mapping[str, str]:
    """The version of jax."""
    return {"jax": version("jax"), "jaxlib": version("jaxlib")}
