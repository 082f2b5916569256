"""Losses of overlapping regions."""

from typing import Any

from kgraph import config, ops
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export

__all__ = ["Dice", "Tversky", "dice", "tversky"]


@keras_export("keras.losses.dice")
def dice(y_true: Any, y_pred: Any, axis: Any = None) -> Any:
    """Returns 1 minus twice the overlap divided by the sum of both areas.

    Args:
        y_true: targets, 0 to 1.
        y_pred: predictions, of the same shape.
        axis: the axes of the areas; None: all.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    overlap = ops.sum(y_true * y_pred, axis=axis)
    areas = ops.sum(y_true, axis=axis) + ops.sum(y_pred, axis=axis)
    return 1 - ops.divide(2.0 * overlap, areas + config.epsilon())


@keras_export("keras.losses.tversky")
def tversky(
    y_true: Any, y_pred: Any, alpha: float = 0.5, beta: float = 0.5, axis: Any = None
) -> Any:
    """Like `dice`, with `alpha` and `beta` as the weights of the two kinds of error.

    Args:
        y_true: targets, 0 to 1.
        y_pred: predictions, of the same shape.
        alpha: the weight of what is missing in the prediction.
        beta: the weight of what is too much in it.
        axis: the axes of the areas; None: all.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    overlap = ops.sum(y_true * y_pred, axis=axis)
    missing = ops.sum((1 - y_pred) * y_true, axis=axis)
    surplus = ops.sum(y_pred * (1 - y_true), axis=axis)
    return 1 - ops.divide(overlap, overlap + missing * alpha + surplus * beta + config.epsilon())


@keras_export("keras.losses.Dice")
class Dice(BuiltInLoss):
    """The Dice loss; see `dice` for the arguments."""

    _config_names = ("axis",)

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "dice",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(dice, reduction, name, dtype, axis=axis)
        self.axis = axis


@keras_export("keras.losses.Tversky")
class Tversky(BuiltInLoss):
    """The Tversky loss; see `tversky` for the arguments."""

    _config_names = ("alpha", "beta", "axis")

    def __init__(
        self,
        alpha: float = 0.5,
        beta: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "tversky",
        axis: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(tversky, reduction, name, dtype, alpha=alpha, beta=beta, axis=axis)
        self.alpha = alpha
        self.beta = beta
        self.axis = axis
