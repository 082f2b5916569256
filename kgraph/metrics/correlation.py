"""How targets and predictions vary together."""

from typing import Any

from kgraph import config, ops
from kgraph.losses.regression import tensors_of_same_rank
from kgraph.metrics.reduction import BuiltInMean
from kgraph.registry import keras_export

__all__ = [
    "ConcordanceCorrelation",
    "PearsonCorrelation",
    "concordance_correlation",
    "pearson_correlation",
]


@keras_export("keras.metrics.pearson_correlation")
def pearson_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Returns Pearson's correlation coefficient along `axis`: 1 for a rising straight line."""
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    y_true = y_true - ops.mean(y_true, axis=axis, keepdims=True)
    y_pred = y_pred - ops.mean(y_pred, axis=axis, keepdims=True)
    y_true = ops.divide(y_true, ops.std(y_true, axis=axis, keepdims=True))
    y_pred = ops.divide(y_pred, ops.std(y_pred, axis=axis, keepdims=True))
    return ops.mean(y_true * y_pred, axis=axis)


@keras_export("keras.metrics.concordance_correlation")
def concordance_correlation(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Returns Lin's concordance coefficient along `axis`: 1 only where both are equal."""
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    mean_true = ops.mean(y_true, axis=axis, keepdims=True)
    mean_pred = ops.mean(y_pred, axis=axis, keepdims=True)
    spread = ops.var(y_true - mean_true, axis=axis, keepdims=True)
    spread = spread + ops.var(y_pred - mean_pred, axis=axis, keepdims=True)
    spread = spread + ops.square(mean_true - mean_pred)
    # The mean of y_pred serves on both sides: what it leaves of y_true is orthogonal to the rest.
    together = (y_true - mean_pred) * (y_pred - mean_pred)
    return ops.mean(2 * together / (spread + config.epsilon()), axis=axis)


@keras_export("keras.metrics.PearsonCorrelation")
class PearsonCorrelation(BuiltInMean):
    """The mean of Pearson's correlation coefficient along `axis`."""

    _direction = "up"
    _config_names = ("axis",)

    def __init__(
        self, name: str = "pearson_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(pearson_correlation, name, dtype, axis=axis)
        self.axis = axis


@keras_export("keras.metrics.ConcordanceCorrelation")
class ConcordanceCorrelation(BuiltInMean):
    """The mean of Lin's concordance coefficient along `axis`."""

    _direction = "up"
    _config_names = ("axis",)

    def __init__(
        self, name: str = "concordance_correlation", dtype: Any = None, axis: int = -1
    ) -> None:
        super().__init__(concordance_correlation, name, dtype, axis=axis)
        self.axis = axis
