"""Native code for CPUs: kernels written through one builder, as LLVM IR text."""

from __future__ import annotations

from collections.abc import Mapping

from kgraph.codegen.base import CodeStore, NativeImage
from kgraph.codegen.llvm.fingerprint import fingerprint
from kgraph.codegen.options import Options
from kgraph.ir import Function

__all__ = ["compile", "fingerprint"]


def compile(
    fn: Function,
    *,
    state: int,
    donate: Mapping[int, int],
    options: Options,
    threads: int = 1,
    store: CodeStore | None = None,
) -> NativeImage:
    """Compiles a verified function to machine code; see `codegen.base.Backend`."""
    # A program that is found in the cache needs neither the emitters nor the passes.
    from kgraph.codegen.llvm.image import compile as compile_native

    return compile_native(
        fn, state=state, donate=donate, options=options, threads=threads, store=store
    )
