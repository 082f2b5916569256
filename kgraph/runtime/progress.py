"""A line on the terminal while something takes long, so that nobody wonders."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

PATIENCE = 2.0  # seconds without a word


@contextmanager
def told_if_slow(what: str) -> Iterator[None]:
    """Says on stderr what is being done once it takes longer than `PATIENCE`, and in the end how
    long it took. Only where stderr is a terminal: a log has no use for it.
    """
    terminal = sys.stderr
    if terminal is None or not terminal.isatty():
        yield
        return
    start = time.perf_counter()
    lock = threading.Lock()
    said = over = False

    def say() -> None:
        nonlocal said
        with lock:
            if not over:
                terminal.write(f"kgraph: {what} ...")
                terminal.flush()
                said = True

    timer = threading.Timer(PATIENCE, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        with lock:
            over = True
        if said:
            terminal.write(f" {time.perf_counter() - start:.1f} s\n")
            terminal.flush()
