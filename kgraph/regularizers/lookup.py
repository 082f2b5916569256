"""Regularizers by name, and to and from configs."""

from collections.abc import Callable, Mapping
from typing import Any

from kgraph import registry
from kgraph.registry import keras_export
from kgraph.regularizers.base import Regularizer
from kgraph.regularizers.norms import L1, L1L2, L2
from kgraph.regularizers.orthogonal import OrthogonalRegularizer
from kgraph.utils.named_objects import NamedObjects

__all__ = ["deserialize", "get", "serialize"]

_REGULARIZERS = NamedObjects(
    "regularizer", [Regularizer, L1, L1L2, L2, OrthogonalRegularizer], snake_case=True
)


@keras_export("keras.regularizers.serialize")
def serialize(regularizer: Any) -> Any:
    """Returns the config of a regularizer."""
    return registry.serialize_keras_object(regularizer)


@keras_export("keras.regularizers.deserialize")
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Builds the regularizer that a config or a name describes."""
    return _REGULARIZERS.deserialize(config, custom_objects)


@keras_export("keras.regularizers.get")
def get(identifier: Any) -> Callable[[Any], Any] | None:
    """Returns the regularizer that a name, a config, a class or a callable means.

    Raises:
        ValueError: the identifier means nothing; the message lists the nearest names.
    """
    found: Callable[[Any], Any] | None = _REGULARIZERS.get(identifier)
    return found
