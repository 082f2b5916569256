"""Nested structures: tuples (named ones too), lists and dicts of leaves.

Dicts go in the order of their sorted keys.
"""

from collections.abc import Callable, Iterator
from typing import Any

__all__ = [
    "assert_same_structure",
    "flatten",
    "is_nested",
    "map_structure",
    "pack_sequence_as",
    "paths",
]


def is_nested(structure: Any) -> bool:
    """Is it a tuple, list or dict?"""
    return isinstance(structure, tuple | list | dict)


def flatten(structure: Any) -> list[Any]:
    """The leaves in order; None is a leaf."""
    if isinstance(structure, dict):
        return [leaf for key in sorted(structure) for leaf in flatten(structure[key])]
    if isinstance(structure, tuple | list):
        return [leaf for item in structure for leaf in flatten(item)]
    return [structure]


def paths(structure: Any, prefix: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of keys and indices to each leaf, in the order of `flatten`."""
    if isinstance(structure, dict):
        return [path for key in sorted(structure) for path in paths(structure[key], (*prefix, key))]
    if isinstance(structure, tuple | list):
        return [path for i, item in enumerate(structure) for path in paths(item, (*prefix, i))]
    return [prefix]


def map_structure(function: Callable[..., Any], *structures: Any) -> Any:
    """The structure of the first with `function` of the leaves that stand at one place.

    Raises ValueError where the structures differ.
    """
    if len(structures) == 1 and not is_nested(structures[0]):
        return function(structures[0])
    for other in structures[1:]:
        assert_same_structure(structures[0], other)
    results = [function(*leaves) for leaves in zip(*map(flatten, structures), strict=True)]
    return pack_sequence_as(structures[0], results)


def pack_sequence_as(structure: Any, leaves: list[Any]) -> Any:
    """The structure with other leaves, given in the order of `flatten`."""
    rest = iter(leaves)
    packed = _pack(structure, rest)
    if next(rest, rest) is not rest:
        raise ValueError(
            f"expected {len(flatten(structure))} leaves for {structure!r}; got {len(leaves)}"
        )
    return packed


def assert_same_structure(a: Any, b: Any) -> None:
    """Raises ValueError unless both nest in one way; a tuple and a list of one length differ."""
    if is_nested(a) or is_nested(b):
        same = type(a) is type(b) and len(a) == len(b)
        if not same or (isinstance(a, dict) and sorted(a) != sorted(b)):
            raise ValueError(f"expected one structure; got {_outline(a)} and {_outline(b)}")
        for key in sorted(a) if isinstance(a, dict) else range(len(a)):
            assert_same_structure(a[key], b[key])


def _outline(x: Any) -> str:
    """The structure with a star for each leaf."""
    if isinstance(x, dict):
        return f"{{{', '.join(f'{key!r}: {_outline(x[key])}' for key in sorted(x))}}}"
    if not is_nested(x):
        return "*"
    inner = ", ".join(map(_outline, x))
    return f"[{inner}]" if isinstance(x, list) else f"({inner})"


def _pack(structure: Any, leaves: Iterator[Any]) -> Any:
    if isinstance(structure, dict):
        packed = {key: _pack(structure[key], leaves) for key in sorted(structure)}
        return type(structure)((key, packed[key]) for key in structure)
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[_pack(item, leaves) for item in structure])
    if isinstance(structure, tuple | list):
        return type(structure)(_pack(item, leaves) for item in structure)
    return next(leaves)
