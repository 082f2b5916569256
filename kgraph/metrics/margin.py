"""Margin losses as metrics."""

from typing import Any

from kgraph.losses.margin import categorical_hinge, hinge, squared_hinge
from kgraph.metrics.reduction import BuiltInMean
from kgraph.registry import keras_export

__all__ = ["CategoricalHinge", "Hinge", "SquaredHinge"]


@keras_export("keras.metrics.Hinge")
class Hinge(BuiltInMean):
    """The mean of `max(1 - y_true * y_pred, 0)`."""

    _direction = "down"

    def __init__(self, name: str = "hinge", dtype: Any = None) -> None:
        super().__init__(hinge, name, dtype)


@keras_export("keras.metrics.SquaredHinge")
class SquaredHinge(BuiltInMean):
    """The mean of `max(1 - y_true * y_pred, 0) ** 2`."""

    _direction = "down"

    def __init__(self, name: str = "squared_hinge", dtype: Any = None) -> None:
        super().__init__(squared_hinge, name, dtype)


@keras_export("keras.metrics.CategoricalHinge")
class CategoricalHinge(BuiltInMean):
    """How far the best wrong class comes within 1 of the right one, on average."""

    _direction = "down"

    def __init__(self, name: str = "categorical_hinge", dtype: Any = None) -> None:
        super().__init__(categorical_hinge, name, dtype)
