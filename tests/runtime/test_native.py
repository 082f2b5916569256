"""Running machine code: buffers, donation, failures, threads."""

import threading
import time
import weakref

import numpy as np
import pytest

from kgraph import runtime
from kgraph.codegen import NativeImage, Options
from kgraph.ir import Array
from kgraph.runtime.native import NativeError, NativeRunner
from kgraph.runtime.program import Program
from kgraph.runtime.signature import Signature
from tests.runtime.native import ROWS, WEIGHTS, prepared_image, step_image

SIGNATURE = Signature(("w", "x"), (WEIGHTS, ROWS), (WEIGHTS, ROWS), ("batch",), ())


def program(image: NativeImage, donate: bool = False, poison: bool = False) -> Program:
    donated = {0: 0} if donate else {}
    prepare = NativeRunner(image.prepare, {}) if image.prepare else None
    main = NativeRunner(image, donated, poison)
    return Program("step", SIGNATURE, 1, donated, Options(), main, prepare)


def rows(batch: int) -> Array:
    return np.arange(batch * 4, dtype=np.float32).reshape(batch, 4)


def ones() -> Array:
    return np.ones(4, np.float32)


@pytest.mark.parametrize("batch", [0, 1, 2, 7, 128])
@pytest.mark.parametrize("poison", [False, True])
def test_results(batch: int, poison: bool) -> None:
    total, twice = program(step_image(), poison=poison)(ones(), rows(batch))
    np.testing.assert_array_equal(total, 1 + rows(batch).sum(0))
    np.testing.assert_array_equal(twice, 2 * rows(batch))


def test_arguments_are_neither_written_nor_kept() -> None:
    run = program(step_image(), donate=True)
    w, x = ones(), rows(3)
    total, twice = run(w, x)
    assert np.array_equal(w, ones())
    assert np.array_equal(x, rows(3))
    assert not np.shares_memory(total, w)
    assert not np.shares_memory(twice, x)
    gone = [weakref.ref(a) for a in (w, x)]
    del w, x
    assert [ref() for ref in gone] == [None, None]


def test_results_are_never_written_again() -> None:
    run = program(step_image())
    first = run(ones(), rows(300))
    kept = [a.copy() for a in first]
    for _ in range(5):
        run(ones() * 5, rows(300) * 3)
    for a, b in zip(first, kept, strict=True):
        np.testing.assert_array_equal(a, b)


def layouts(x: Array) -> dict[str, Array]:
    wide = np.zeros((2 * x.shape[0], 3 * x.shape[1]), x.dtype)
    wide[::2, ::3] = x
    padded = np.zeros(x.nbytes + 1, np.uint8)
    padded[1:] = x.reshape(-1).view(np.uint8)
    frozen = x.copy()
    frozen.flags.writeable = False
    return {
        "strided": wide[::2, ::3],
        "reversed": x[::-1, ::-1].copy()[::-1, ::-1],
        "fortran": np.asfortranarray(x),
        "unaligned": padded[1:].view(x.dtype).reshape(x.shape),
        "big-endian": x.astype(x.dtype.newbyteorder(">")),
        "read-only": frozen,
        "broadcast": np.broadcast_to(x[:1], x.shape),
        "masked": np.ma.masked_array(x),
        "list": x.tolist(),
    }


@pytest.mark.parametrize("name", list(layouts(rows(5))))
def test_any_layout(name: str) -> None:
    x = layouts(rows(5))[name]
    plain = np.ascontiguousarray(np.asarray(x), np.float32)
    total, twice = program(step_image())(ones(), x)
    np.testing.assert_array_equal(total, 1 + plain.sum(0))
    np.testing.assert_array_equal(twice, 2 * plain)
    assert type(twice) is np.ndarray
    assert twice.flags.writeable


def test_donated_state_is_updated_in_place() -> None:
    run = program(step_image(), donate=True)
    w = ones()
    for _ in range(3):
        (total, _) = run.run([w], [rows(2)])
        assert total is w
    np.testing.assert_array_equal(w, 1 + 3 * rows(2).sum(0))


def test_state_that_a_user_sees_is_not_written() -> None:
    run = program(step_image(), donate=True)
    w = ones()
    w.flags.writeable = False
    (total, _) = run.run([w], [rows(2)])
    assert np.array_equal(w, ones())
    np.testing.assert_array_equal(total, 1 + rows(2).sum(0))
    (again, _) = run.run([total], [rows(2)])
    assert again is total
    # the flag counts, not the array that was seen last
    total.flags.writeable = False
    (new, _) = run.run([total], [rows(2)])
    assert new is not total


def test_code_that_cannot_update_in_place_is_not_asked_to() -> None:
    image = step_image()
    plain = NativeImage(
        image.code, image.params, image.results, image.symbols, image.arena, image.slab
    )
    w = ones()
    (total, _) = program(plain, donate=True).run([w], [rows(2)])
    assert total is not w
    assert np.array_equal(w, ones())


def test_a_failed_step_leaves_the_state_whole() -> None:
    run = program(step_image(), donate=True)
    w = ones()
    with pytest.raises(NativeError, match="code 7; the state is as before"):
        run.run([w], [rows(13)])
    assert np.array_equal(w, ones())
    run.run([w], [rows(2)])
    np.testing.assert_array_equal(w, 1 + rows(2).sum(0))


def test_prepare_runs_once_per_version() -> None:
    run = program(prepared_image())
    assert run._prepare is not None
    calls = []
    inner = run._prepare.run

    def counted(*arguments: object, **named: object) -> object:
        calls.append(1)
        return inner(*arguments, **named)

    run._prepare.run = counted  # type: ignore[method-assign,assignment]
    w = ones()
    for version, expected in ((1, 1), (1, 1), (2, 2), (None, 3), (None, 4), (2, 4), (1, 5)):
        total, twice = run.run([w], [rows(2)], version)
        np.testing.assert_array_equal(total, -1 + rows(2).sum(0))
        np.testing.assert_array_equal(twice, 2 * rows(2))
        assert len(calls) == expected
    w *= 3
    np.testing.assert_array_equal(run.run([w], [rows(2)], 3)[0], -3 + rows(2).sum(0))


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_thread_counts_give_the_same_bits(threads: int) -> None:
    run = program(step_image())
    expected = [a.tobytes() for a in run(ones(), rows(100))]
    try:
        runtime.set_threads(threads)
        assert [a.tobytes() for a in run(ones(), rows(100))] == expected
    finally:
        runtime.set_threads(None)


def test_calls_from_several_threads() -> None:
    run = program(step_image())
    wrong: list[int] = []

    def work(batch: int) -> None:
        for _ in range(200):
            total, twice = run(ones(), rows(batch))
            if not np.array_equal(total, 1 + rows(batch).sum(0)) or twice.shape != (batch, 4):
                wrong.append(batch)

    threads = [threading.Thread(target=work, args=(n,)) for n in (1, 5, 30, 200)]
    for thread in threads:
        thread.start()
    for n in (1, 3, 2):  # the number of threads may change meanwhile
        runtime.set_threads(n)
        time.sleep(0.02)
    for thread in threads:
        thread.join()
    runtime.set_threads(None)
    assert not wrong


def test_memory_is_flat() -> None:
    run = program(step_image(), donate=True)
    w, x = ones(), rows(1000)
    run.run([w], [x])
    before = runtime.arenas.nbytes()
    for _ in range(1000):
        run.run([w], [x])
    assert runtime.arenas.nbytes() == before
    runtime.arenas.clear()
    assert runtime.arenas.nbytes() == 0
    run.run([w], [x])


def test_a_call_is_quick() -> None:
    run = program(step_image(), donate=True)
    w, x = ones(), rows(1)
    best = 1.0
    for _ in range(30):
        start = time.perf_counter()
        for _ in range(100):
            run.run([w], [x])
        best = min(best, (time.perf_counter() - start) / 100)
    assert best < 50e-6
