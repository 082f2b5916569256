"""From graph to something that runs: one package per backend."""

from kgraph.codegen.base import Array, Backend, CodeStore, Executable, NativeImage
from kgraph.codegen.options import BACKENDS, Options
from kgraph.codegen.probe import PROBES, Probe, whole

__all__ = [
    "BACKENDS", "PROBES", "Array", "Backend", "CodeStore", "Executable", "NativeImage", "Options",
    "Probe", "whole",
]  # fmt: skip
