"""The thread pool: generated once as an object of its own, shared by all programs.

One job at a time. Its state is one word, the gate: an epoch that counts jobs, a bit that says
whether the job may still be entered, and the number of workers inside. A worker enters by adding
one to an open gate, takes tiles until none is left, and subtracts one. The caller opens the gate,
takes tiles too, closes it, and waits until nobody is inside: a worker that comes late, or never,
costs nothing. Each thread has an equal share of the tiles, the same in every job of their number,
so that what a tile reads may still be in its cache; who is done goes on with other threads' shares.
Idle workers watch the gate for a short time and then sleep in the kernel (futex on the epoch).

A call that finds the pool at work for another Python thread runs its tiles itself, and so does one
from within a tile.

Workers are plain system threads which never enter Python, so they cannot hold up its exit; code and
memory of a pool are never freed, because a thread may be looking at them until the process ends.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import signal
import sys

from kgraph.codegen.llvm.load import NativeCode, load
from kgraph.codegen.llvm.pool_text import FUTEX, SPIN, pool_bytes, pool_target, pool_text

# How long a worker watches the gate before it sleeps. Waking costs 10 to 20 us, so that the pauses
# between the regions of one step are worth watching through, and the pauses between two steps are
# not.
SPIN_NANOSECONDS = 100_000

ENTRY_POINTS = ("kgraph_parallel_for", "kgraph_worker", "kgraph_stop")


def is_supported() -> bool:
    """Whether this system has what the pool sleeps on. Elsewhere programs run on one thread."""
    return sys.platform == "linux" and platform.machine() in FUTEX


def compile_pool() -> bytes:
    """The pool's object; imports the compiler."""
    from kgraph.codegen.llvm.assemble import compile_object

    return compile_object(pool_text(), pool_target())


class Pool:
    """`threads - 1` workers beside whichever thread calls.

    Attributes:
        address: what a context holds as `pool`.
        parallel_for: the address of the function.
        threads: how many threads a job has at most.
    """

    def __init__(self, code: bytes, threads: int) -> None:
        functions = _functions(code)
        self.parallel_for = functions.address("kgraph_parallel_for")
        self._stop = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(functions.address("kgraph_stop"))
        memory = (ctypes.c_char * (pool_bytes(threads) + 64))()
        _forever.append(memory)
        self.address = (ctypes.addressof(memory) + 63) // 64 * 64
        ctypes.c_int64.from_address(self.address + SPIN).value = SPIN_NANOSECONDS
        self.threads = 1
        if is_supported():
            self._start(functions.address("kgraph_worker"), threads - 1)

    def stop(self) -> None:
        """Waits for a running job, then ends the workers; later jobs run on their caller."""
        self._stop(self.address)

    def _start(self, worker: int, count: int) -> None:
        system = ctypes.CDLL(None)
        # A worker inherits the mask: signals are for Python's threads.
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            for number in range(1, count + 1):
                seat = (ctypes.c_int64 * 2)(self.address, number)
                _forever.append(seat)
                handle = ctypes.c_void_p()
                if system.pthread_create(
                    ctypes.byref(handle), None, ctypes.c_void_p(worker), ctypes.byref(seat)
                ):
                    break  # the system gives no more threads: fewer do as well
                system.pthread_detach(handle)
                self.threads = number + 1
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)


_forever: list[object] = []


@functools.lru_cache(maxsize=1)
def _functions(code: bytes) -> NativeCode:
    return load(code, ENTRY_POINTS, keep=True)
