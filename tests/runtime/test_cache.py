"""The disk cache: whatever happens to its files, compiling still works."""

import json
import os
import re
import stat
import threading
import time
from pathlib import Path

import pytest

from kgraph import runtime
from kgraph.codegen import NativeImage, Options
from kgraph.ir import Builder, Function, TensorType, symbol
from kgraph.runtime import cache as caches
from kgraph.runtime import options as runtime_options
from kgraph.runtime.cache import DiskCache
from kgraph.runtime.digest import Key, digest_of_sources, key_of, source_digest


def key(**parts: str) -> Key:
    return Key(
        tuple({"graph": "g", "options": '{"exact": false}', "sources": "s", **parts}.items())
    )


@pytest.fixture
def cache(cache_folder: Path) -> DiskCache:
    return DiskCache(cache_folder, 1 << 20)


@pytest.fixture(autouse=True)
def notices(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(caches, "notice", said.append)
    return said


def test_what_is_put_comes_back(cache: DiskCache, notices: list[str]) -> None:
    assert cache.get(key()) is None
    cache.put(key(), [b"first", b"", b"\x00\xff"], "mlp")
    assert cache.get(key()) == [b"first", b"", b"\x00\xff"]
    assert cache.get(key(graph="h")) is None
    (entry,) = cache.entries()
    assert (entry.name, entry.digest, entry.parts) == ("mlp", key().digest, key().parts)
    assert re.fullmatch(r"mlp +0\.\d KB  \d{4}-\d\d-\d\d \d\d:\d\d  \w{12}", str(entry))
    assert not notices


def test_the_folder_and_its_files_are_the_users_own(cache: DiskCache) -> None:
    cache.put(key(), [b"x"])
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(p.stat().st_mode) for p in cache.folder.iterdir()} == {0o600}


def test_every_damage_is_a_miss(cache: DiskCache, notices: list[str]) -> None:
    cache.put(key(), [b"payload" * 10])
    (path,) = cache.folder.glob("*.kgc")
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert cache.get(key()) is None
    for at in range(len(whole)):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert cache.get(key()) is None
        assert len(cache.entries()) <= 1
    assert all("compiling again" in text and "\n" not in text for text in notices)
    cache.put(key(), [b"new"])
    assert cache.get(key()) == [b"new"]


def test_a_file_under_another_name_is_a_miss(cache: DiskCache) -> None:
    cache.put(key(), [b"x"])
    (path,) = cache.folder.glob("*.kgc")
    path.rename(cache.folder / (key(graph="h").digest + ".kgc"))
    assert cache.get(key(graph="h")) is None


def test_a_folder_that_cannot_be_used(tmp_path: Path, notices: list[str]) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    cache = DiskCache(blocked / "cache", 1 << 20)
    assert cache.get(key()) is None
    cache.put(key(), [b"x"])
    assert cache.entries() == []
    assert cache.clear() == 0
    assert notices
    assert all(str(blocked) in text for text in notices)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write anywhere")
def test_a_read_only_folder(cache: DiskCache, notices: list[str]) -> None:
    cache.put(key(), [b"x"])
    cache.folder.chmod(0o500)
    try:
        cache.put(key(graph="h"), [b"y"])
        assert cache.get(key()) == [b"x"]
    finally:
        cache.folder.chmod(0o700)
    assert len(notices) == 1


def test_a_full_disk_leaves_nothing_behind(
    cache: DiskCache, notices: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.put(key(), [b"x"])
    assert [p.name for p in cache.folder.iterdir()] == []
    assert len(notices) == 1
    assert "No space left" in notices[0]


def test_a_folder_that_others_may_write_to_is_not_used(
    cache: DiskCache, notices: list[str]
) -> None:
    cache.folder.mkdir(mode=0o700)
    cache.folder.chmod(0o777)
    cache.put(key(), [b"x"])
    assert list(cache.folder.iterdir()) == []
    assert "chmod 700" in notices[0]
    cache.folder.chmod(0o700)
    cache.put(key(), [b"x"])
    cache.folder.chmod(0o777)
    assert cache.get(key()) is None


def test_the_least_used_go_first(cache_folder: Path) -> None:
    cache = DiskCache(cache_folder, 5000)
    for i in range(4):
        cache.put(key(graph=str(i)), [bytes(1000)])
        (path,) = cache.folder.glob(key(graph=str(i)).digest + "*")
        os.utime(path, (i + 1, i + 1))
    assert cache.get(key(graph="0")) is not None  # now the last used
    cache.put(key(graph="4"), [bytes(1000)])
    assert cache.get(key(graph="1")) is None
    assert cache.get(key(graph="0")) is not None
    assert sum(e.nbytes for e in cache.entries()) <= 5000


def test_leftovers_of_dead_writers_go(cache: DiskCache) -> None:
    cache.put(key(), [b"x"])
    old, new = cache.folder / ".a.kgc.1.1", cache.folder / ".b.kgc.1.1"
    old.write_text("")
    new.write_text("")
    os.utime(old, (1, 1))
    cache.put(key(graph="h"), [b"x"])
    assert not old.exists()
    assert new.exists()


def test_many_writers_and_readers(cache: DiskCache, notices: list[str]) -> None:
    wrong: list[object] = []
    done = threading.Event()

    def write(n: int) -> None:
        for _ in range(30):
            cache.put(key(), [bytes([n]) * 5000])
        done.set()

    def read() -> None:
        while not done.is_set():
            found = cache.get(key())
            if found is not None and len(set(found[0])) != 1:
                wrong.append(found)

    threads = [threading.Thread(target=write, args=(n,)) for n in range(3)]
    threads.append(threading.Thread(target=read))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert not notices
    assert len(cache.entries()) == 1


def test_explain(cache: DiskCache) -> None:
    assert cache.explain() == ["no miss is on record"]
    cache.get(key())
    assert "no entry of its kind" in cache.explain()[1]
    cache.put(key(), [b"x"], "near")
    cache.put(key(graph="h", sources="t"), [b"x"], "far")
    cache.get(key(options='{"exact": true}'), "train step")
    title, nearest, *lines = cache.explain()
    assert "train step" in title
    assert nearest == "nearest entry: near"
    assert lines == ["options.exact: was False, is True"]
    cache.get(key(sources="edited"))
    assert cache.explain()[2:] == ["sources: kgraph's own sources changed"]
    assert cache.clear() == 2
    assert cache.explain() == ["no miss is on record"]
    assert json.dumps(cache.entries()) == "[]"


def function(scale: float = 2.0, label: str = "x") -> Function:
    b = Builder()
    x = b.param(label, TensorType((symbol("batch"),), "float32"))
    return b.function(b.negate(x) if scale == 2.0 else b.negate(b.negate(x)))


def test_the_key_holds_what_decides_the_code() -> None:
    def digest(fn: Function, state: int = 0, options: Options | None = None, **print_: str) -> str:
        return key_of(fn, state, {}, options or Options(), print_).digest

    same = digest(function())
    assert digest(function()) == same
    assert digest(function(label="dense_1/kernel")) == same
    others = [
        digest(function(3.0)), digest(function(), 1), digest(function(), 0, Options(exact=True)),
        digest(function(), cpu="znver4"), key_of(function(), 0, {0: 0}, Options(), {}).digest,
    ]  # fmt: skip
    assert len({same, *others}) == 6
    assert len(source_digest()) == 64


def test_an_edited_source_is_another_compiler(tmp_path: Path) -> None:
    kernel = tmp_path / "codegen" / "llvm" / "gemm.py"
    kernel.parent.mkdir(parents=True)
    kernel.write_text("tile = 6, 16")
    seen = {digest_of_sources(tmp_path)}
    kernel.write_text("tile = 8, 32")
    seen.add(digest_of_sources(tmp_path))
    kernel.rename(kernel.with_name("conv.py"))
    seen.add(digest_of_sources(tmp_path))
    (tmp_path / "ir").mkdir()
    (tmp_path / "ir" / "op.py").write_text("")
    seen.add(digest_of_sources(tmp_path))
    assert len(seen) == 4
    # what decides no code: other packages, other files
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "dense.py").write_text("")
    (tmp_path / "ir" / "README.md").write_text("")
    assert digest_of_sources(tmp_path) in seen
    assert ("sources", source_digest()) in key_of(function(), 0, {}, Options(), {}).parts


def test_images_round_trip() -> None:
    batch = symbol("batch")
    types = (
        TensorType((batch, 3), "float32"),
        TensorType((), "bfloat16"),
        TensorType((batch // 2,), "bool"),
    )
    inner = NativeImage(b"\n\x00{", types[1:2], types)
    image = NativeImage(b"code\n", types, types[:1], ("batch",), 64 * batch + 128, 256, True, inner)
    assert NativeImage.from_bytes(image.to_bytes()) == image
    assert NativeImage.from_bytes(inner.to_bytes()) == inner


def test_where_the_folder_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert runtime.cache_folder() == tmp_path / "cache"
    monkeypatch.delenv("KGRAPH_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert runtime.cache_folder() == tmp_path / "xdg" / "kgraph"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert runtime.cache_folder() == tmp_path / ".cache" / "kgraph"
    monkeypatch.setenv("KGRAPH_CACHE_MB", "many")
    with pytest.raises(ValueError, match="KGRAPH_CACHE_MB: expected a number of megabytes"):
        runtime.disk_cache()


def test_no_cache(monkeypatch: pytest.MonkeyPatch, cache_folder: Path) -> None:
    monkeypatch.setenv("KGRAPH_CACHE", "0")
    cache = runtime.disk_cache()
    cache.put(key(), [b"x"])
    assert cache.get(key()) is None
    assert not cache_folder.exists()


def test_notices_are_said_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(runtime_options, "_noticed", set())
    for _ in range(3):
        runtime_options.notice("kgraph: something")
    assert len(caplog.records) == 1


def test_a_hit_counts_as_a_use(cache: DiskCache) -> None:
    cache.put(key(), [b"x"])
    (path,) = cache.folder.glob("*.kgc")
    os.utime(path, (1, 1))
    assert cache.get(key()) is not None
    assert time.time() - path.stat().st_mtime < 60
