"""Walking over a model's objects in the order and under the names of the file format.

An object's children are found under its attributes, public ones first, in alphabetical order; those
in lists and
dicts under the snake-case name of their class, numbered where it comes again. What is found twice
is saved once.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from kgraph.layers import Layer
from kgraph.optimizers import Optimizer
from kgraph.saving.weights_store import WeightsReader, WeightsWriter
from kgraph.utils.naming import to_snake_case

__all__ = ["load_state", "objects_with_paths", "save_state"]


def save_state(model: Any, writer: WeightsWriter) -> None:
    """Writes the variables of the model, its layers and its optimizer."""
    for path, item in objects_with_paths(model):
        item.save_own_variables(writer.make(path, getattr(item, "name", None)))


def load_state(model: Any, reader: WeightsReader, skip_mismatch: bool = False) -> list[str]:
    """Reads them back; what could not be read, as sentences (all of it is tried first)."""
    problems = []
    for path, item in objects_with_paths(model):
        store = reader.get(path)
        try:
            item.load_own_variables(store)
        except (ValueError, KeyError, TypeError) as e:
            if not skip_mismatch:
                name = getattr(item, "name", type(item).__name__)
                problems.append(
                    f"{type(item).__name__} {name!r} (at {path or 'the top'!r} of the file): {e}"
                )
    return problems


def objects_with_paths(root: Any) -> Iterator[tuple[str, Any]]:
    """Every object with variables of its own, and its path in the file."""
    seen: set[int] = set()
    pending: list[tuple[str, Any]] = [("", root)]
    while pending:
        path, item = pending.pop()
        if isinstance(item, list | tuple | dict):
            pending += reversed([(f"{path}/{name}", child) for name, child in _items(item)])
        elif id(item) not in seen:
            seen.add(id(item))
            if hasattr(item, "save_own_variables"):
                yield path, item
            pending += reversed(
                [(f"{path}/{name}" if path else name, child) for name, child in _attributes(item)]
            )


def _items(container: Any) -> Iterator[tuple[str, Any]]:
    used: dict[str, int] = {}
    for item in container.values() if isinstance(container, dict) else container:
        if isinstance(item, Layer | Optimizer):
            name = to_snake_case(type(item).__name__)
        elif isinstance(item, list | tuple | dict) and _holds_objects(item):
            name = "container"
        else:
            continue
        used[name] = used.get(name, -1) + 1
        yield f"{name}_{used[name]}" if used[name] else name, item


def _holds_objects(container: Any) -> bool:
    items = container.values() if isinstance(container, dict) else container
    return any(
        isinstance(i, Layer | Optimizer)
        or (isinstance(i, list | tuple | dict) and _holds_objects(i))
        for i in items
    )


def _attributes(item: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(item, Layer):
        return  # an optimizer's variables are all its own
    if item._obj_type() in ("Sequential", "Functional"):
        yield "layers", item.layers
    skipped = _base_attributes() | (
        {"layers", "_functional", "_operations", "operations"}
        if item._obj_type() != "Layer"
        else set()
    )
    for name in sorted(dir(item), key=lambda n: (n.startswith("_"), n)):
        if name.startswith("__") or name in skipped:
            continue
        try:
            child = getattr(item, name)
        except Exception:  # a property that cannot be read yet holds no weights
            continue
        if isinstance(child, Layer | Optimizer) or (
            isinstance(child, list | tuple | dict) and _holds_objects(child)
        ):
            yield name, child


@lru_cache
def _base_attributes() -> frozenset[str]:
    return frozenset(dir(Layer()))
