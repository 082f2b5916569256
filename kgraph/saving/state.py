"""Walking over a model's objects in the order and under the names of the file format.

An object's children are found under its attributes, public ones first, in alphabetical order; those
in lists and
dicts under the snake-case name of their class, numbered where it comes again. What is found twice
is saved once.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from kgraph.layers import Layer
from kgraph.optimizers import Optimizer
from kgraph.saving.weights_store import WeightsReader, WeightsWriter
from kgraph.utils.naming import to_snake_case

_UNBUILT = 2  # the variables of an optimizer without state: the iteration and the learning rate

__all__ = ["load_state", "objects_with_paths", "save_state"]


def save_state(model: Any, writer: WeightsWriter) -> None:
    """Writes the variables of the model, its layers and its optimizer."""
    for path, item in objects_with_paths(model):
        item.save_own_variables(writer.make(path, getattr(item, "name", None)))


def load_state(model: Any, reader: WeightsReader, skip_mismatch: bool = False) -> list[str]:
    """Reads them back; what could not be read, as sentences (all of it is tried first).

    Where there is a problem, the model keeps the values that it had.
    """
    problems = []
    items = list(objects_with_paths(model))
    before = [(v, np.array(v.numpy())) for v in _variables(items)]
    try:
        for path, item in items:
            problem = _load(item, path, reader)
            if problem is not None and not skip_mismatch:
                problems.append(problem)
    except BaseException:
        _restore(before)
        raise
    if problems:
        _restore(before)
    return problems


def _load(item: Any, path: str, reader: WeightsReader) -> str | None:
    """Reads one object; None, or what was wrong."""
    try:
        store = reader.get(path)
        if (
            isinstance(item, Optimizer)
            and len(store) <= _UNBUILT
            and (len(store) != len(item.variables))
        ):
            return None  # the file is of a model that was not trained: there is no state yet
        item.load_own_variables(store)
    except KeyError as e:
        found = f"the file has no variable {e}"
    except (ValueError, TypeError) as e:
        found = str(e)
    else:
        return None
    name = getattr(item, "name", type(item).__name__)
    return f"{type(item).__name__} {name!r} (at {path or 'the top'!r} of the file): {found}"


def _variables(items: list[tuple[str, Any]]) -> list[Any]:
    found = {id(v): v for _, item in items for v in getattr(item, "variables", ())}
    return list(found.values())


def _restore(before: list[tuple[Any, np.ndarray]]) -> None:
    for variable, value in before:
        variable.assign(value)


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
