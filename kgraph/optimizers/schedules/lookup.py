"""Schedules to and from configs."""

from collections.abc import Mapping
from typing import Any

from kgraph import registry
from kgraph.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from kgraph.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PolynomialDecay,
)
from kgraph.optimizers.schedules.piecewise import PiecewiseConstantDecay
from kgraph.optimizers.schedules.schedule import LearningRateSchedule
from kgraph.registry import keras_export
from kgraph.utils.named_objects import NamedObjects

__all__ = ["deserialize", "serialize"]

_SCHEDULES = NamedObjects(
    "learning rate schedule",
    [
        LearningRateSchedule,
        CosineDecay,
        CosineDecayRestarts,
        ExponentialDecay,
        InverseTimeDecay,
        PiecewiseConstantDecay,
        PolynomialDecay,
    ],
)


@keras_export("keras.optimizers.schedules.serialize")
def serialize(learning_rate_schedule: LearningRateSchedule) -> Any:
    """Returns the config of a schedule."""
    return registry.serialize_keras_object(learning_rate_schedule)


@keras_export("keras.optimizers.schedules.deserialize")
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Builds the schedule that a config describes."""
    return _SCHEDULES.deserialize(config, custom_objects)
