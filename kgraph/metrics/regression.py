"""Errors of real-valued predictions."""

from typing import Any

from kgraph import ops
from kgraph.losses.reduction import squeeze_or_expand_to_same_rank
from kgraph.losses.regression import (
    log_cosh,
    mean_absolute_error,
    mean_absolute_percentage_error,
    mean_squared_error,
    mean_squared_logarithmic_error,
)
from kgraph.losses.similarity import cosine_similarity as negative_cosine_similarity
from kgraph.metrics.reduction import BuiltInMean, Mean
from kgraph.registry import keras_export

__all__ = [
    "CosineSimilarity",
    "LogCoshError",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "RootMeanSquaredError",
]


def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Returns the cosine of the angle between both, along `axis`: 1 for equal directions."""
    return -negative_cosine_similarity(y_true, y_pred, axis=axis)


@keras_export("keras.metrics.MeanSquaredError")
class MeanSquaredError(BuiltInMean):
    """The mean of the squared errors."""

    _direction = "down"

    def __init__(self, name: str = "mean_squared_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_error, name, dtype)


@keras_export("keras.metrics.RootMeanSquaredError")
class RootMeanSquaredError(Mean):
    """The root of the mean of the squared errors."""

    _direction = "down"

    def __init__(self, name: str = "root_mean_squared_error", dtype: Any = None) -> None:
        super().__init__(name, dtype=dtype)

    def update_state(  # type: ignore[override]  # as in Keras
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Takes a batch into account; the arguments are those of `MeanMetricWrapper`."""
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        super().update_state(ops.square(y_pred - y_true), sample_weight=sample_weight)

    def result(self) -> Any:
        return ops.sqrt(super().result())


@keras_export("keras.metrics.MeanAbsoluteError")
class MeanAbsoluteError(BuiltInMean):
    """The mean of the absolute errors."""

    _direction = "down"

    def __init__(self, name: str = "mean_absolute_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_error, name, dtype)


@keras_export("keras.metrics.MeanAbsolutePercentageError")
class MeanAbsolutePercentageError(BuiltInMean):
    """The mean of the errors in percent of the targets."""

    _direction = "down"

    def __init__(self, name: str = "mean_absolute_percentage_error", dtype: Any = None) -> None:
        super().__init__(mean_absolute_percentage_error, name, dtype)


@keras_export("keras.metrics.MeanSquaredLogarithmicError")
class MeanSquaredLogarithmicError(BuiltInMean):
    """The mean of the squared differences of the logarithms."""

    _direction = "down"

    def __init__(self, name: str = "mean_squared_logarithmic_error", dtype: Any = None) -> None:
        super().__init__(mean_squared_logarithmic_error, name, dtype)


@keras_export("keras.metrics.CosineSimilarity")
class CosineSimilarity(BuiltInMean):
    """The mean cosine of the angle between target and prediction, along `axis`."""

    _direction = "up"

    def __init__(self, name: str = "cosine_similarity", dtype: Any = None, axis: int = -1) -> None:
        super().__init__(cosine_similarity, name, dtype, axis=axis)


@keras_export("keras.metrics.LogCoshError")
class LogCoshError(BuiltInMean):
    """The mean of the logarithms of the errors' hyperbolic cosine."""

    _direction = "down"

    def __init__(self, name: str = "logcosh", dtype: Any = None) -> None:
        super().__init__(log_cosh, name, dtype)
