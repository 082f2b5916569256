"""Names for layers, metrics, variables that the user did not name."""

import re
from typing import Any

from kgraph.registry import keras_export

__all__ = ["auto_name", "clear_session", "get_object_name", "get_uid", "to_snake_case", "uniquify"]

_uses: dict[str, int] = {}


def auto_name(prefix: str) -> str:
    """A fresh name from a class's: `Dense` gives `dense`, then `dense_1`, ..."""
    return uniquify(to_snake_case(prefix))


def uniquify(name: str) -> str:
    """`name` at its first use, later with a number behind it."""
    count = _uses.get(name, 0)
    _uses[name] = count + 1
    return f"{name}_{count}" if count else name


def to_snake_case(name: str) -> str:
    """`GlobalAveragePooling2D` becomes `global_average_pooling2d`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()


def get_uid(prefix: str = "") -> int:
    """The next number for the prefix, from 1."""
    _uses[prefix] = _uses.get(prefix, 0) + 1
    return _uses[prefix]


@keras_export("keras.utils.clear_session")
def clear_session(free_memory: bool = True) -> None:
    """Counts the names of layers, models and optimizers from the beginning again.

    Args:
        free_memory: kept for compatibility; what nothing refers to any more is freed anyway.
    """
    _uses.clear()


def get_object_name(value: Any) -> str:
    """`value.name`, else its own or its class's name in snake case."""
    name = getattr(value, "name", None)
    if isinstance(name, str):
        return name
    return to_snake_case(getattr(value, "__name__", type(value).__name__))
