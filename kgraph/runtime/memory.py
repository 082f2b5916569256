"""Compiled programs in memory."""

from __future__ import annotations

import threading
from typing import Generic, TypeVar

T = TypeVar("T")


class MemoryCache(Generic[T]):
    """At most `limit` values by name, the last used ones. Thread-safe."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[str, T] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> T | None:
        """The value of a name, if it is there."""
        with self._lock:
            value = self._values.pop(name, None)
            if value is not None:
                self._values[name] = value  # a dict keeps its order: now the last
            return value

    def put(self, name: str, value: T) -> None:
        """Keeps a value."""
        with self._lock:
            self._values[name] = value
            while len(self._values) > self._limit:
                del self._values[next(iter(self._values))]

    def clear(self) -> None:
        """Drops all values; programs that are in use go on."""
        with self._lock:
            self._values.clear()

    def __len__(self) -> int:
        return len(self._values)
