"""The public names of built-in classes and functions, as files spell them."""

import functools
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, TypeVar

__all__ = ["exported", "exported_path", "keras_export"]

Exported = TypeVar("Exported")

_BY_PATH: dict[str, Any] = {}
_PATHS: dict[int, str] = {}  # id of the object -> its first path
# What notes names when it is imported. Strings: these are higher floors, looked up from here only
# when a file names what no part of the program has used yet.
_PACKAGES = ("layers", "losses", "metrics", "models", "optimizers")


def keras_export(path: str | Iterable[str]) -> Callable[[Exported], Exported]:
    """Notes the public name, or names, of a class or function: `keras.layers.Dense`.

    Reading a file looks names up in this table and imports nothing by a name that a file gives.
    """
    paths = [path] if isinstance(path, str) else list(path)

    def note(item: Exported) -> Exported:
        for name in paths:
            _BY_PATH[name] = item
        _PATHS[id(item)] = paths[0]
        return item

    return note


def exported(path: str) -> Any:
    """The class or function of a public name; None for an unknown one."""
    if path not in _BY_PATH:
        _import_all()
    return _BY_PATH.get(path)


@functools.cache
def _import_all() -> None:
    for package in _PACKAGES:
        import_module(f"kgraph.{package}")


def exported_path(item: Any) -> str | None:
    """The public name of a class or function; None where it has none."""
    path = _PATHS.get(id(item))
    return path if path is not None and _BY_PATH.get(path) is item else None
