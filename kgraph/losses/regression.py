"""Losses of real-valued predictions."""

from collections.abc import Callable
from typing import Any

from kgraph import config, ops
from kgraph.losses.reduction import squeeze_or_expand_to_same_rank
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export

__all__ = [
    "Huber",
    "LogCosh",
    "MeanAbsoluteError",
    "MeanAbsolutePercentageError",
    "MeanSquaredError",
    "MeanSquaredLogarithmicError",
    "huber",
    "log_cosh",
    "mean_absolute_error",
    "mean_absolute_percentage_error",
    "mean_squared_error",
    "mean_squared_logarithmic_error",
]


def tensors_of_same_rank(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Converts both to tensors of `y_pred`'s dtype, and their ranks where they differ by one."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype)
    return squeeze_or_expand_to_same_rank(y_true, y_pred)


def export(name: str) -> Callable[[Any], Any]:
    """Registers a function both as a loss and as a metric."""
    return keras_export([f"keras.metrics.{name}", f"keras.losses.{name}"])


@export("mean_squared_error")
def mean_squared_error(y_true: Any, y_pred: Any) -> Any:
    """Returns the mean of `(y_true - y_pred) ** 2` along the last axis."""
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


@export("mean_absolute_error")
def mean_absolute_error(y_true: Any, y_pred: Any) -> Any:
    """Returns the mean of `abs(y_true - y_pred)` along the last axis."""
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    return ops.mean(ops.abs(y_true - y_pred), axis=-1)


@export("mean_absolute_percentage_error")
def mean_absolute_percentage_error(y_true: Any, y_pred: Any) -> Any:
    """Returns 100 times the mean of `abs((y_true - y_pred) / y_true)` along the last axis.

    A target nearer to 0 than `keras.config.epsilon()` counts as that.
    """
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    scale = ops.maximum(ops.abs(y_true), config.epsilon())
    return 100.0 * ops.mean(ops.abs((y_true - y_pred) / scale), axis=-1)


@export("mean_squared_logarithmic_error")
def mean_squared_logarithmic_error(y_true: Any, y_pred: Any) -> Any:
    """Returns the mean of `(log(1 + y_true) - log(1 + y_pred)) ** 2` along the last axis.

    Values below `keras.config.epsilon()` count as that.
    """
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    log_pred = ops.log(ops.maximum(y_pred, config.epsilon()) + 1.0)
    log_true = ops.log(ops.maximum(y_true, config.epsilon()) + 1.0)
    return ops.mean(ops.square(log_pred - log_true), axis=-1)


@export("huber")
def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Any:
    """Half the squared error up to `delta`, linear beyond; averaged along the last axis."""
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    error = y_pred - y_true
    size = ops.abs(error)
    losses = ops.where(size <= delta, 0.5 * ops.square(error), delta * size - 0.5 * delta * delta)
    return ops.mean(losses, axis=-1)


@export("log_cosh")
def log_cosh(y_true: Any, y_pred: Any) -> Any:
    """Returns the mean of `log(cosh(y_pred - y_true))` along the last axis."""
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    error = y_pred - y_true
    log_2 = 0.6931471805599453
    return ops.mean(error + ops.softplus(error * -2.0) - log_2, axis=-1)


@keras_export("keras.losses.MeanSquaredError")
class MeanSquaredError(BuiltInLoss):
    """The mean of the squared errors."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_error, reduction, name, dtype)


@keras_export("keras.losses.MeanAbsoluteError")
class MeanAbsoluteError(BuiltInLoss):
    """The mean of the absolute errors."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_error, reduction, name, dtype)


@keras_export("keras.losses.MeanAbsolutePercentageError")
class MeanAbsolutePercentageError(BuiltInLoss):
    """The mean of the errors in percent of the targets."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_absolute_percentage_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_absolute_percentage_error, reduction, name, dtype)


@keras_export("keras.losses.MeanSquaredLogarithmicError")
class MeanSquaredLogarithmicError(BuiltInLoss):
    """The mean of the squared differences of the logarithms."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "mean_squared_logarithmic_error",
        dtype: Any = None,
    ) -> None:
        super().__init__(mean_squared_logarithmic_error, reduction, name, dtype)


@keras_export("keras.losses.Huber")
class Huber(BuiltInLoss):
    """Squared errors up to `delta`, absolute ones beyond."""

    def __init__(
        self,
        delta: float = 1.0,
        reduction: str | None = "sum_over_batch_size",
        name: str = "huber_loss",
        dtype: Any = None,
    ) -> None:
        super().__init__(huber, reduction, name, dtype, delta=delta)


@keras_export("keras.losses.LogCosh")
class LogCosh(BuiltInLoss):
    """The mean of the logarithms of the errors' hyperbolic cosine."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "log_cosh",
        dtype: Any = None,
    ) -> None:
        super().__init__(log_cosh, reduction, name, dtype)
