"""Constraints by name, and to and from configs."""

from collections.abc import Callable, Mapping
from typing import Any

from kgraph import registry
from kgraph.constraints.base import Constraint
from kgraph.constraints.norms import MaxNorm, MinMaxNorm, UnitNorm
from kgraph.constraints.sign import NonNeg
from kgraph.registry import keras_export
from kgraph.utils.named_objects import NamedObjects

__all__ = ["deserialize", "get", "serialize"]

_CONSTRAINTS = NamedObjects(
    "constraint", [Constraint, MaxNorm, MinMaxNorm, NonNeg, UnitNorm], snake_case=True
)


@keras_export("keras.constraints.serialize")
def serialize(constraint: Any) -> Any:
    """Returns the config of a constraint."""
    return registry.serialize_keras_object(constraint)


@keras_export("keras.constraints.deserialize")
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Builds the constraint that a config or a name describes."""
    return _CONSTRAINTS.deserialize(config, custom_objects)


@keras_export("keras.constraints.get")
def get(identifier: Any) -> Callable[[Any], Any] | None:
    """Returns the constraint that a name, a config, a class or a callable means.

    Raises:
        ValueError: the identifier means nothing; the message lists the nearest names.
    """
    found: Callable[[Any], Any] | None = _CONSTRAINTS.get(identifier)
    return found
