"""From graph to something that runs: one package per backend."""

from kgraph.codegen.base import Array, Backend, Executable, NativeImage
from kgraph.codegen.options import BACKENDS, Options

__all__ = ["BACKENDS", "Array", "Backend", "Executable", "NativeImage", "Options"]
