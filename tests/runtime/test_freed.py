"""Freed memory leaves the process."""

import ctypes
from pathlib import Path

import pytest

from kgraph.runtime.freed import give_back

STATUS = Path("/proc/self/status")


def resident() -> int:
    """Bytes."""
    (line,) = (line for line in STATUS.read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) * 1024


@pytest.mark.skipif(
    not STATUS.exists() or not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="glibc on Linux"
)
def test_what_lies_below_memory_in_use_is_given_back():
    pieces = [b"x" * 60_000 for _ in range(2000)]
    above = pieces[-1]
    del pieces
    before = resident()
    give_back()
    assert before - resident() > 50_000_000
    assert above[0] == ord("x")
