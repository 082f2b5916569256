"""Margin losses."""

from typing import Any

from kgraph import ops
from kgraph.losses.regression import export
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export

__all__ = [
    "CategoricalHinge",
    "Hinge",
    "SquaredHinge",
    "categorical_hinge",
    "hinge",
    "squared_hinge",
]


def signed_labels(y_true: Any) -> Any:
    """Maps labels 0 and 1 to -1 and 1, if all of them are 0 or 1; else leaves all as they are."""
    binary = ops.all(ops.logical_or(ops.equal(y_true, 0), ops.equal(y_true, 1)))
    return ops.where(binary, 2.0 * y_true - 1.0, y_true)


@export("hinge")
def hinge(y_true: Any, y_pred: Any) -> Any:
    """Returns the mean of `max(1 - y_true * y_pred, 0)` along the last axis.

    Targets are -1 and 1; a batch whose targets are all 0 or 1 is mapped to them.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = signed_labels(ops.cast(y_true, y_pred.dtype))
    return ops.mean(ops.maximum(1.0 - y_true * y_pred, 0.0), axis=-1)


@export("squared_hinge")
def squared_hinge(y_true: Any, y_pred: Any) -> Any:
    """Returns the mean of `max(1 - y_true * y_pred, 0) ** 2` along the last axis.

    Targets are -1 and 1; a batch whose targets are all 0 or 1 is mapped to them.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = signed_labels(ops.cast(y_true, y_pred.dtype))
    return ops.mean(ops.square(ops.maximum(1.0 - y_true * y_pred, 0.0)), axis=-1)


@export("categorical_hinge")
def categorical_hinge(y_true: Any, y_pred: Any) -> Any:
    """How far the best wrong class comes within 1 of the right one; targets are one-hot."""
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    right = ops.sum(y_true * y_pred, axis=-1)
    wrong = ops.max((1.0 - y_true) * y_pred, axis=-1)
    return ops.maximum(wrong - right + 1.0, 0.0)


@keras_export("keras.losses.Hinge")
class Hinge(BuiltInLoss):
    """The mean of `max(1 - y_true * y_pred, 0)`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(hinge, reduction, name, dtype)


@keras_export("keras.losses.SquaredHinge")
class SquaredHinge(BuiltInLoss):
    """The mean of `max(1 - y_true * y_pred, 0) ** 2`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "squared_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(squared_hinge, reduction, name, dtype)


@keras_export("keras.losses.CategoricalHinge")
class CategoricalHinge(BuiltInLoss):
    """How far the best wrong class comes within 1 of the right one."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_hinge",
        dtype: Any = None,
    ) -> None:
        super().__init__(categorical_hinge, reduction, name, dtype)
