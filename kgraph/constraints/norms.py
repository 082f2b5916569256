"""Constraints on the L2 norm along some axes of a weight."""

from typing import Any

from kgraph import config, ops
from kgraph.constraints.base import Constraint
from kgraph.registry import keras_export

__all__ = ["MaxNorm", "MinMaxNorm", "UnitNorm"]


def _norms(w: Any, axis: Any) -> Any:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


@keras_export(["keras.constraints.MaxNorm", "keras.constraints.max_norm"])
class MaxNorm(Constraint):
    """Shortens to a norm of at most `max_value`.

    Args:
        max_value: the bound.
        axis: the axis or axes of the norm: 0 for the inputs of a dense kernel, (0, 1, 2) for
            those of a 2D convolution's.
    """

    def __init__(self, max_value: float = 2, axis: Any = 0) -> None:
        self.max_value = max_value
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        return w * (ops.clip(norms, 0, self.max_value) / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {"max_value": self.max_value, "axis": self.axis}


@keras_export(["keras.constraints.UnitNorm", "keras.constraints.unit_norm"])
class UnitNorm(Constraint):
    """Scales to a norm of 1.

    Args:
        axis: the axis or axes of the norm.
    """

    def __init__(self, axis: Any = 0) -> None:
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = ops.convert_to_tensor(w)
        return w / (config.epsilon() + _norms(w, self.axis))

    def get_config(self) -> dict[str, Any]:
        return {"axis": self.axis}


@keras_export(["keras.constraints.MinMaxNorm", "keras.constraints.min_max_norm"])
class MinMaxNorm(Constraint):
    """Moves the norm towards the range `min_value` to `max_value`.

    Args:
        min_value: the lower bound.
        max_value: the upper bound.
        rate: the share of the way that a step goes; 1: all of it.
        axis: the axis or axes of the norm.
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Any = 0
    ) -> None:
        self.min_value = min_value
        self.max_value = max_value
        self.rate = rate
        self.axis = axis

    def __call__(self, w: Any) -> Any:
        w = ops.convert_to_tensor(w)
        norms = _norms(w, self.axis)
        inside = ops.clip(norms, self.min_value, self.max_value)
        wanted = self.rate * inside + (1 - self.rate) * norms
        return w * (wanted / (config.epsilon() + norms))

    def get_config(self) -> dict[str, Any]:
        return {
            "min_value": self.min_value,
            "max_value": self.max_value,
            "rate": self.rate,
            "axis": self.axis,
        }
