"""The rectifiers, and the identity."""

from typing import Any

from kgraph import ops
from kgraph.registry import keras_export

__all__ = ["leaky_relu", "linear", "relu", "relu6"]


@keras_export("keras.activations.relu")
def relu(
    x: Any,
    negative_slope: float = 0.0,
    max_value: float | None = None,
    threshold: float = 0.0,
) -> Any:
    """Rectifies: 0 below `threshold`, `x` above it, at most `max_value`.

    Args:
        x: a float tensor of any shape.
        negative_slope: below the threshold the result is `negative_slope * (x - threshold)`.
        max_value: the largest result, or None for no bound.
        threshold: where the rectifier opens.

    Returns:
        A tensor of `x`'s shape and dtype.
    """
    if negative_slope != 0.0 and max_value is None and threshold == 0:
        return ops.leaky_relu(x, negative_slope=negative_slope)
    if negative_slope == 0.0 and max_value is None and threshold == 0:
        return ops.relu(x)
    if negative_slope == 0.0 and max_value == 6 and threshold == 0:
        return ops.relu6(x)
    x = ops.convert_to_tensor(x)
    positive = ops.where(x > threshold, x, 0) if threshold != 0 else ops.relu(x)
    if max_value is not None:
        positive = ops.clip(positive, 0.0, max_value)
    if negative_slope == 0.0:
        return positive
    below = ops.relu(threshold - x) if threshold != 0 else ops.relu(-x)
    return positive - negative_slope * below


@keras_export("keras.activations.leaky_relu")
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """Returns `x` where it is positive and `negative_slope * x` elsewhere."""
    return ops.leaky_relu(x, negative_slope=negative_slope)


@keras_export("keras.activations.relu6")
def relu6(x: Any) -> Any:
    """Returns `x` clipped to the range 0 to 6."""
    return ops.relu6(x)


@keras_export("keras.activations.linear")
def linear(x: Any) -> Any:
    """Returns `x` itself."""
    return x
