"""Compiling, caching and running: README.md beside this file is the way in."""

from kgraph.codegen import BACKENDS, Options
from kgraph.runtime.buffers import aligned_empty, arenas
from kgraph.runtime.cache import DiskCache, Entry, cache_folder, disk_cache
from kgraph.runtime.compile import BackendError, clear_memory_cache, compile, load_backend
from kgraph.runtime.digest import Key
from kgraph.runtime.options import backend, default_options, notice, set_backend
from kgraph.runtime.program import Program
from kgraph.runtime.signature import ArgumentError, Signature
from kgraph.runtime.state import assign_all
from kgraph.runtime.threads import set_threads, thread_count, usable_cpus

__all__ = [
    "BACKENDS",
    "ArgumentError",
    "BackendError",
    "DiskCache",
    "Entry",
    "Key",
    "Options",
    "Program",
    "Signature",
    "aligned_empty",
    "arenas",
    "assign_all",
    "backend",
    "cache_folder",
    "clear_memory_cache",
    "compile",
    "default_options",
    "disk_cache",
    "load_backend",
    "notice",
    "set_backend",
    "set_threads",
    "thread_count",
    "usable_cpus",
]
