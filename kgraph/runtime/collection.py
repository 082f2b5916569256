"""Python's cycle collector, out of the way of the compiler."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_collection() -> Iterator[None]:
    """Collects no cycles meanwhile: graphs are full of them, and looking for garbage among all that
    is still used takes a third of the time of tracing and passes.
    """
    if not gc.isenabled():  # by the user, or by a compilation around this one
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
