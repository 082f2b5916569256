"""What the llvm code depends on besides the graph, found without importing the compiler."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from pathlib import Path

from kgraph.codegen.llvm.target import Target, detect, host
from kgraph.codegen.options import Options


def target_of(options: Options) -> Target:
    """The CPU to compile for: this one, or what `options.target` narrows it to.

    Raises:
        ValueError: there is no such target, or this CPU cannot run it.
    """
    if not options.target:
        return host()
    return detect(Path("/proc/cpuinfo").read_text(), platform.machine(), options.target)


def fingerprint(options: Options) -> Mapping[str, str]:
    """The versions of LLVM and llvmlite (one decides the other), and the CPU."""
    return {"llvmlite": compiler_version(), "target": repr(target_of(options))}


def compiler_version() -> str:
    """Of llvmlite, whose root alone loads no LLVM and is read faster than installation records."""
    import llvmlite

    return str(llvmlite.__version__)
