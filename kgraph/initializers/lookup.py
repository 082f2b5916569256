"""Initializers by name, and to and from configs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from kgraph import ops, registry
from kgraph.initializers.base import Initializer
from kgraph.initializers.fixed import Constant, Identity, Ones, Zeros
from kgraph.initializers.orthonormal import Orthogonal
from kgraph.initializers.random import RandomNormal, RandomUniform, TruncatedNormal
from kgraph.initializers.scaled import (
    GlorotNormal,
    GlorotUniform,
    HeNormal,
    HeUniform,
    LecunNormal,
    LecunUniform,
    VarianceScaling,
)
from kgraph.registry import keras_export
from kgraph.utils.named_objects import NamedObjects

__all__ = ["deserialize", "get", "serialize"]

_INITIALIZERS = NamedObjects(
    "initializer",
    [
        Initializer,
        Constant,
        Identity,
        Ones,
        Zeros,
        GlorotNormal,
        GlorotUniform,
        HeNormal,
        HeUniform,
        LecunNormal,
        LecunUniform,
        Orthogonal,
        RandomNormal,
        RandomUniform,
        TruncatedNormal,
        VarianceScaling,
    ],
    aliases={
        "IdentityInitializer": Identity,
        "OrthogonalInitializer": Orthogonal,
        "normal": RandomNormal,
        "one": Ones,
        "uniform": RandomUniform,
        "zero": Zeros,
    },
    snake_case=True,
)


@keras_export("keras.initializers.serialize")
def serialize(initializer: Any) -> Any:
    """Returns the config of an initializer."""
    return registry.serialize_keras_object(initializer)


@keras_export("keras.initializers.deserialize")
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Builds the initializer that a config or a name describes."""
    return _INITIALIZERS.deserialize(config, custom_objects)


@keras_export("keras.initializers.get")
def get(identifier: Any) -> Callable[..., Any] | None:
    """Returns the initializer that a name, a config, a class, a callable or an array means.

    An array stands for itself: the initializer returns it, cast, for its own shape only.

    Raises:
        ValueError: the identifier means nothing; the message lists the nearest names.
    """
    if isinstance(identifier, (np.ndarray, np.generic)) or ops.is_tensor(identifier):
        return _from_array(identifier)
    found: Callable[..., Any] | None = _INITIALIZERS.get(identifier)
    return found


def _from_array(array: Any) -> Callable[..., Any]:
    def initialize(shape: Sequence[int], dtype: str | None = None) -> Any:
        if tuple(shape) != tuple(array.shape):
            raise ValueError(
                f"The initializer is an array of shape {tuple(array.shape)}; "
                f"it cannot initialise a weight of shape {tuple(shape)}."
            )
        return ops.cast(array, ops.standardize_dtype(dtype))

    return initialize
