"""How many threads there are, and a pool that survives forks and changes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kgraph import runtime
from kgraph.runtime import threads

# A program in a process of its own: prints the number of threads that a step may use, and its sum.
SHOW = """
import os, numpy as np
from kgraph import runtime
from kgraph.runtime.native import NativeRunner
from kgraph.runtime.threads import shared_pool
from tests.runtime.native import step_image
runner = NativeRunner(step_image(), {})
def total():
    x = np.ones((50, 4), np.float32)
    return float(runner.run([np.zeros(4, np.float32)], [x], {"batch": 50}, False)[0].sum())
"""


def output(program: str, start: str = SHOW, **environment: str) -> str:
    kept = {k: v for k, v in os.environ.items() if k != "KGRAPH_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", start + program], env={**kept, **environment}, timeout=120,
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KGRAPH_NUM_THREADS", raising=False)


def test_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    assert runtime.thread_count() == runtime.usable_cpus() >= 1
    monkeypatch.setenv("KGRAPH_NUM_THREADS", "3")
    assert runtime.thread_count() == 3
    try:
        runtime.set_threads(5)
        assert runtime.thread_count() == 5
    finally:
        runtime.set_threads(None)
    assert runtime.thread_count() == 3
    monkeypatch.setenv("KGRAPH_NUM_THREADS", "many")
    with pytest.raises(
        ValueError, match="KGRAPH_NUM_THREADS: expected a number of at least 1; got 'many'"
    ):
        runtime.thread_count()


@pytest.mark.parametrize("count", [0, -1, 1.5, "2", True])
def test_counts_that_are_none(count: object) -> None:
    with pytest.raises(ValueError, match="threads: expected an int of at least 1"):
        runtime.set_threads(count)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("files", "membership", "expected"),
    [
        ({}, "0::/a/b\n", None),
        ({"a/cpu.max": "max 100000"}, "0::/a/b\n", None),
        ({"a/b/cpu.max": "250000 100000", "a/cpu.max": "max 100000"}, "0::/a/b\n", 2.5),
        ({"a/b/cpu.max": "250000 100000", "a/cpu.max": "150000 100000"}, "0::/a/b\n", 1.5),
        ({"cpu.max": "50000 100000"}, "0::/of/the/host\n", 0.5),
        ({"cpu/a/cpu.cfs_quota_us": "300000\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
         "3:memory:/a\n2:cpu,cpuacct:/a\n", 3.0),
        ({"cpu/a/cpu.cfs_quota_us": "-1\n", "cpu/a/cpu.cfs_period_us": "100000\n"},
         "2:cpu:/a\n", None),
    ],
)  # fmt: skip
def test_control_groups(
    files: dict[str, str], membership: str, expected: float | None, tmp_path: Path
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert threads.cgroup_cpus(membership, tmp_path) == expected


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_affinity_and_environment_are_obeyed() -> None:
    show = "total(); print(shared_pool().threads, len(os.listdir('/proc/self/task')) - before)\n"
    start = "before = len(os.listdir('/proc/self/task'))\n"
    one = "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
    assert output(one + start + show) == "1 0"
    assert output(start + show, KGRAPH_NUM_THREADS="3") == "3 2"
    assert output(one + start + show, KGRAPH_NUM_THREADS="2") == "2 1"
    changed = "runtime.set_threads(4); total(); print(shared_pool().threads)"
    assert output(changed) == "4"


def test_a_child_of_a_fork_has_a_pool_of_its_own() -> None:
    program = """
expected = total()
child = os.fork()
if child == 0:
    os._exit(0 if total() == expected and shared_pool().threads == 3 else 1)
assert os.waitpid(child, 0)[1] == 0
import multiprocessing, threading
with multiprocessing.get_context("fork").Pool(2) as pool:
    found = [pool.apply_async(total) for _ in range(8)]
    assert [f.get(60) for f in found] == [expected] * 8
threading.Thread(target=total, daemon=True).start()
print(total() == expected)
"""
    assert output(program, KGRAPH_NUM_THREADS="3") == "True"


def test_a_process_may_end_while_a_daemon_thread_runs_native_code() -> None:
    program = """
import threading, time
def forever():
    while True:
        total()
for _ in range(3):
    threading.Thread(target=forever, daemon=True).start()
time.sleep(0.1)
print("done")
"""
    assert output(program, KGRAPH_NUM_THREADS="2") == "done"


def test_the_pools_code_comes_from_the_cache() -> None:
    program = "import sys; shared_pool(); print('llvmlite.binding' in sys.modules)"
    start = "from kgraph.runtime.threads import shared_pool\n"
    assert [output(program, start) for _ in range(2)] == ["True", "False"]
