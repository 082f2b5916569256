"""Code that no signal interrupts."""

from __future__ import annotations

# `signal` turns numbers into enumeration members and back, which takes thirty times as long.
import _signal  # type: ignore[import-not-found]  # no stub
import threading
from collections import deque
from collections.abc import Callable
from itertools import repeat
from types import FrameType
from typing import TypeVar

T = TypeVar("T")
_NUMBERS = range(1, _signal.NSIG)


def uninterrupted(call: Callable[[], T]) -> T:
    """What `call` returns. Python's handlers of the signals that come meanwhile run afterwards.

    So a KeyboardInterrupt is raised before `call` begins or after it has ended. Handlers run in the
    main thread only; in another one there is nothing to hold back.
    """
    if threading.current_thread() is not threading.main_thread():
        return call()
    handlers = {n: h for n in _NUMBERS if callable(h := _signal.getsignal(n))}
    waiting: list[tuple[int, FrameType | None]] = []

    def wait(number: int, frame: FrameType | None) -> None:
        waiting.append((number, frame))

    def restore() -> None:
        deque(map(_signal.signal, handlers, handlers.values()), maxlen=0)

    try:
        deque(map(_signal.signal, handlers, repeat(wait)), maxlen=0)
        return call()
    finally:
        try:
            restore()
        except BaseException:  # from a handler that was restored already
            restore()
            raise
        finally:
            for number, frame in waiting:
                handlers[number](number, frame)
