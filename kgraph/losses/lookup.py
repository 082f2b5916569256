"""Losses by name, and to and from configs."""

from collections.abc import Callable, Mapping
from typing import Any

from kgraph import registry
from kgraph.losses import (
    crossentropy,
    divergence,
    focal,
    margin,
    regression,
    segmentation,
    sequence,
    similarity,
)
from kgraph.losses.loss import Loss
from kgraph.losses.wrapper import LossFunctionWrapper
from kgraph.registry import keras_export
from kgraph.utils.named_objects import NamedObjects

__all__ = ["ALL_OBJECTS", "deserialize", "get", "serialize"]

_FAMILIES = (
    crossentropy,
    divergence,
    focal,
    margin,
    regression,
    segmentation,
    sequence,
    similarity,
)

ALL_OBJECTS = frozenset(
    [Loss, LossFunctionWrapper]
    + [getattr(family, name) for family in _FAMILIES for name in family.__all__]
)

_LOSSES = NamedObjects(
    "loss",
    ALL_OBJECTS,
    aliases={
        "bce": crossentropy.binary_crossentropy,
        "BCE": crossentropy.binary_crossentropy,
        "kld": divergence.kl_divergence,
        "KLD": divergence.kl_divergence,
        "mae": regression.mean_absolute_error,
        "MAE": regression.mean_absolute_error,
        "mse": regression.mean_squared_error,
        "MSE": regression.mean_squared_error,
        "mape": regression.mean_absolute_percentage_error,
        "MAPE": regression.mean_absolute_percentage_error,
        "msle": regression.mean_squared_logarithmic_error,
        "MSLE": regression.mean_squared_logarithmic_error,
    },
)


@keras_export("keras.losses.serialize")
def serialize(loss: Any) -> Any:
    """Returns the config of a loss object or function."""
    return registry.serialize_keras_object(loss)


@keras_export("keras.losses.deserialize")
def deserialize(name: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Builds the loss that a config or a name describes."""
    return _LOSSES.deserialize(name, custom_objects)


@keras_export("keras.losses.get")
def get(identifier: Any) -> Callable[..., Any] | None:
    """Returns the loss object or function that a name, a config, a class or a callable means.

    Raises:
        ValueError: the identifier means nothing; the message lists the nearest names.
    """
    found: Callable[..., Any] | None = _LOSSES.get(identifier)
    return found
