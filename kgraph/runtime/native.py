"""Runs machine code: one call of one function per program run."""

from __future__ import annotations

import ctypes
import functools
import operator
import weakref
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from kgraph.codegen import PROBES, Array, NativeImage
from kgraph.codegen.arrays import accept_array
from kgraph.codegen.llvm.load import load
from kgraph.ir import KGraphError, Size, TensorType, bind_size, numpy_dtype
from kgraph.runtime.buffers import ALIGNMENT, Arena, address, aligned_empty, arenas, poison
from kgraph.runtime.threads import shared_pool

_is_writable = operator.attrgetter("flags.writeable")
_is_array = functools.partial(operator.is_not, None)
# Positions in the context, in words; kgraph/codegen/llvm/README.md has the layout.
_PARALLEL_FOR, _POOL, _THREADS, _SLABS, _STRIDE, _BUSY = range(6)
# Layouts that are kept; a program seldom sees more sizes than a full batch and a last one.
_KEPT = 64


class NativeError(KGraphError, RuntimeError):
    """Native code gave up. It has not changed the state."""


@dataclass(frozen=True)
class _Layout:
    """What depends on the sizes."""

    sizes: ctypes.Array[ctypes.c_int64]
    results: tuple[tuple[tuple[int, ...], np.dtype[np.generic]], ...]
    arena: int
    slab: int


class Scratch(NamedTuple):
    """The memory of a call: addresses of the arena and of the first slab, bytes between slabs."""

    arena: int
    slabs: int
    stride: int
    owner: object


class _Frame:
    """The tables of one running call; pointers to state stay while the arrays are the same."""

    def __init__(self, count: int) -> None:
        self.pointers = (ctypes.c_uint64 * max(count, 1))()
        self.context = (ctypes.c_uint64 * 6)()
        self.pointers_address = ctypes.addressof(self.pointers)
        self.context_address = ctypes.addressof(self.context)
        self.state: tuple[weakref.ref[Array], ...] = ()
        self.distinct = False  # no array of the state is there twice
        self.in_place = False  # the results that replace state point to it

    def point_to_state(self, state: Sequence[Array]) -> None:
        if len(self.state) == len(state) and all(
            map(operator.is_, map(operator.call, self.state), state)
        ):
            return
        self.state, self.in_place = (), False
        for i, array in enumerate(state):
            self.pointers[i] = address(array)
        # One array in two places cannot be updated in place.
        places = [self.pointers[i] for i in range(len(state)) if state[i].size]
        self.distinct = len(set(places)) == len(places)
        self.state = tuple(map(weakref.ref, state))


class NativeRunner:
    """A `NativeImage`, loaded. Thread-safe: each running call has its own tables and arena."""

    def __init__(
        self, image: NativeImage, donate: Mapping[int, int], poisoned: bool = False
    ) -> None:
        self.image = image
        names = ("kgraph_run", PROBES) if image.probes else ("kgraph_run",)
        self._code = load(image.code, names)
        kind = ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
        self._function = kind(self._code.address("kgraph_run"))
        self._donate = dict(donate) if image.in_place else {}
        count = len(image.results)
        self._replaces = [self._donate.get(r) for r in range(count)]
        self._others = [r for r in range(count) if r not in self._donate]
        self._poisoned = poisoned
        self._frames: deque[_Frame] = deque()
        self._layouts: dict[tuple[int, ...], _Layout] = {}

    @property
    def probes_address(self) -> int:
        """Where the variable of the code's probes lies."""
        return self._code.address(PROBES)

    def counters(self) -> Array:
        """Nanoseconds and executions of each probe so far, as they are: writing 0 begins anew."""
        kind = ctypes.c_int64 * (2 * len(self.image.probes))
        table = kind.from_address(self.probes_address)
        return np.ctypeslib.as_array(table).reshape(-1, 2)

    def accept(self, value: object, type_: TensorType, name: str) -> Array:
        return accept_array(value, type_, name)

    def run(
        self,
        state: Sequence[Array],
        inputs: Sequence[Array],
        sizes: Mapping[str, int],
        in_place: bool,
    ) -> tuple[Array, ...]:
        key = tuple([sizes[s] for s in self.image.symbols])
        layout = self._layouts.get(key) or self._lay_out(key)
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = _Frame(len(self.image.params) + len(self.image.results))
        frame.point_to_state(state)
        pointers = frame.pointers
        for i, array in enumerate(inputs, len(state)):
            pointers[i] = address(array)
        first = len(self.image.params)
        results = [None if p is None else state[p] for p in self._replaces]
        # Either the whole state is updated in place or none of it: a mixture could be left half
        # done.
        if in_place and frame.distinct and all(map(_is_writable, filter(_is_array, results))):
            fresh: Iterable[int] = self._others
            if not frame.in_place:
                for r, param in self._donate.items():
                    pointers[first + r] = pointers[param]
                frame.in_place = True
        else:
            fresh = range(len(results))
            frame.in_place = False
        for r in fresh:
            results[r] = result = self._empty(*layout.results[r])
            pointers[first + r] = address(result)
            if self._poisoned:
                poison(result)
        self._call(frame, layout)
        self._frames.append(frame)
        return tuple(results)

    def _call(self, frame: _Frame, layout: _Layout) -> None:
        pool = shared_pool()
        scratch = self._take(layout.arena, layout.slab, pool.threads)
        context = frame.context
        context[_PARALLEL_FOR], context[_POOL] = pool.parallel_for, pool.address
        context[_THREADS], context[_BUSY] = pool.threads, 0
        context[_SLABS], context[_STRIDE] = scratch.slabs, scratch.stride
        code = self._function(
            frame.pointers_address,
            ctypes.addressof(layout.sizes),
            scratch.arena,
            frame.context_address,
        )
        self._give(scratch)
        if code:
            raise NativeError(f"native code gave up with the code {code}; the state is as before")

    def _empty(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Array:
        """Memory for a result."""
        return aligned_empty(shape, dtype)

    def _take(self, arena: int, slab: int, threads: int) -> Scratch:
        """Memory for a call."""
        memory = arenas.take(arena + threads * slab)
        if self._poisoned:
            memory.poison()
        return Scratch(memory.address, memory.address + arena, slab, memory)

    def _give(self, scratch: Scratch) -> None:
        """Takes the memory of a call back."""
        assert isinstance(scratch.owner, Arena)
        arenas.give(scratch.owner)

    def _lay_out(self, key: tuple[int, ...]) -> _Layout:
        image = self.image
        sizes = dict(zip(image.symbols, key, strict=True))
        layout = _Layout(
            sizes=(ctypes.c_int64 * max(len(key), 1))(*key),
            results=tuple(
                (tuple(_number(d, sizes) for d in t.shape), numpy_dtype(t.dtype))
                for t in image.results
            ),
            arena=_rounded(_number(image.arena, sizes)),
            slab=_rounded(max(_number(image.slab, sizes), 1)),
        )
        if len(self._layouts) >= _KEPT:
            self._layouts.clear()
        self._layouts[key] = layout
        return layout


def _number(size: Size, sizes: Mapping[str, int]) -> int:
    return int(bind_size(size, sizes))


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
