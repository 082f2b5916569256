"""What surrounds the running code of a thread: traces, the layer path, names, autocasting."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import CodeType
from typing import TYPE_CHECKING, Any, Self

from kgraph.ir import FLOATS, Location
from kgraph.ops._dtypes import standardize_dtype

if TYPE_CHECKING:
    from kgraph.ops._trace import Trace

__all__ = [
    "AutocastScope",
    "autocast_dtype",
    "current_location",
    "current_path",
    "current_trace",
    "layer_scope",
    "name_scope",
]


class _Surroundings(threading.local):
    def __init__(self) -> None:
        self.traces: list[Trace] = []
        self.layers: list[str] = []
        self.names: list[name_scope] = []
        self.autocast: str | None = None


here = _Surroundings()


def current_trace() -> Trace | None:
    """The innermost open trace of this thread."""
    return here.traces[-1] if here.traces else None


# ---- where an op comes from ----

PACKAGE = str(Path(__file__).parents[1])
_COMMANDS = str(Path(PACKAGE, "cli"))
_ours: dict[CodeType, bool] = {}
_places: dict[tuple[str, str, int], Location] = {}


@contextmanager
def layer_scope(name: str) -> Iterator[None]:
    """Ops traced inside belong to the layer `name`, within the layers that are being called."""
    layers = here.layers
    layers.append(f"{layers[-1]}/{name}" if layers else name)
    try:
        yield
    finally:
        layers.pop()


def current_location() -> Location:
    """The layer path and the first line, from here outwards, that is not kgraph's own."""
    frame = inner = sys._getframe(1)
    while frame.f_back is not None:
        code = frame.f_code
        ours = _ours.get(code)
        if ours is None:
            ours = _ours[code] = code.co_filename.startswith((PACKAGE, "<frozen", "<string>"))
        if not ours:
            break
        inner, frame = frame, frame.f_back
    key = (here.layers[-1] if here.layers else "", frame.f_code.co_filename, frame.f_lineno)
    found = _places.get(key)
    if found is None:
        if len(_places) > 100_000:
            _places.clear()
        # a library that runs our command line is no user either
        by_command = inner.f_code.co_filename.startswith(_COMMANDS)
        found = _places[key] = Location(key[0]) if by_command else Location(*key)
    return found


# ---- names of variables ----


class name_scope:  # noqa: N801  # Keras's name
    """Variables made inside have `name/` before their path.

    Args:
        name: one part of a path.
        caller: what opens the scope; opening it again from inside does not nest.
        deduplicate: whether that is so.
        override_parent: a path to begin with in place of the surrounding one.
    """

    def __init__(
        self,
        name: str,
        caller: Any = None,
        deduplicate: bool = True,
        override_parent: str | None = None,
    ) -> None:
        if not isinstance(name, str) or "/" in name:
            raise ValueError(f"`name` must be a string without '/'; got {name!r}.")
        self.name = name
        self.caller = caller
        self.deduplicate = deduplicate
        self.override_parent = override_parent
        if override_parent is None and deduplicate:
            self.override_parent = getattr(caller, "_parent_path", None)
        self._opened = False

    def __enter__(self) -> Self:
        top = here.names[-1] if here.names else None
        again = self.caller is not None and top is not None and top.caller is self.caller
        if not (self.deduplicate and again and top is not None and top.name == self.name):
            here.names.append(self)
            self._opened = True
        return self

    def __exit__(self, *exception: object) -> None:
        if self._opened:
            here.names.pop()
            self._opened = False


def current_path() -> str:
    """The path of the open name scopes; "" outside."""
    parts: list[str] = []
    for scope in reversed(here.names):
        parts.append(scope.name)
        if scope.override_parent is not None:
            if scope.override_parent:
                parts.append(scope.override_parent)
            break
    return "/".join(reversed(parts))


# ---- mixed precision ----


class AutocastScope:
    """Float variables read inside come in the float type `dtype`; None: as they are."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = None if dtype is None else standardize_dtype(dtype)
        if self.dtype is not None and self.dtype not in FLOATS:
            raise ValueError(f"AutocastScope needs a float dtype; got {dtype!r}.")
        self._before: str | None = None

    def __enter__(self) -> Self:
        self._before, here.autocast = here.autocast, self.dtype
        return self

    def __exit__(self, *exception: object) -> None:
        here.autocast = self._before


def autocast_dtype() -> str | None:
    """The float type of the innermost AutocastScope."""
    return here.autocast
