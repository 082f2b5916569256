"""Runs machine code: one call of one function per program run."""

from __future__ import annotations

import ctypes
import functools
import operator
import weakref
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from kgraph.codegen import PROBES, Array, NativeImage
from kgraph.codegen.arrays import accept_array
from kgraph.codegen.llvm.load import load
from kgraph.ir import KGraphError, Size, bind_size, numpy_dtype
from kgraph.runtime.buffers import ALIGNMENT, address, arenas, maker, poison
from kgraph.runtime.state import State
from kgraph.runtime.threads import shared_pool

if TYPE_CHECKING:
    from kgraph.codegen.llvm.pool import Pool

_is_writable = operator.attrgetter("flags.writeable")
_is_array = functools.partial(operator.is_not, None)
# Positions in the context, in words; kgraph/codegen/llvm/README.md has the layout.
_PARALLEL_FOR, _POOL, _THREADS, _SLABS, _STRIDE, _BUSY = range(6)
# Layouts that are kept; a program seldom sees more sizes than a full batch and a last one.
_KEPT = 64


class NativeError(KGraphError, RuntimeError):
    """Native code gave up. It has not changed the state."""


@dataclass(frozen=True)
class Layout:
    """What depends on the sizes."""

    sizes: ctypes.Array[ctypes.c_int64]
    sizes_address: int
    results: tuple[Callable[[], Array], ...]  # what makes the memory of each
    arena: int
    slab: int


class Frame:
    """The tables of one running call; pointers to state stay while the arrays are the same."""

    def __init__(self, count: int) -> None:
        self.pointers = (ctypes.c_uint64 * max(count, 1))()
        self.context = (ctypes.c_uint64 * 6)()
        self.pointers_address = ctypes.addressof(self.pointers)
        self.context_address = ctypes.addressof(self.context)
        self.state: tuple[weakref.ref[Array], ...] = ()
        self._list: weakref.ref[State] | None = None  # what they were read from
        self.distinct = False  # no array of the state is there twice
        self.in_place = False  # the results that replace state point to it
        self.arena = 0
        self._for: tuple[int, Layout, Pool] | None = None  # what the context was written for

    def place(self, arena: int, layout: Layout, pool: Pool) -> None:
        """Writes the context: slabs lie behind the arena. Mostly it is as in the last call."""
        last = self._for
        if last is None or last[0] != arena or last[1] is not layout or last[2] is not pool:
            self.place_apart(arena, arena + layout.arena, layout.slab, pool)
            self._for = arena, layout, pool

    def place_apart(self, arena: int, slabs: int, stride: int, pool: Pool) -> None:
        """The same, with slabs somewhere else."""
        self.arena, context = arena, self.context
        context[_PARALLEL_FOR], context[_POOL] = pool.parallel_for, pool.address
        context[_THREADS], context[_BUSY] = pool.threads, 0
        context[_SLABS], context[_STRIDE] = slabs, stride

    def point_to_state(self, state: Sequence[Array]) -> None:
        """Writes the addresses of the state, unless they are there."""
        if self._list is not None and self._list() is state:
            return
        self._list = weakref.ref(state) if type(state) is State else None
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
        count, self._first = len(image.results), len(image.params)
        self._all = list(range(count))
        self._replaces = [self._donate.get(r) for r in range(count)]
        self._others = [r for r in range(count) if r not in self._donate]
        self._poisoned = poisoned
        self._frames: deque[Frame] = deque()
        self._layouts: dict[tuple[int, ...], Layout] = {}
        self._last: tuple[Mapping[str, int], Layout] | None = None

    @property
    def probes_address(self) -> int:
        """Where the variable of the code's probes lies."""
        return self._code.address(PROBES)

    def counters(self) -> Array:
        """Nanoseconds and executions of each probe so far, as they are: writing 0 begins anew."""
        kind = ctypes.c_int64 * (2 * len(self.image.probes))
        table = kind.from_address(self.probes_address)
        return np.ctypeslib.as_array(table).reshape(-1, 2)

    plain = True
    accept = staticmethod(accept_array)

    def run(
        self,
        state: Sequence[Array],
        inputs: Sequence[Array],
        sizes: Mapping[str, int],
        in_place: bool,
    ) -> tuple[Array, ...]:
        # A short program waits for Python: few calls.
        last = self._last
        layout = last[1] if last is not None and last[0] is sizes else self._layout(sizes)
        try:
            frame = self._frames.pop()
        except IndexError:
            frame = Frame(len(self.image.params) + len(self.image.results))
        frame.point_to_state(state)
        pointers, first, poisoned = frame.pointers, self._first, self._poisoned
        for i, array in enumerate(inputs, len(state)):
            pointers[i] = address(array)
        results = self._in_place(frame, state) if in_place else None
        fresh = self._others
        if results is None:
            results, fresh = [None] * len(layout.results), self._all
            frame.in_place = False
        for r in fresh:
            results[r] = result = layout.results[r]()
            pointers[first + r] = address(result)
            if poisoned:
                poison(result)
        memory = self._take(frame, layout, shared_pool())
        code = self._function(
            frame.pointers_address, layout.sizes_address, frame.arena, frame.context_address
        )
        self._give(memory)
        self._frames.append(frame)
        if code:
            raise NativeError(f"native code gave up with the code {code}; the state is as before")
        return tuple(results)

    def _in_place(self, frame: Frame, state: Sequence[Array]) -> list[Any] | None:
        """The results that are arrays of the state, and point to it; None where they cannot be.

        Either the whole state is updated in place or none of it: a mixture could be left half done.
        """
        results = [None if p is None else state[p] for p in self._replaces]
        if not frame.distinct or not all(map(_is_writable, filter(_is_array, results))):
            return None
        if not frame.in_place:
            for r, param in self._donate.items():
                frame.pointers[self._first + r] = frame.pointers[param]
            frame.in_place = True
        return results

    def _result(self, shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> Callable[[], Array]:
        """What makes memory for a result."""
        return maker(shape, dtype)

    def _take(self, frame: Frame, layout: Layout, pool: Pool) -> object:
        """Memory for a call; the frame points to it."""
        memory = arenas.take(layout.arena + pool.threads * layout.slab)
        if self._poisoned:
            memory.poison()
        frame.place(memory.address, layout, pool)
        return memory

    def _give(self, memory: Any) -> None:
        """Takes the memory of a call back."""
        arenas.give(memory)

    def _layout(self, sizes: Mapping[str, int]) -> Layout:
        """The layout for these sizes, which the next call is likely to have too."""
        key = tuple([sizes[s] for s in self.image.symbols])
        layout = self._layouts.get(key) or self._lay_out(key)
        self._last = sizes, layout
        return layout

    def _lay_out(self, key: tuple[int, ...]) -> Layout:
        image = self.image
        sizes = dict(zip(image.symbols, key, strict=True))
        numbers = (ctypes.c_int64 * max(len(key), 1))(*key)
        layout = Layout(
            sizes=numbers,
            sizes_address=ctypes.addressof(numbers),
            results=tuple(
                self._result(tuple(_number(d, sizes) for d in t.shape), numpy_dtype(t.dtype))
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
