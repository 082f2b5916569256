"""Helpers for data, seeds, progress and the registry of classes."""

from kgraph.registry import (
    CustomObjectScope,
    custom_object_scope,
    deserialize_keras_object,
    get_custom_objects,
    get_registered_name,
    get_registered_object,
    register_keras_serializable,
    serialize_keras_object,
)
from kgraph.utils.categorical import to_categorical
from kgraph.utils.naming import clear_session
from kgraph.utils.progbar import Progbar
from kgraph.utils.py_dataset import PyDataset
from kgraph.utils.seeding import set_random_seed

Sequence = PyDataset

__all__ = [
    "CustomObjectScope",
    "Progbar",
    "PyDataset",
    "Sequence",
    "clear_session",
    "custom_object_scope",
    "deserialize_keras_object",
    "get_custom_objects",
    "get_registered_name",
    "get_registered_object",
    "register_keras_serializable",
    "serialize_keras_object",
    "set_random_seed",
    "to_categorical",
]
