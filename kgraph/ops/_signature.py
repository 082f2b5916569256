"""The arguments of a step: taken apart into arrays and a key that says which program fits."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, TypeAlias

import numpy as np

from kgraph.ir import Array, Size, TensorType, dtype_name, symbol
from kgraph.ops._convert import as_array

__all__ = ["Symbolic", "Template", "argument_types", "leading_codes", "rebuild", "take_apart"]

# Leaf number and shape -> a name for each symbolic dim, None for the others.
Symbolic: TypeAlias = "Callable[[int, tuple[int, ...]], Sequence[str | None]]"

# A dim 0 of size 1 beside longer ones: what is the same for all samples.
_SINGLE = -1


class Template:
    """Stands for the array number `index` in a structure."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index


def take_apart(x: Any, arrays: list[Array], key: list[Any]) -> None:
    """Appends the arrays in x to `arrays`, and to `key` its structure, dtypes, ranks and statics.

    Raises:
        TypeError: a leaf is neither an array nor hashable.
    """
    kind = type(x)
    if kind is np.ndarray:
        arrays.append(x)
        key.append(x.dtype)
        key.append(len(x.shape))
    elif x is None or kind is bool or kind is int or kind is float or kind is str:
        key.append(kind)
        key.append(x)
    elif isinstance(x, list | tuple):
        key.append(kind)
        key.append(len(x))
        for item in x:
            take_apart(item, arrays, key)
    elif isinstance(x, dict):
        names = tuple(sorted(x))
        key.append(kind)
        key.append(names)
        for name in names:
            take_apart(x[name], arrays, key)
    elif hasattr(x, "__array__"):
        take_apart(as_array(x), arrays, key)
    else:
        key.append(kind)
        key.append(_hashable(x))


def _hashable(x: Any) -> Hashable:
    try:
        hash(x)
    except TypeError:
        raise TypeError(
            "The arguments of a traced function are arrays, numbers, None, strings, other hashable "
            f"objects, and lists, tuples and dicts of them; got {x!r} of type {type(x).__name__}."
        ) from None
    found: Hashable = x
    return found


def rebuild(x: Any, leaves: Sequence[Any], place: list[int]) -> Any:
    """x with `leaves` in place of its arrays, in the order of `take_apart`."""
    if x is None or (isinstance(x, bool | int | float | str) and not isinstance(x, np.generic)):
        return x
    if isinstance(x, list | tuple):
        items = [rebuild(item, leaves, place) for item in x]
        return type(x)(*items) if hasattr(x, "_fields") else type(x)(items)
    if isinstance(x, dict):
        found = {name: rebuild(x[name], leaves, place) for name in sorted(x)}
        return type(x)((name, found[name]) for name in x)
    if not hasattr(x, "__array__"):
        return x
    place[0] += 1
    return leaves[place[0] - 1]


def leading_codes(arrays: Sequence[Array]) -> tuple[int, ...]:
    """Which arrays share their size of dim 0: equal numbers, equal sizes; 0 is the batch."""
    sizes = [a.shape[0] for a in arrays if a.shape]
    longer = [n for n in sizes if n != 1]
    if not longer:
        return (0,) * len(arrays)
    first = longer[0]
    if sizes.count(first) == len(arrays):
        return (0,) * len(arrays)
    found = {first: 0, 1: _SINGLE}
    return tuple([found.setdefault(a.shape[0], len(found)) if a.shape else 0 for a in arrays])


def argument_types(
    arrays: Sequence[Array], codes: Sequence[int] | None, symbolic: Symbolic | None
) -> list[TensorType]:
    """The types of the parameters: dim 0 a symbol if there are codes, else what `symbolic` says."""
    types = []
    for i, a in enumerate(arrays):
        shape: list[Size] = list(a.shape)
        if symbolic is not None:
            names = symbolic(i, a.shape)
            shape = [n if s is None else symbol(s) for n, s in zip(a.shape, names, strict=True)]
        elif codes is not None and shape and codes[i] != _SINGLE:
            shape[0] = symbol(f"batch{codes[i]}" if codes[i] else "batch")
        types.append(TensorType(tuple(shape), dtype_name(a.dtype)))
    return types
