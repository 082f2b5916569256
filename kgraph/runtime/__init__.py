"""Compiling, caching and running: README.md beside this file is the way in."""

from kgraph.codegen import BACKENDS, Options
from kgraph.runtime.compile import BackendError, compile, load_backend
from kgraph.runtime.options import backend, default_options, notice, set_backend
from kgraph.runtime.program import Program
from kgraph.runtime.signature import ArgumentError, Signature

__all__ = [
    "BACKENDS",
    "ArgumentError",
    "BackendError",
    "Options",
    "Program",
    "Signature",
    "backend",
    "compile",
    "default_options",
    "load_backend",
    "notice",
    "set_backend",
]
