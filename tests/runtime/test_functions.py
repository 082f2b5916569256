"""Functions of programs in memory and on disk: other programs find them, and damage is a miss."""

import os
import stat
from pathlib import Path

import numpy as np
import pytest

from kgraph import runtime
from kgraph.codegen import Options
from kgraph.ir import Builder, Function, TensorType, symbol
from kgraph.runtime import cache as caches
from kgraph.runtime.cache import DiskCache, disk_cache
from kgraph.runtime.digest import Key
from kgraph.runtime.functions import FunctionStore

OPTIONS = Options(backend="llvm")


@pytest.fixture(autouse=True)
def notices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(caches, "notice", said.append)
    return said


def dense(scale: float) -> Function:
    """relu(x w) * scale, of which the product is the same for all scales."""
    b = Builder()
    x = b.param("x", TensorType((symbol("batch"), 20), "float32"))
    w = b.param("w", TensorType((20, 30), "float32"))
    y = b.dot_general(x, w, (), (), (1,), (0,))
    total = b.reduce(y, "sum", (1,))
    return b.function(y, b.multiply(total, b.splat(scale, total.type)))


def run(scale: float) -> None:
    x, w = np.ones((3, 20), "f4"), np.ones((20, 30), "f4")
    y, total = runtime.compile(dense(scale), options=OPTIONS, name=f"dense{scale}")(x, w)
    assert (y == 20).all()
    assert (total == 600 * scale).all()


def counted() -> tuple[int, int]:
    """Of the last compilation, the functions that were found and those that were compiled."""
    line = disk_cache().explain()[0]
    found, made = line.partition("; of its functions ")[2].split(" were found, ")
    return int(found), int(made.removesuffix(" compiled"))


def test_another_program_finds_what_it_shares() -> None:
    run(3.0)
    found, made = counted()
    assert (found, made > 2) == (0, True)
    before, _ = disk_cache().functions()
    assert before >= made
    run(2.0)
    found, again = counted()
    assert 0 < again < made
    assert found + again == made
    assert disk_cache().functions()[0] == before + again


def test_another_process_finds_it_on_disk() -> None:
    run(3.0)
    _, made = counted()
    runtime.clear_memory_cache()
    (path,) = disk_cache().folder.glob("*.kgc")
    path.unlink()
    run(3.0)
    assert counted() == (made, 0)
    assert len(list(disk_cache().folder.glob("*.kgc"))) == 1


def test_damaged_files_are_compiled_again(notices: list[str]) -> None:
    run(3.0)
    _, made = counted()
    files = sorted(disk_cache().folder.glob("*.kgf"), key=lambda path: path.stat().st_mtime_ns)
    files[0].write_bytes(files[0].read_bytes()[:-1])
    files[1].write_bytes(files[0].read_bytes())
    files[2].write_bytes(b"")
    runtime.clear_memory_cache()
    for path in disk_cache().folder.glob("*.kgc"):
        path.unlink()
    run(3.0)
    assert counted() == (made - 3, 3)
    assert len(notices) == 3
    assert all("truncated or damaged" in said for said in notices)


def test_a_file_under_another_name_is_a_miss(cache_folder: Path) -> None:
    cache = DiskCache(cache_folder, 1 << 20)
    cache.put_functions({"a" * 64: b"code"})
    (path,) = cache_folder.iterdir()
    path.rename(path.with_name("b" * 64 + path.suffix))
    assert cache.get_function("b" * 64) is None
    assert cache.get_function("a" * 64) is None


def test_a_folder_that_cannot_be_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("KGRAPH_CACHE_DIR", str(tmp_path / "file"))
    run(3.0)
    run(2.0)  # finds in memory what it shares


def test_files_are_the_users_own(cache_folder: Path) -> None:
    run(3.0)
    assert {stat.S_IMODE(path.stat().st_mode) for path in cache_folder.iterdir()} == {0o600}


def test_the_least_used_go_where_they_are_too_many(cache_folder: Path) -> None:
    cache = DiskCache(cache_folder, 8 << 14)  # room for eight
    cache.put_functions({f"{i}": bytes(10) for i in range(8)})
    for i, path in enumerate(sorted(cache_folder.iterdir())):
        os.utime(path, (i, i))
    assert cache.get_function("0") is not None  # and so it was used last
    cache.put(Key((("graph", "g"),)), [bytes(2000)])
    assert cache.functions()[0] == 8
    cache.put_functions({"8": bytes(10)})
    left = sorted(path.stem for path in cache_folder.glob("*.kgf"))
    assert left == ["0", "4", "5", "6", "7", "8"]
    assert len(cache.entries()) == 1


def test_clear_removes_them(cache_folder: Path) -> None:
    run(3.0)
    assert disk_cache().clear() == 1
    assert disk_cache().functions() == (0, 0)


def test_nothing_is_kept_where_the_cache_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGRAPH_CACHE", "0")
    store = FunctionStore(disk_cache())
    store.put({"key": b"code"})
    assert store.get("key") == b"code"
    runtime.clear_memory_cache()
    assert store.get("key") is None
    assert (store.found, store.made) == (1, 1)
