"""What a layer holds: variables, layers, seed generators and metrics among its attributes.

They are looked up when they are asked for, in the order in which the attributes were set, lists,
tuples and dicts included. So a list that grows after it was assigned needs no watching.
"""

from collections.abc import Iterator
from types import FunctionType, MethodType
from typing import Any

from kgraph.ops import Variable

__all__ = ["held", "holds", "own_variables"]

# attributes that point elsewhere, or that are no part of the layer's state
_SKIPPED = frozenset(
    {
        "_inbound_nodes",
        "_outbound_nodes",
        "_losses",
        "_trainable_variables",
        "_non_trainable_variables",
    }
)


# what most attributes are; none of it is state
_PLAIN = frozenset({int, float, str, bool, type(None), type, FunctionType, MethodType})


def held(owner: Any, kind: type | tuple[type, ...]) -> list[Any]:
    """The objects of a class that the attributes of `owner` hold, each once."""
    found: dict[int, Any] = {}
    untracked = owner._untracked
    for name, value in vars(owner).items():
        if name not in _SKIPPED and name not in untracked:
            for item in _leaves(value):
                if isinstance(item, kind):
                    found.setdefault(id(item), item)
    return list(found.values())


def holds(owner: Any, item: Any) -> bool:
    """Is it among the attributes of `owner`?"""
    return any(item is other for other in held(owner, type(item)))


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple | set):
        for item in value:
            yield from _leaves(item)
    elif isinstance(value, dict):
        for item in value.values():
            yield from _leaves(item)
    elif type(value) not in _PLAIN:
        yield value


def own_variables(owner: Any) -> list[Variable]:
    """The variables that the layer holds itself: trainable ones first, as they were made."""
    listed = [*owner._trainable_variables, *owner._non_trainable_variables]
    known = {id(v) for v in listed}
    return [*listed, *[v for v in held(owner, Variable) if id(v) not in known]]
