"""What has been freed goes back to the system."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


def give_back() -> None:
    """Gives the system what the allocator keeps of freed memory, where it has a function for that.

    Making initial weights and compiling take and free hundreds of megabytes in pieces of all sizes,
    of which a program's arena, mapped apart, would use nothing again. Takes milliseconds at most.
    """
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], object]:
    """glibc's `malloc_trim`; nothing elsewhere."""
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return lambda kept: None
    return found
