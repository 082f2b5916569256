"""Gates, and the two functions that belong to sparsemax."""

from typing import Any

from kgraph import ops
from kgraph.registry import keras_export

__all__ = ["glu", "sparse_plus", "sparse_sigmoid"]


@keras_export("keras.activations.glu")
def glu(x: Any, axis: int = -1) -> Any:
    """Splits `x` in two halves along `axis`; returns the first times the sigmoid of the second."""
    return ops.glu(x, axis=axis)


@keras_export("keras.activations.sparse_sigmoid")
def sparse_sigmoid(x: Any) -> Any:
    """Returns `(x + 1) / 2`, clipped to the range 0 to 1."""
    return ops.sparse_sigmoid(x)


@keras_export("keras.activations.sparse_plus")
def sparse_plus(x: Any) -> Any:
    """Returns the integral of `sparse_sigmoid`: 0 up to -1, a parabola up to 1, then `x`."""
    return ops.sparse_plus(x)
