"""Machine code of single functions, which programs share: in memory, then on disk."""

from __future__ import annotations

from collections.abc import Mapping

from kgraph.runtime.cache import DiskCache, disk_cache
from kgraph.runtime.digest import pool_key
from kgraph.runtime.memory import MemoryCache

_memory: MemoryCache[bytes] = MemoryCache(4096)


class FunctionStore:
    """A `CodeStore` for one compilation: counts what it `found` and what was `made`."""

    def __init__(self, disk: DiskCache) -> None:
        self._disk = disk
        self.found = self.made = 0

    def get(self, key: str) -> bytes | None:
        """The code of a function that this process or an earlier one compiled."""
        code = _memory.get(key)
        if code is None and (code := self._disk.get_function(key)) is not None:
            _memory.put(key, code)
        self.found += code is not None
        return code

    def put(self, items: Mapping[str, bytes]) -> None:
        """Keeps functions that were compiled."""
        self.made += len(items)
        for key, code in items.items():
            _memory.put(key, code)
        self._disk.put_functions(items)


def forget_functions() -> None:
    """Forgets what is in memory."""
    _memory.clear()


def pool_code() -> bytes:
    """The object of the thread pool, from the cache or compiled now."""
    from kgraph.codegen.llvm.fingerprint import compiler_version
    from kgraph.codegen.llvm.pool import compile_pool
    from kgraph.codegen.llvm.pool_text import pool_text

    key = pool_key(pool_text(), compiler_version())
    cache = disk_cache()
    code = cache.get_function(key)
    if code is None:
        code = compile_pool()
        cache.put_functions({key: code})
    return code
