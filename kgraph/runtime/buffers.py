"""Memory for native code: results that belong to the caller, and scratch that is used again."""

from __future__ import annotations

import ctypes
import functools
import math
import operator
from collections.abc import Callable

import numpy as np

from kgraph.ir import Array

ALIGNMENT = 64
# All ones is NaN in every float type and -1 in the integers.
POISON = 0xFF

# numpy's own allocator recycles small arrays, and nothing is gained by aligning them.
_SMALL = 1024

_char = ctypes.c_char
_size = operator.attrgetter("size")


def address(array: Array) -> int:
    """Where the elements of an array begin; a third of the time that `array.ctypes.data` takes."""
    try:
        return ctypes.addressof(_char.from_buffer(array))  # type: ignore[arg-type]  # numpy says so only from 3.12 on
    except (TypeError, ValueError, BufferError):  # read-only, empty, or a dtype of ml_dtypes
        found: int = array.__array_interface__["data"][0]
        return found


def aligned_empty(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
    """A new dense array, aligned to 64 bytes unless it is small; contents undefined."""
    return maker(shape, dtype)()


def maker(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Callable[[], Array]:
    """What makes such arrays."""
    nbytes = dtype.itemsize * math.prod(shape)
    if nbytes < _SMALL:
        return functools.partial(np.empty, shape, dtype)
    return functools.partial(_aligned, shape, dtype, nbytes)


def _aligned(shape: tuple[int, ...], dtype: np.dtype[np.generic], nbytes: int) -> Array:
    memory = np.empty(nbytes + ALIGNMENT, np.uint8)
    return np.ndarray(shape, dtype, memory, -address(memory) % ALIGNMENT)


def poison(array: Array) -> None:
    """Fills a dense array with NaN."""
    array.reshape(-1).view(np.uint8).fill(POISON)


class Arena:
    """Scratch memory for one running call, at `address`, aligned to 64."""

    __slots__ = ("_memory", "address", "size")

    def __init__(self, size: int) -> None:
        self._memory = np.empty(size + ALIGNMENT, np.uint8)
        self.address = address(self._memory) + -address(self._memory) % ALIGNMENT
        self.size = size

    def poison(self) -> None:
        """Fills it with NaN."""
        self._memory.fill(POISON)


class Arenas:
    """Arenas that wait for the next call of any program.

    There are never more than calls have run at once, and a call that finds only smaller ones
    replaces one of them. Threads may call at once: every use of the list is one step of Python's.
    """

    def __init__(self) -> None:
        self._free: list[Arena] = []

    def take(self, size: int) -> Arena:
        """An arena of at least `size` bytes that nobody else uses until it is given back."""
        try:
            found = self._free.pop()
        except IndexError:
            return Arena(size)
        if found.size >= size:
            return found
        del found  # before the larger one is made
        return Arena(size)

    def give(self, arena: Arena) -> None:
        """Takes an arena back."""
        free = self._free
        free.append(arena)
        if len(free) > 1:
            free.sort(key=_size)  # the largest is handed out first

    def clear(self) -> None:
        """Frees what no call uses."""
        self._free.clear()

    def nbytes(self) -> int:
        """The bytes that wait here."""
        return sum(arena.size for arena in self._free)


arenas = Arenas()
