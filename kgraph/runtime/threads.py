"""How many threads programs run on, and the pool that has them."""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kgraph.codegen.llvm.pool import Pool

_wanted: int | None = None
_pool: Pool | None = None
_lock = threading.Lock()


def set_threads(count: int | None) -> None:
    """Sets how many threads programs run on from the next call on; None: what the environment says.

    Results do not depend on it, bit for bit.

    Raises:
        ValueError: the count is not at least 1.
    """
    global _wanted, _pool
    if count is not None and (type(count) is not int or count < 1):
        raise ValueError(f"threads: expected an int of at least 1, or None; got {count!r}")
    with _lock:
        _wanted = count
        old, _pool = _pool, None
    if old is not None:
        old.stop()


def thread_count() -> int:
    """How many threads programs run on: `set_threads`, else `KGRAPH_NUM_THREADS`, else the CPUs
    this process may use.

    Raises:
        ValueError: `KGRAPH_NUM_THREADS` is no number of at least 1.
    """
    if _wanted is not None:
        return _wanted
    text = os.environ.get("KGRAPH_NUM_THREADS", "").strip()
    if not text:
        return usable_cpus()
    if not text.isdecimal() or int(text) < 1:
        raise ValueError(f"KGRAPH_NUM_THREADS: expected a number of at least 1; got {text!r}")
    return int(text)


def usable_cpus() -> int:
    """The CPUs of the affinity mask, or fewer where the control group limits the time."""
    if hasattr(os, "sched_getaffinity"):
        count = len(os.sched_getaffinity(0))
    else:
        count = os.cpu_count() or 1
    limit = cgroup_cpus(_read("/proc/self/cgroup"), Path("/sys/fs/cgroup"))
    return count if limit is None else max(1, min(count, math.ceil(limit)))


def cgroup_cpus(membership: str, root: Path) -> float | None:
    """The CPUs' worth of time that control groups leave this process; None without a limit.

    Args:
        membership: the text of /proc/self/cgroup.
        root: where the control groups are mounted.
    """
    limits: list[float] = []
    for line in membership.splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            quotas = [_read(f"{folder}/cpu.max").split() for folder in _upward(root, path)]
        elif "cpu" in controllers.split(","):
            folders = _upward(root / "cpu", path)
            quotas = [_quota_of_version_1(folder) for folder in folders]
        else:
            continue
        limits += [int(q[0]) / int(q[1]) for q in quotas if len(q) == 2 and q[0].isdecimal()]
    return min(limits, default=None)


def shared_pool() -> Pool:
    """The process's thread pool, with `thread_count()` threads; made on the first call."""
    global _pool
    found = _pool
    if found is not None:
        return found
    with _lock:
        if _pool is None:
            from kgraph.codegen.llvm.pool import Pool
            from kgraph.runtime.functions import pool_code

            _pool = Pool(pool_code(), thread_count())
        return _pool


def _upward(root: Path, path: str) -> list[Path]:
    """The folder of a group and all above it: a limit holds for everything below."""
    folder = root / path.lstrip("/")
    found = [folder]
    while folder != root and root in folder.parents:
        folder = folder.parent
        found.append(folder)
    # Inside a container the path may be the host's, and the mount the group itself.
    return found if root in found else [*found, root]


def _quota_of_version_1(folder: Path) -> list[str]:
    return [
        _read(f"{folder}/cpu.cfs_quota_us").strip(),
        _read(f"{folder}/cpu.cfs_period_us").strip(),
    ]


def _read(path: str) -> str:
    try:
        return Path(path).read_text()
    except OSError:
        return ""


def _forget_after_fork() -> None:
    """In a child there are no workers, and another thread may have held the lock."""
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)
