"""What one core of this machine can do at most: multiply-adds per second, bytes per second."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kgraph.codegen.llvm.emit import FLOAT, I64, PTR, Module
from kgraph.codegen.llvm.load import load
from kgraph.codegen.llvm.target import Target

_CHAINS = 12  # sums that do not wait for each other: more than latency x units of any CPU
_UNROLL = 8
_TURNS = 20_000
_BYTES = 1 << 26  # of the arrays that bandwidth is measured on


@dataclass(frozen=True)
class Peaks:
    """Of one thread.

    Attributes:
        flops: float32 operations per second; a multiply-add is two.
        bandwidth: bytes per second, read or written, the better of reading and copying 64 MB.
    """

    flops: float
    bandwidth: float


def measure_peaks(target: Target, repeat: int = 20) -> Peaks:
    """Measures both; takes about half a second."""
    from kgraph.codegen.llvm.assemble import compile_object

    code = load(compile_object(_module(target).text(), target), ("fma", "read"))
    kind = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64)
    fma, read = (kind(code.address(name)) for name in ("fma", "read"))
    source, copy = np.ones(_BYTES // 4, np.float32), np.empty(_BYTES // 4, np.float32)
    lanes = target.lanes(4)
    flops = 2 * lanes * _CHAINS * _UNROLL * _TURNS
    multiplying = _least(lambda: fma(source.ctypes.data, _TURNS), repeat)
    reading = _least(lambda: read(source.ctypes.data, _BYTES // 4), repeat)
    copying = _least(lambda: ctypes.memmove(copy.ctypes.data, source.ctypes.data, _BYTES), repeat)
    return Peaks(flops / multiplying, max(_BYTES / reading, 2 * _BYTES / copying))


def _module(target: Target) -> Module:
    """`fma(x, turns)` keeps the units busy; `read(x, count)` reads `count` floats of an array."""
    module = Module(target)
    lanes = target.lanes(4)
    zeros = FLOAT.with_lanes(lanes)
    with module.function("fma", [("x", PTR), ("turns", I64)]) as f:
        x, turns = f.parameters
        factor = f.load_at(x, "float32", lanes)
        with f.carried_loop(0, turns, [f.constant(0, zeros)] * _CHAINS) as loop:
            sums = list(loop.values)
            for _ in range(_UNROLL):
                sums = [f.fma(factor, factor, s) for s in sums]
            loop.next(*sums)
        for s in loop.results:
            f.store_at(x, "float32", s)
    with module.function("read", [("x", PTR), ("count", I64)]) as f:
        x, count = f.parameters
        with f.carried_loop(0, count, [f.constant(0, zeros)] * 8, 8 * lanes) as loop:
            sums = []
            for i, s in enumerate(loop.values):
                place = f.offset(x, f.add(loop.index, i * lanes), "float32")
                sums.append(f.add(s, f.load_at(place, "float32", lanes)))
            loop.next(*sums)
        for s in loop.results:
            f.store_at(x, "float32", s)
    return module


def _least(run: Callable[[], object], repeat: int) -> float:
    """The seconds of the quickest of several runs."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best
