"""What a compiled program depends on: the parts of a cache key."""

from __future__ import annotations

import functools
import hashlib
import json
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kgraph.codegen import Options
from kgraph.ir import Function, to_text

# Of what a cache entry holds; a change makes all older entries misses.
FORMAT = "2"

_SOURCES = ("ir", "passes", "codegen")


@dataclass(frozen=True)
class Key:
    """Everything that decides what compiling gives, by part, so that a miss can be explained."""

    parts: tuple[tuple[str, str], ...]

    @functools.cached_property
    def digest(self) -> str:
        """A name for the whole."""
        return hashlib.sha256(json.dumps(self.parts).encode()).hexdigest()


def key_of(
    fn: Function,
    state: int,
    donate: Mapping[int, int],
    options: Options,
    fingerprint: Mapping[str, str],
) -> Key:
    """The key of a compilation."""
    parameters = ", ".join(str(p.type) for p in fn.params)
    results = ", ".join(str(v.type) for v in fn.results)
    return Key(
        (
            (
                "graph",
                hashlib.sha256(
                    graph_text(fn, options.profile or options.find_nan).encode()
                ).hexdigest(),
            ),
            ("parameters", parameters),
            ("results", results),
            ("ops", str(len(fn.ops))),
            ("state", str(state)),
            ("donate", json.dumps(sorted(donate.items()))),
            ("options", options.text()),
            ("backend", json.dumps(dict(fingerprint), sort_keys=True)),
            ("sources", source_digest()),
            ("format", FORMAT),
        )
    )


def graph_text(fn: Function, locations: bool = False) -> str:
    """The text of a function without what changes no code: names, and locations if not asked for.

    What measures or searches ops names their layers.
    """
    return to_text(fn, locations=locations, labels=False)


def pool_key(text: str, compiler: str) -> str:
    """The key of the thread pool's object."""
    parts = (text, platform.system(), platform.machine(), compiler, FORMAT)
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@functools.cache
def source_digest() -> str:
    """A digest of the sources that make the code: with an edited kernel it is a new compiler."""
    return digest_of_sources(Path(__file__).parents[1])


def digest_of_sources(root: Path) -> str:
    """A digest of the Python files in `ir`, `passes` and `codegen` below `root`."""
    paths = [
        os.path.join(folder, name)
        for package in _SOURCES
        for folder, _, names in os.walk(root / package)
        for name in names
        if name.endswith(".py")
    ]
    total = hashlib.sha256()
    for path in sorted(paths):
        with open(path, "rb", buffering=0) as file:
            data = file.read()
        total.update(f"{os.path.relpath(path, root)} {len(data)}\n".encode())
        total.update(data)
    return total.hexdigest()
