"""Activations that normalise along an axis."""

from typing import Any

from kgraph import ops
from kgraph.registry import keras_export

__all__ = ["log_softmax", "softmax", "sparsemax"]


@keras_export("keras.activations.softmax")
def softmax(x: Any, axis: int = -1) -> Any:
    """Turns `x` into probabilities: `exp(x)` divided by its sum along `axis`.

    Args:
        x: a float tensor of rank 1 or more.
        axis: the axis along which the result sums to 1.

    Returns:
        A tensor of `x`'s shape and dtype.
    """
    return ops.softmax(x, axis=axis)


@keras_export("keras.activations.log_softmax")
def log_softmax(x: Any, axis: int = -1) -> Any:
    """Returns the logarithm of `softmax(x, axis)`, exact where that underflows."""
    return ops.log_softmax(x, axis=axis)


@keras_export("keras.activations.sparsemax")
def sparsemax(x: Any, axis: int = -1) -> Any:
    """Projects `x` on the probabilities along `axis`; small entries become exactly 0."""
    return ops.sparsemax(ops.convert_to_tensor(x), axis)
