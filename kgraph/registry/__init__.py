"""Names for classes and functions, and objects as JSON."""

from kgraph.registry.custom_objects import (
    CustomObjectScope,
    custom_object_scope,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
)
from kgraph.registry.exports import exported, exported_path, keras_export
from kgraph.registry.serialization import deserialize_keras_object, serialize_keras_object

__all__ = [
    "CustomObjectScope",
    "custom_object_scope",
    "deserialize_keras_object",
    "exported",
    "exported_path",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "keras_export",
    "register_keras_serializable",
    "serialize_keras_object",
]
