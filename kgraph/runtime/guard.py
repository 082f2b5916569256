"""Buffers at the edge of memory that nobody may touch: `KGRAPH_GUARD`.

Each buffer that native code gets lies between two protected pages, and ends where the second one
begins (`end`) or begins where the first one ends (`start`), so that the first byte outside of it
kills the process instead of going unseen. Arguments are copied, and the copies are read-only.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kgraph.codegen import Array, NativeImage
from kgraph.runtime.buffers import ALIGNMENT, POISON, address
from kgraph.runtime.native import Frame, Layout, NativeRunner

if TYPE_CHECKING:
    from kgraph.codegen.llvm.pool import Pool

PAGE = mmap.PAGESIZE
_READ = 1


class Guarded:
    """Equal pieces of memory with a protected page before, between and behind them.

    Attributes:
        address: where the first piece begins.
        stride: bytes from piece to piece.
    """

    def __init__(self, size: int, count: int, at_start: bool) -> None:
        room = -(-size // PAGE) * PAGE
        self.size, self.count, self.stride = size, count, room + PAGE
        self._map = mmap.mmap(-1, PAGE + count * self.stride)
        self._base = ctypes.addressof(ctypes.c_char.from_buffer(self._map))
        self.address = self._base + PAGE + (0 if at_start else room - size)
        for i in range(count + 1):
            _protect(self._base + i * self.stride, PAGE, 0)

    def fill(self, byte: int) -> None:
        """Fills all pieces."""
        for i in range(self.count):
            ctypes.memset(self.address + i * self.stride, byte, self.size)

    def freeze(self) -> None:
        """Lets nobody write the pieces any more."""
        for i in range(self.count):
            _protect(self._base + PAGE + i * self.stride, self.stride - PAGE, _READ)

    def array(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        """The first piece as an array, which keeps the memory."""
        return np.ndarray(shape, dtype, self._map, self.address - self._base)


def guarded_empty(shape: tuple[int, ...], dtype: np.dtype[np.generic], at_start: bool) -> Array:
    """A new dense array between protected pages."""
    nbytes = dtype.itemsize
    for size in shape:
        nbytes *= size
    return Guarded(nbytes, 1, at_start).array(shape, dtype)


def guarded_copy(array: Array, at_start: bool) -> Array:
    """A copy between protected pages, which cannot be written."""
    memory = Guarded(array.nbytes, 1, at_start)
    copy = memory.array(array.shape, array.dtype)
    copy[...] = array
    memory.freeze()
    copy.flags.writeable = False
    return copy


class GuardedRunner(NativeRunner):
    """A runner whose code sees guarded memory only, fresh for each call."""

    def __init__(
        self,
        image: NativeImage,
        donate: Mapping[int, int],
        poisoned: bool = False,
        at_start: bool = False,
    ) -> None:
        super().__init__(image, donate, poisoned)
        self._at_start = at_start

    def run(
        self,
        state: Sequence[Array],
        inputs: Sequence[Array],
        sizes: Mapping[str, int],
        in_place: bool,
    ) -> tuple[Array, ...]:
        # State that an earlier call gave lies between pages already, and may be updated in place.
        own = in_place and all(self._is_guarded(a) for a in state)
        if not own:
            state = [guarded_copy(a, self._at_start) for a in state]
        copies = [guarded_copy(a, self._at_start) for a in inputs]
        return super().run(state, copies, sizes, own)

    def _result(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Callable[[], Array]:
        return functools.partial(guarded_empty, shape, dtype, self._at_start)

    def _take(self, frame: Frame, layout: Layout, pool: Pool) -> object:
        first = Guarded(layout.arena, 1, self._at_start)
        slabs = Guarded(layout.slab, pool.threads, self._at_start)
        if self._poisoned:
            first.fill(POISON)
            slabs.fill(POISON)
        frame.place_apart(first.address, slabs.address, slabs.stride, pool)
        return first, slabs

    def _give(self, memory: object) -> None:
        """The memory goes: the next call has its own."""

    def _is_guarded(self, array: Array) -> bool:
        edge = address(array) if self._at_start else address(array) + array.nbytes
        return edge % PAGE == 0


def _protect(start: int, length: int, rights: int) -> None:
    if length and _mprotect()(start, length, rights):
        raise MemoryError("the system does not protect pages")


@functools.cache
def _mprotect() -> ctypes._NamedFuncPointer:
    function = ctypes.CDLL(None).mprotect
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    return function


assert PAGE % ALIGNMENT == 0
