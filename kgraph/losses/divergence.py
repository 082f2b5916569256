"""Losses between distributions."""

from typing import Any

from kgraph import config, ops
from kgraph.losses.regression import export
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export

__all__ = ["KLDivergence", "Poisson", "kl_divergence", "poisson"]


@export("kl_divergence")
def kl_divergence(y_true: Any, y_pred: Any) -> Any:
    """Returns the sum of `y_true * log(y_true / y_pred)` along the last axis.

    Both are clipped to the range `keras.config.epsilon()` to 1 first.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    y_true = ops.clip(y_true, config.epsilon(), 1)
    y_pred = ops.clip(y_pred, config.epsilon(), 1)
    return ops.sum(y_true * ops.log(y_true / y_pred), axis=-1)


@export("poisson")
def poisson(y_true: Any, y_pred: Any) -> Any:
    """Returns the mean of `y_pred - y_true * log(y_pred)` along the last axis."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    return ops.mean(y_pred - y_true * ops.log(y_pred + config.epsilon()), axis=-1)


@keras_export("keras.losses.KLDivergence")
class KLDivergence(BuiltInLoss):
    """The Kullback-Leibler divergence of the predicted distribution from the true one."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "kl_divergence",
        dtype: Any = None,
    ) -> None:
        super().__init__(kl_divergence, reduction, name, dtype)


@keras_export("keras.losses.Poisson")
class Poisson(BuiltInLoss):
    """The negative log-likelihood of counts, up to a constant."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "poisson",
        dtype: Any = None,
    ) -> None:
        super().__init__(poisson, reduction, name, dtype)
