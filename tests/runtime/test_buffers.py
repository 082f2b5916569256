"""Aligned results and arenas."""

import threading

import ml_dtypes
import numpy as np
import pytest

from kgraph.runtime.buffers import Arena, Arenas, address, aligned_empty, poison


@pytest.mark.parametrize("shape", [(), (0,), (3,), (1000,), (7, 0, 3), (100, 33)])
@pytest.mark.parametrize("dtype", ["bool", "int8", "float32", "float64", "bfloat16"])
def test_new_arrays(shape: tuple[int, ...], dtype: str) -> None:
    array = aligned_empty(shape, np.dtype(dtype if dtype != "bfloat16" else ml_dtypes.bfloat16))
    assert array.shape == shape
    assert str(array.dtype) == dtype
    assert array.flags.carray
    assert array.nbytes < 1024 or address(array) % 64 == 0
    array[...] = 1
    assert (array == 1).all()


def test_addresses() -> None:
    whole = np.arange(100, dtype=np.float32)
    frozen = whole.copy()
    frozen.flags.writeable = False
    bfloat = whole.astype(ml_dtypes.bfloat16)
    for array in (whole, whole[3:], whole[5:5], frozen, bfloat, np.array(1.0)):
        assert address(array) == array.ctypes.data


def test_poison_is_nan() -> None:
    for dtype in (np.float16, ml_dtypes.bfloat16, np.float32, np.float64):
        array = aligned_empty((3, 500), np.dtype(dtype))
        poison(array)
        assert np.isnan(array.astype(np.float64)).all()
    scalar = aligned_empty((), np.dtype(np.float32))
    poison(scalar)
    assert np.isnan(scalar)
    poison(aligned_empty((0, 3), np.dtype(np.float32)))


def test_an_arena_belongs_to_one_call_at_a_time() -> None:
    arenas = Arenas()
    first, second = arenas.take(100), arenas.take(100)
    assert first is not second
    assert first.address % 64 == second.address % 64 == 0
    arenas.give(first)
    assert arenas.take(50) is first
    arenas.give(first)
    large = arenas.take(1000)  # the small one makes room
    assert large.size == 1000
    arenas.give(large)
    arenas.give(second)
    assert arenas.nbytes() == 1100
    assert arenas.take(10) is large


def test_many_threads_never_share_an_arena() -> None:
    arenas = Arenas()
    busy: set[int] = set()
    shared: list[Arena] = []

    def work(size: int) -> None:
        for _ in range(500):
            arena = arenas.take(size)
            if arena.address in busy or arena.size < size:
                shared.append(arena)
            busy.add(arena.address)
            busy.discard(arena.address)
            arenas.give(arena)

    threads = [threading.Thread(target=work, args=(64 * n,)) for n in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not shared
    assert arenas.nbytes() <= 4 * 64 * 4
