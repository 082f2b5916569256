"""Metrics by name, and to and from configs."""

from collections.abc import Mapping
from typing import Any

from kgraph import registry
from kgraph.metrics import (
    accuracy,
    auc,
    correlation,
    counts,
    f_score,
    iou,
    margin,
    metric,
    probabilistic,
    r2,
    reduction,
    regression,
    top_k,
    trade_off,
)
from kgraph.registry import keras_export
from kgraph.utils.named_objects import NamedObjects

__all__ = ["deserialize", "get", "serialize"]

_FAMILIES = (
    accuracy,
    auc,
    correlation,
    counts,
    f_score,
    margin,
    iou,
    metric,
    probabilistic,
    r2,
    reduction,
    regression,
    top_k,
    trade_off,
)

_METRICS = NamedObjects(
    "metric",
    # The classes only: a metric's name means the class, whose function has the same name.
    [getattr(family, name) for family in _FAMILIES for name in family.__all__ if name[0].isupper()],
    aliases={
        "acc": accuracy.Accuracy,
        "bce": probabilistic.BinaryCrossentropy,
        "BCE": probabilistic.BinaryCrossentropy,
        "mae": regression.MeanAbsoluteError,
        "MAE": regression.MeanAbsoluteError,
        "mape": regression.MeanAbsolutePercentageError,
        "MAPE": regression.MeanAbsolutePercentageError,
        "mse": regression.MeanSquaredError,
        "MSE": regression.MeanSquaredError,
        "msle": regression.MeanSquaredLogarithmicError,
        "MSLE": regression.MeanSquaredLogarithmicError,
    },
    snake_case=True,
)


@keras_export("keras.metrics.serialize")
def serialize(metric: Any) -> Any:
    """Returns the config of a metric object or function."""
    return registry.serialize_keras_object(metric)


@keras_export("keras.metrics.deserialize")
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Builds the metric that a config or a name describes."""
    return _METRICS.deserialize(config, custom_objects)


@keras_export("keras.metrics.get")
def get(identifier: Any) -> Any:
    """Returns the metric object, or the function, that a name, config, class or callable means.

    Raises:
        ValueError: the identifier means nothing; the message lists the nearest names.
    """
    return identifier if isinstance(identifier, metric.Metric) else _METRICS.get(identifier)
