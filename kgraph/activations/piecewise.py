"""Activations made of straight (or parabolic) pieces."""

from typing import Any

from kgraph import ops
from kgraph.registry import keras_export

__all__ = [
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_tanh",
    "soft_shrink",
    "threshold",
]


@keras_export("keras.activations.hard_sigmoid")
def hard_sigmoid(x: Any) -> Any:
    """Returns `x / 6 + 0.5`, clipped to the range 0 to 1."""
    return ops.hard_sigmoid(x)


@keras_export(["keras.activations.hard_silu", "keras.activations.hard_swish"])
def hard_silu(x: Any) -> Any:
    """Returns `x * hard_sigmoid(x)`."""
    return ops.hard_silu(x)


@keras_export("keras.activations.hard_tanh")
def hard_tanh(x: Any) -> Any:
    """Returns `x` clipped to the range -1 to 1."""
    return ops.hard_tanh(x)


@keras_export("keras.activations.hard_shrink")
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Returns `x` where `abs(x) > threshold` and 0 elsewhere."""
    return ops.hard_shrink(x, threshold=threshold)


@keras_export("keras.activations.soft_shrink")
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Moves `x` towards 0 by `threshold`, and to 0 where it is nearer than that."""
    return ops.soft_shrink(x, threshold=threshold)


@keras_export("keras.activations.threshold")
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """Returns `x` where it exceeds `threshold` and `default_value` elsewhere."""
    return ops.threshold(x, threshold, default_value)
