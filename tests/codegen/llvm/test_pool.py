"""The thread pool: every tile once, from any thread, and quiet when idle."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress

import pytest

from kgraph.codegen.llvm import pool as pools
from kgraph.codegen.llvm.assemble import compile_object
from kgraph.codegen.llvm.load import NativeCode, load
from kgraph.codegen.llvm.pool_text import pool_target

pytestmark = pytest.mark.skipif(not pools.is_supported(), reason="no futex")

# tile: argument is a table of i64 counters; the slab counts the thread's tiles.
# meet: each tile waits for another one of its job, so that every job needs two threads.
# note: the same, and writes the number of its thread behind the counter.
# nest: runs 4 tiles of its own on the context, and reports whether they had a slab.
TEXT = """
declare i64 @syscall(i64, ...)
define void @tile(ptr %argument, i64 %i, i64 %thread, ptr %slab) nounwind {
  %p = getelementptr i64, ptr %argument, i64 %i
  %v = atomicrmw add ptr %p, i64 1 monotonic
  %s = load i64, ptr %slab
  %t = add i64 %s, 1
  store i64 %t, ptr %slab
  ret void
}
define void @inner(ptr %argument, i64 %i, i64 %thread, ptr %slab) nounwind {
  %n = icmp eq ptr %slab, null
  %z = zext i1 %n to i64
  %v = atomicrmw add ptr %argument, i64 %z monotonic
  ret void
}
define void @nest(ptr %argument, i64 %i, i64 %thread, ptr %slab) nounwind {
  %context = load ptr, ptr %argument
  %f = load ptr, ptr %context
  %counter = getelementptr i64, ptr %argument, i64 1
  call void %f(ptr %context, ptr @inner, ptr %counter, i64 4)
  ret void
}
define void @meet(ptr %argument, i64 %i, i64 %thread, ptr %slab) nounwind {
entry:
  %old = atomicrmw add ptr %argument, i64 1 acq_rel
  %odd = or i64 %old, 1
  br label %wait
wait:
  %now = load atomic i64, ptr %argument acquire, align 8
  %met = icmp sgt i64 %now, %odd
  br i1 %met, label %done, label %wait
done:
  ret void
}
define void @note(ptr %argument, i64 %i, i64 %thread, ptr %slab) nounwind {
  %k = add i64 %i, 1
  %p = getelementptr i64, ptr %argument, i64 %k
  store i64 %thread, ptr %p
  call void @meet(ptr %argument, i64 %i, i64 %thread, ptr %slab)
  ret void
}
define void @repeat(ptr %f, ptr %context, ptr %tile, ptr %argument, i64 %count, i64 %n) nounwind {
entry:
  br label %loop
loop:
  %i = phi i64 [ 0, %entry ], [ %j, %loop ]
  call void %f(ptr %context, ptr %tile, ptr %argument, i64 %count)
  %j = add i64 %i, 1
  %m = icmp slt i64 %j, %n
  br i1 %m, label %loop, label %done
done:
  ret void
}
"""
WORD = ctypes.c_int64


@pytest.fixture(scope="module")
def pool_code() -> bytes:
    return pools.compile_pool()


@pytest.fixture(scope="module")
def tiles() -> NativeCode:
    return load(compile_object(TEXT, pool_target()), ("tile", "meet", "note", "nest", "repeat"))


class Call:
    """A context with slabs, and calls through it."""

    def __init__(self, pool: pools.Pool, tiles: NativeCode) -> None:
        self.pool, self.tiles = pool, tiles
        self.slabs = (WORD * (8 * 64 + 8))()
        base = (ctypes.addressof(self.slabs) + 63) // 64 * 64
        self.context = (WORD * 6)(pool.parallel_for, pool.address, pool.threads, base, 64, 0)

    def repeat(self, count: int, times: int, tile: str = "tile") -> list[int]:
        table = (WORD * max(count, 1))()
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 4, WORD, WORD)
        kind(self.tiles.address("repeat"))(
            self.pool.parallel_for,
            ctypes.addressof(self.context),
            self.tiles.address(tile),
            ctypes.addressof(table),
            count,
            times,
        )
        return list(table)[:count]

    def run(self, tile: str, argument: object, count: int) -> None:
        kind = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3, WORD)
        kind(self.pool.parallel_for)(
            ctypes.addressof(self.context),
            self.tiles.address(tile),
            ctypes.addressof(argument),
            count,
        )


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_every_tile_runs_once_per_job(
    pool_code: bytes, tiles: NativeCode, threads: int, count: int
) -> None:
    pool = pools.Pool(pool_code, threads)
    assert pool.threads == threads
    call = Call(pool, tiles)
    assert call.repeat(count, 300) == [300] * count
    # slabs: every tile had one, and no thread beyond `threads` took part
    counts = list(call.slabs)
    assert sum(counts) == 300 * count
    assert sum(1 for n in counts if n) <= threads
    pool.stop()


def test_workers_take_part(pool_code: bytes, tiles: NativeCode) -> None:
    pool = pools.Pool(pool_code, 2)
    call = Call(pool, tiles)
    for _ in range(100):  # the other CPU may be busy for a while
        call.repeat(64, 200)
        if sum(1 for n in call.slabs if n) == 2:
            break
    else:
        pytest.fail("no tile ever ran on the worker")
    pool.stop()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU")
def test_each_thread_begins_with_its_own_share(pool_code: bytes, tiles: NativeCode) -> None:
    """Where all threads are at work, each tile stays with its thread from job to job."""
    pool = pools.Pool(pool_code, 2)
    call = Call(pool, tiles)
    for _ in range(10):
        table = (WORD * 7)()
        call.run("note", table, 6)
        assert list(table) == [6, 0, 0, 0, 1, 1, 1]
    pool.stop()


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU")
def test_a_warm_job_of_two_threads_is_quick(pool_code: bytes, tiles: NativeCode) -> None:
    """A job that needs both threads takes well under a microsecond when both have a CPU; the bound
    is for machines that have other things to do, and tells it from waking a sleeper."""
    pool = pools.Pool(pool_code, 2)
    call = Call(pool, tiles)
    best = 1.0
    for _ in range(2000):
        start = time.perf_counter()
        call.repeat(2, 20, "meet")
        best = min(best, (time.perf_counter() - start) / 20)
        if best < 2e-6:
            break
    assert best < 5e-6
    pool.stop()


def test_a_worker_watches_for_a_bounded_time() -> None:
    assert 50_000 <= pools.SPIN_NANOSECONDS <= 200_000


def test_several_python_threads_at_once(pool_code: bytes, tiles: NativeCode) -> None:
    pool = pools.Pool(pool_code, 3)
    found: list[list[int]] = []

    def work() -> None:
        found.append(Call(pool, tiles).repeat(16, 3000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [[3000] * 16] * 4
    pool.stop()


def test_a_nested_call_runs_on_its_thread_without_a_slab(
    pool_code: bytes, tiles: NativeCode
) -> None:
    pool = pools.Pool(pool_code, 2)
    call = Call(pool, tiles)
    argument = (WORD * 2)(ctypes.addressof(call.context), 0)
    call.run("nest", argument, 8)
    assert argument[1] == 8 * 4
    # one tile is a plain call: the inner tiles may have the team, and slabs
    argument[1] = 0
    call.run("nest", argument, 1)
    assert argument[1] == 0
    assert call.context[5] == 0
    pool.stop()


def test_after_stop_jobs_run_on_their_caller(pool_code: bytes, tiles: NativeCode) -> None:
    before = set(os.listdir("/proc/self/task"))
    pool = pools.Pool(pool_code, 3)
    workers = set(os.listdir("/proc/self/task")) - before
    assert len(workers) == 2
    pool.stop()
    call = Call(pool, tiles)
    assert call.repeat(20, 10) == [10] * 20
    deadline = time.monotonic() + 10
    while workers & set(os.listdir("/proc/self/task")) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not workers & set(os.listdir("/proc/self/task"))


def test_idle_workers_use_no_cpu(pool_code: bytes, tiles: NativeCode) -> None:
    pool = pools.Pool(pool_code, 4)
    Call(pool, tiles).repeat(16, 100)
    time.sleep(0.05)  # the spin ends after 0.1 ms, if the workers get a CPU
    before = time.process_time()
    time.sleep(0.4)
    assert time.process_time() - before < 0.02
    pool.stop()


def test_workers_leave_signals_to_python(pool_code: bytes) -> None:
    pool = pools.Pool(pool_code, 2)
    masks = []
    for task in os.listdir("/proc/self/task"):
        # another test's thread may end meanwhile
        with suppress(FileNotFoundError), open(f"/proc/self/task/{task}/status") as file:
            masks += [int(line.split()[1], 16) for line in file if line.startswith("SigBlk")]
    interrupt = 1 << (signal.SIGINT - 1)
    assert any(mask & interrupt for mask in masks)
    assert not signal.pthread_sigmask(signal.SIG_BLOCK, []) & {signal.SIGINT}
    pool.stop()


def test_a_process_with_workers_ends(pool_code: bytes, tmp_path) -> None:
    path = tmp_path / "pool.o"
    path.write_bytes(pool_code)
    program = (
        "from kgraph.codegen.llvm.pool import Pool\n"
        f"pool = Pool(open({str(path)!r}, 'rb').read(), 4)\n"
        "assert pool.threads == 4\n"
    )
    for _ in range(3):
        subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
