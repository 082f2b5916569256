"""Compiled programs on disk, so that the next process runs no pass and no compiler.

A folder of files, one per program, named by the digest of everything that decides the code, and one
per function of these programs, for others that have it too; the thread pool is one. Only this user
can write there: its files are machine code. Any trouble with a file or the folder is a miss, with
one line said at most.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kgraph.runtime.digest import Key
from kgraph.runtime.options import notice

_MAGIC = b"kgraph1\n"
_SUFFIX = ".kgc"
_FUNCTION = ".kgf"
# Functions are counted, not weighed: asking for the sizes of all would take longer than compiling
# some. One has 2 KB or so, and a block of the disk or two.
_MOST_FUNCTIONS, _FUNCTION_SHARE = 4096, 1 << 14
_MISS = "last-miss.json"
_DEFAULT_LIMIT_MB = 512
_STALE_SECONDS = 3600


@dataclass(frozen=True)
class Entry:
    """A program on disk.

    Attributes:
        digest: the name of its key.
        name: what it was compiled for.
        nbytes: the size of the file.
        used: when it was last read or written, in seconds since the epoch.
        parts: its key.
    """

    digest: str
    name: str
    nbytes: int
    used: float
    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        """One line: name, size, when it was used, key."""
        used = time.strftime("%Y-%m-%d %H:%M", time.localtime(self.used))
        size = f"{self.nbytes / 1024:8.1f} KB"
        return f"{self.name or '(no name)':40} {size}  {used}  {self.digest[:12]}"


class DamagedError(ValueError):
    """A cache file that is not what it should be."""


class DiskCache:
    """Entries in one folder, bounded in size: those that were not used for longest go first."""

    def __init__(self, folder: Path, limit: int) -> None:
        self.folder, self.limit = folder, limit

    def get(self, key: Key, name: str = "") -> list[bytes] | None:
        """What `put` stored under the key, or None; a miss is noted for `explain`."""
        path = self._path(key.digest)
        payloads = self._read(path, key)
        if payloads is None:
            self._note_miss(key, name)
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return payloads

    def put(
        self,
        key: Key,
        payloads: Sequence[bytes],
        name: str = "",
        functions: tuple[int, int] | None = None,
    ) -> None:
        """Stores an entry, whole or not at all.

        Args:
            functions: how many were found, and how many compiled; noted for `explain`.
        """
        if self._write({self._path(key.digest): _pack(key, payloads, name)}):
            self._note_miss(key, name, functions)
            self._evict()

    def get_function(self, key: str) -> bytes | None:
        """What `put_functions` stored under the key, or None."""
        path = self.folder / (key + _FUNCTION)
        try:
            if not self._is_ours():
                return None
            data = path.read_bytes()
            if _checksum(data[32:], key) != data[:32]:
                raise DamagedError("it is truncated or damaged")
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            notice(f"kgraph: cannot use the cache file {path} ({error}); compiling again")
            return None
        with contextlib.suppress(OSError):
            os.utime(path)
        return data[32:]

    def put_functions(self, items: Mapping[str, bytes]) -> None:
        """Stores the code of functions. Where they are too many, the least used quarter goes."""
        self._write(
            {self.folder / (k + _FUNCTION): _checksum(code, k) + code for k, code in items.items()}
        )
        most = min(_MOST_FUNCTIONS, self.limit // _FUNCTION_SHARE)
        with contextlib.suppress(OSError):
            if sum(name.endswith(_FUNCTION) for name in os.listdir(self.folder)) <= most:
                return
        oldest_first = sorted(self._files(_FUNCTION), key=lambda item: item[1].st_mtime)
        for path, _ in oldest_first[: len(oldest_first) - most * 3 // 4]:
            with contextlib.suppress(OSError):
                path.unlink()

    def functions(self) -> tuple[int, int]:
        """How many functions are stored, and their bytes."""
        sizes = [info.st_size for _, info in self._files(_FUNCTION)]
        return len(sizes), sum(sizes)

    def entries(self) -> list[Entry]:
        """All entries that can be read, the last used first."""
        found = []
        for path, info in self._files(_SUFFIX):
            with contextlib.suppress(OSError, ValueError, KeyError):
                with path.open("rb") as file:
                    header, _ = _read_header(file.read(1 << 16))
                found.append(
                    Entry(
                        path.stem, str(header["name"]), info.st_size, info.st_mtime, _parts(header)
                    )
                )
        return sorted(found, key=lambda entry: -entry.used)

    def clear(self) -> int:
        """Removes all entries and functions; returns how many entries there were."""
        removed = 0
        for path, _ in self._files(_SUFFIX, _FUNCTION):
            with contextlib.suppress(OSError):
                path.unlink()
                removed += path.suffix == _SUFFIX
        with contextlib.suppress(OSError):
            (self.folder / _MISS).unlink()
        return removed

    def explain(self) -> list[str]:
        """Why the last miss was one, line by line: what differs from the nearest entry."""
        try:
            data = json.loads((self.folder / _MISS).read_text())
            parts, digest, name = tuple(map(tuple, data["parts"])), data["digest"], data["name"]
        except (OSError, ValueError, KeyError, TypeError):
            return ["no miss is on record"]
        others = [e for e in self.entries() if e.digest != digest and len(e.parts) == len(parts)]
        title = f"the last miss: {name or 'a program'}, at {time.ctime(data['time'])}"
        if data.get("functions"):
            found, made = data["functions"]
            title += f"; of its functions {found} were found, {made} compiled"
        if not others:
            return [title, "there was no entry of its kind to compare with"]
        # what is named like it and shares most is what it might have been expected to hit
        nearest = max(
            others, key=lambda e: (len(set(e.parts) & set(parts)), e.name == name, e.used)
        )
        return [
            title,
            f"nearest entry: {nearest.name or nearest.digest[:12]}",
            *differences(nearest.parts, parts),
        ]

    def _path(self, digest: str) -> Path:
        return self.folder / (digest + _SUFFIX)

    def _read(self, path: Path, key: Key) -> list[bytes] | None:
        try:
            if not self._is_ours():
                return None
            header, payloads = _unpack(path.read_bytes())
            if _parts(header) != key.parts:
                raise DamagedError("it belongs to another key")
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError) as error:
            notice(f"kgraph: cannot use the cache file {path} ({error}); compiling again")
            return None
        return payloads

    def _write(self, files: Mapping[Path, bytes]) -> bool:
        """Writes files, each whole or not at all; False where it cannot."""
        try:
            if files and not self._make_folder():
                return False
            for path, data in files.items():
                _write_whole(path, data)
        except OSError as error:
            notice(f"kgraph: cannot write to the cache folder {self.folder} ({error})")
            return False
        return True

    def _note_miss(self, key: Key, name: str, functions: tuple[int, int] | None = None) -> None:
        note = {
            "parts": key.parts, "digest": key.digest, "name": name, "time": time.time(),
            "functions": functions,
        }  # fmt: skip
        with contextlib.suppress(OSError):
            if self._make_folder():
                _write_whole(self.folder / _MISS, json.dumps(note).encode())

    def _make_folder(self) -> bool:
        """Makes the folder if it is missing; False if it must not be used."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._is_ours()

    def _is_ours(self) -> bool:
        """False if others could put files into the folder: what we load is executed."""
        info = self.folder.stat()
        if info.st_mode & (stat.S_IWGRP | stat.S_IWOTH) or info.st_uid not in (os.getuid(), 0):
            notice(f"kgraph: others may write to the cache folder {self.folder}: chmod 700 it")
            return False
        return True

    def _files(self, *suffixes: str) -> list[tuple[Path, os.stat_result]]:
        found = []
        with contextlib.suppress(OSError), os.scandir(self.folder) as items:
            for item in items:
                with contextlib.suppress(OSError):
                    if item.name.endswith(suffixes):
                        found.append((Path(item.path), item.stat()))
                    elif (
                        item.name.startswith(".")
                        and time.time() - item.stat().st_mtime > _STALE_SECONDS
                    ):
                        os.unlink(item.path)  # a writer died
        return found

    def _evict(self) -> None:
        files = self._files(_SUFFIX)
        total = sum(info.st_size for _, info in files)
        for path, info in sorted(files, key=lambda item: item[1].st_mtime):
            if total <= self.limit:
                break
            with contextlib.suppress(OSError):
                path.unlink()
                total -= info.st_size


class NoCache(DiskCache):
    """Keeps nothing: `KGRAPH_CACHE=0`."""

    def __init__(self) -> None:
        super().__init__(Path(os.devnull), 0)

    def get(self, key: Key, name: str = "") -> list[bytes] | None:
        return None

    def put(
        self,
        key: Key,
        payloads: Sequence[bytes],
        name: str = "",
        functions: tuple[int, int] | None = None,
    ) -> None:
        return

    def get_function(self, key: str) -> bytes | None:
        return None

    def put_functions(self, items: Mapping[str, bytes]) -> None:
        return


def disk_cache() -> DiskCache:
    """The user's cache.

    The folder is `$KGRAPH_CACHE_DIR`, else `$XDG_CACHE_HOME/kgraph`, else `~/.cache/kgraph`.
    `KGRAPH_CACHE_MB` bounds the size of its programs, and so the number of functions, at most
    4096; `KGRAPH_CACHE=0` turns it off.

    Raises:
        ValueError: `KGRAPH_CACHE_MB` is no number.
    """
    if os.environ.get("KGRAPH_CACHE", "").strip() == "0":
        return NoCache()
    limit = os.environ.get("KGRAPH_CACHE_MB", "").strip() or str(_DEFAULT_LIMIT_MB)
    if not limit.isdecimal():
        raise ValueError(f"KGRAPH_CACHE_MB: expected a number of megabytes; got {limit!r}")
    return DiskCache(cache_folder(), int(limit) << 20)


def cache_folder() -> Path:
    """Where `disk_cache` keeps its files."""
    if folder := os.environ.get("KGRAPH_CACHE_DIR", "").strip():
        return Path(folder).expanduser()
    base = os.environ.get("XDG_CACHE_HOME", "").strip()
    return (Path(base) if base else Path("~/.cache").expanduser()) / "kgraph"


def differences(old: Sequence[tuple[str, str]], new: Sequence[tuple[str, str]]) -> list[str]:
    """A line for each part of two keys that differs; JSON objects field by field."""
    before, lines = dict(old), []
    for part, value in new:
        was = before.get(part, "")
        if was == value:
            continue
        fields_was, fields = _fields(was), _fields(value)
        if fields_was is not None and fields is not None:
            lines += [
                f"{part}.{f}: was {fields_was.get(f)!r}, is {fields.get(f)!r}"
                for f in sorted({*fields_was, *fields})
                if fields_was.get(f) != fields.get(f)
            ]
        elif part in ("graph", "sources"):
            what = {"graph": "the traced graph", "sources": "kgraph's own sources"}
            lines.append(f"{part}: {what[part]} changed")
        else:
            lines.append(f"{part}: was {was}, is {value}")
    return lines


def _fields(text: str) -> dict[str, object] | None:
    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _pack(key: Key, payloads: Sequence[bytes], name: str) -> bytes:
    header = {"parts": key.parts, "name": name, "lengths": [len(p) for p in payloads]}
    text = json.dumps(header).encode()
    body = struct.pack("<I", len(text)) + text + b"".join(payloads)
    return _MAGIC + hashlib.sha256(body).digest() + body


def _checksum(code: bytes, key: str) -> bytes:
    """Of a function's code under its key."""
    return hashlib.sha256(key.encode() + code).digest()


def _read_header(data: bytes) -> tuple[dict[str, object], int]:
    """The header of a file's first bytes, and where the payloads begin."""
    start = len(_MAGIC) + 32
    if data[: len(_MAGIC)] != _MAGIC or len(data) < start + 4:
        raise DamagedError("it is no cache file")
    (length,) = struct.unpack_from("<I", data, start)
    header = json.loads(data[start + 4 : start + 4 + length])
    if not isinstance(header, dict):
        raise DamagedError("its header is no object")
    return header, start + 4 + length


def _unpack(data: bytes) -> tuple[dict[str, object], list[bytes]]:
    start = len(_MAGIC) + 32
    if hashlib.sha256(data[start:]).digest() != data[len(_MAGIC) : start]:
        raise DamagedError("it is truncated or damaged")
    header, at = _read_header(data)
    payloads = []
    for length in header["lengths"]:  # type: ignore[attr-defined]  # the checksum says that we wrote it
        payloads.append(data[at : at + length])
        at += length
    return header, payloads


def _parts(header: dict[str, object]) -> tuple[tuple[str, str], ...]:
    return tuple((str(a), str(b)) for a, b in header["parts"])  # type: ignore[attr-defined]  # as above


def _write_whole(path: Path, data: bytes) -> None:
    """A reader sees the old file or the new one. No fsync: after a crash the checksum tells."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{time.monotonic_ns()}")
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
