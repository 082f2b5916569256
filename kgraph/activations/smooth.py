"""Activations with a derivative everywhere, and their exponential relatives."""

from typing import Any

from kgraph import ops
from kgraph.registry import keras_export

__all__ = [
    "celu",
    "elu",
    "exponential",
    "gelu",
    "log_sigmoid",
    "mish",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "squareplus",
    "tanh",
    "tanh_shrink",
]


@keras_export("keras.activations.celu")
def celu(x: Any, alpha: float = 1.0) -> Any:
    """Returns `x` above 0 and `alpha * (exp(x / alpha) - 1)` below."""
    return ops.celu(x, alpha=alpha)


@keras_export("keras.activations.elu")
def elu(x: Any, alpha: float = 1.0) -> Any:
    """Returns `x` above 0 and `alpha * (exp(x) - 1)` below."""
    return ops.elu(x, alpha=alpha)


@keras_export("keras.activations.selu")
def selu(x: Any) -> Any:
    """Scales `elu` so that zero mean and unit variance are kept from layer to layer."""
    return ops.selu(x)


@keras_export("keras.activations.gelu")
def gelu(x: Any, approximate: bool = False) -> Any:
    """Returns `x` times the probability that a standard normal value is below `x`.

    `approximate` replaces the normal distribution by its tanh formula.
    """
    return ops.gelu(x, approximate=approximate)


@keras_export(["keras.activations.silu", "keras.activations.swish"])
def silu(x: Any) -> Any:
    """Returns `x * sigmoid(x)`."""
    return ops.silu(x)


@keras_export("keras.activations.mish")
def mish(x: Any) -> Any:
    """Returns `x * tanh(softplus(x))`."""
    x = ops.convert_to_tensor(x)
    return x * ops.tanh(ops.softplus(x))


@keras_export("keras.activations.sigmoid")
def sigmoid(x: Any) -> Any:
    """Returns `1 / (1 + exp(-x))`."""
    return ops.sigmoid(x)


@keras_export("keras.activations.log_sigmoid")
def log_sigmoid(x: Any) -> Any:
    """Returns the logarithm of `sigmoid(x)`, exact where that underflows."""
    return ops.log_sigmoid(x)


@keras_export("keras.activations.softplus")
def softplus(x: Any) -> Any:
    """Returns `log(1 + exp(x))`."""
    return ops.softplus(x)


@keras_export("keras.activations.softsign")
def softsign(x: Any) -> Any:
    """Returns `x / (1 + abs(x))`."""
    return ops.softsign(x)


@keras_export("keras.activations.squareplus")
def squareplus(x: Any, b: float = 4) -> Any:
    """Returns `(x + sqrt(x ** 2 + b)) / 2`."""
    return ops.squareplus(x, b=b)


@keras_export("keras.activations.tanh")
def tanh(x: Any) -> Any:
    """Returns the hyperbolic tangent of `x`."""
    return ops.tanh(x)


@keras_export("keras.activations.tanh_shrink")
def tanh_shrink(x: Any) -> Any:
    """Returns `x - tanh(x)`."""
    return ops.tanh_shrink(x)


@keras_export("keras.activations.exponential")
def exponential(x: Any) -> Any:
    """Returns `exp(x)`."""
    return ops.exp(x)
