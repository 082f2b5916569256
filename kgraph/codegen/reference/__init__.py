"""The reference backend: every op by its own numpy lines. The oracle of the others."""

from __future__ import annotations

from collections.abc import Mapping

from kgraph.codegen.base import CodeStore
from kgraph.codegen.options import Options
from kgraph.codegen.reference.executable import ReferenceExecutable
from kgraph.ir import Function

__all__ = ["ReferenceExecutable", "compile", "fingerprint"]


def compile(
    fn: Function,
    *,
    state: int,
    donate: Mapping[int, int],
    options: Options,
    threads: int = 1,
    store: CodeStore | None = None,
) -> ReferenceExecutable:
    """Nothing is compiled: the function runs as it was traced, and nothing is updated in place."""
    return ReferenceExecutable(fn)


def fingerprint(options: Options) -> Mapping[str, str]:
    """Nothing: there is no code that could be cached."""
    return {}
