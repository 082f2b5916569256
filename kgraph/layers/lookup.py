"""Layers to and from configs."""

from typing import Any

from kgraph import registry
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["deserialize", "serialize"]


@keras_export("keras.layers.serialize")
def serialize(layer: Layer) -> Any:
    """The layer's class and arguments, fit for JSON."""
    return registry.serialize_keras_object(layer)


@keras_export("keras.layers.deserialize")
def deserialize(config: Any, custom_objects: Any = None) -> Layer:
    """The layer that `serialize` described.

    Raises:
        ValueError: the config is that of something else.
    """
    found = registry.deserialize_keras_object(config, custom_objects=custom_objects)
    if not isinstance(found, Layer):
        raise ValueError(f"`config` must be that of a layer; got one of {type(found).__name__}.")
    return found
