"""How often predictions match targets."""

from typing import Any

from kgraph import config, ops
from kgraph.losses.reduction import squeeze_or_expand_to_same_rank
from kgraph.metrics.reduction import BuiltInMean
from kgraph.registry import keras_export

__all__ = [
    "Accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
]


def accuracy(y_true: Any, y_pred: Any) -> Any:
    """Returns 1.0 where `y_true` equals `y_pred`, else 0.0."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    return ops.cast(ops.equal(y_true, y_pred), config.floatx())


@keras_export("keras.metrics.binary_accuracy")
def binary_accuracy(y_true: Any, y_pred: Any, threshold: float = 0.5) -> Any:
    """Returns 1.0 where `y_true` (0 or 1) tells whether `y_pred > threshold`, else 0.0."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true)
    y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
    positive = ops.cast(y_pred > threshold, y_true.dtype)
    return ops.cast(ops.equal(y_true, positive), config.floatx())


@keras_export("keras.metrics.categorical_accuracy")
def categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Returns 1.0 where both are largest at the same index of the last axis, else 0.0."""
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) + 1:
        y_true = ops.squeeze(y_true, -1)
    same = ops.equal(ops.argmax(y_true, axis=-1), ops.argmax(y_pred, axis=-1))
    return ops.cast(same, config.floatx())


@keras_export("keras.metrics.sparse_categorical_accuracy")
def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> Any:
    """Returns 1.0 where `y_pred` is largest at the index `y_true` of its last axis, else 0.0.

    Args:
        y_true: class numbers, of `y_pred`'s shape without its last dim (or with size 1 there).
        y_pred: scores.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
        y_true = ops.squeeze(y_true, -1)
    matches = ops.equal(y_true, ops.cast(ops.argmax(y_pred, axis=-1), y_true.dtype))
    matches = ops.cast(matches, config.floatx())
    if len(matches.shape) > 1 and matches.shape[-1] == 1:
        matches = ops.squeeze(matches, -1)
    return matches


@keras_export("keras.metrics.Accuracy")
class Accuracy(BuiltInMean):
    """How often predictions equal targets."""

    _direction = "up"

    def __init__(self, name: str = "accuracy", dtype: Any = None) -> None:
        super().__init__(accuracy, name, dtype)


@keras_export("keras.metrics.BinaryAccuracy")
class BinaryAccuracy(BuiltInMean):
    """How often predictions above `threshold` go with targets 1, and others with 0."""

    _direction = "up"
    _config_names = ("threshold",)

    def __init__(
        self, name: str = "binary_accuracy", dtype: Any = None, threshold: float = 0.5
    ) -> None:
        super().__init__(binary_accuracy, name, dtype, threshold=threshold)
        self.threshold = threshold


@keras_export("keras.metrics.CategoricalAccuracy")
class CategoricalAccuracy(BuiltInMean):
    """How often the largest prediction is that of the one-hot target."""

    _direction = "up"

    def __init__(self, name: str = "categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(categorical_accuracy, name, dtype)


@keras_export("keras.metrics.SparseCategoricalAccuracy")
class SparseCategoricalAccuracy(BuiltInMean):
    """How often the largest prediction is that of the class number."""

    _direction = "up"

    def __init__(self, name: str = "sparse_categorical_accuracy", dtype: Any = None) -> None:
        super().__init__(sparse_categorical_accuracy, name, dtype)
