"""Activation functions."""

from __future__ import annotations

import math
from typing import Any

from kgraph.ops._arithmetic import absolute, add, clip, divide, multiply, negative, subtract
from kgraph.ops._common import axes_of, axis_of, entered, float_unary
from kgraph.ops._creation import zeros_like
from kgraph.ops._dispatch import op
from kgraph.ops._functions import erf, expm1, logaddexp, sqrt, tanh
from kgraph.ops._joining import split
from kgraph.ops._logic import greater, less, where
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import common_dtype, dtype_of
from kgraph.ops._shapes import moveaxis, reshape

__all__ = [
    "celu", "elu", "gelu", "glu", "hard_shrink", "hard_sigmoid", "hard_silu", "hard_swish",
    "hard_tanh", "leaky_relu", "log_sigmoid", "log_softmax", "relu", "relu6", "selu", "sigmoid",
    "silu", "soft_shrink", "softmax", "softplus", "softsign", "sparse_plus", "sparse_sigmoid",
    "sparsemax", "squareplus", "swish", "tanh_shrink", "threshold",
]  # fmt: skip


@op("nn.Relu")
def relu(x: Any) -> Any:
    """`max(x, 0)`; its gradient at 0 is 0."""
    context, value = entered(x)
    b = context.b
    zero = b.splat(0, value.type)
    return context.wrap(b.select(b.compare(value, zero, "LE"), zero, value))


@op("nn.Relu6")
def relu6(x: Any) -> Any:
    """`min(max(x, 0), 6)`; its gradient at 0 and 6 is 0."""
    context, value = entered(x)
    b = context.b
    zero, six = b.splat(0, value.type), b.splat(6, value.type)
    above = b.select(b.compare(value, zero, "LE"), zero, value)
    return context.wrap(b.select(b.compare(value, six, "GE"), six, above))


@op("nn.Sigmoid")
def sigmoid(x: Any) -> Any:
    """`1 / (1 + exp(-x))`."""
    return float_unary("logistic", x)


@op("nn.SparseSigmoid")
def sparse_sigmoid(x: Any) -> Any:
    """0 below -1, 1 above 1, linear between."""
    return multiply(0.5, clip(add(x, 1.0), 0.0, 2.0))


@op("nn.TanhShrink")
def tanh_shrink(x: Any) -> Any:
    """`x - tanh(x)`."""
    return subtract(x, tanh(x))


@op("nn.Softplus")
def softplus(x: Any) -> Any:
    """`log(1 + exp(x))`."""
    return logaddexp(x, 0.0)


@op("nn.Softsign")
def softsign(x: Any) -> Any:
    """`x / (1 + |x|)`."""
    return divide(x, add(absolute(x), 1))


@op("nn.SoftShrink")
def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x moved towards 0 by the threshold; 0 where it is smaller."""
    below = where(less(x, -threshold), add(x, threshold), 0.0)
    return where(greater(x, threshold), subtract(x, threshold), below)


@op("nn.SparsePlus")
def sparse_plus(x: Any) -> Any:
    """0 below -1, x above 1, a parabola between."""
    between = divide(multiply(add(x, 1.0), add(x, 1.0)), 4)
    return where(
        FUNCTIONS["less_equal"](x, -1.0), 0.0, where(FUNCTIONS["greater_equal"](x, 1.0), x, between)
    )


@op("nn.Silu")
def silu(x: Any) -> Any:
    """`x * sigmoid(x)`."""
    return multiply(x, sigmoid(x))


def swish(x: Any) -> Any:
    """`x * sigmoid(x)`."""
    return silu(x)


@op("nn.Squareplus")
def squareplus(x: Any, b: float = 4) -> Any:
    """`(x + sqrt(x * x + b)) / 2`."""
    return divide(add(x, sqrt(add(multiply(x, x), b))), 2)


@op("nn.LogSigmoid")
def log_sigmoid(x: Any) -> Any:
    """`log(sigmoid(x))`."""
    return negative(softplus(negative(x)))


@op("nn.LeakyRelu")
def leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    """x, and `negative_slope * x` below 0."""
    return where(FUNCTIONS["greater_equal"](x, 0), x, multiply(x, negative_slope))


@op("nn.HardSigmoid")
def hard_sigmoid(x: Any) -> Any:
    """`relu6(x + 3) / 6`."""
    return divide(relu6(add(x, 3.0)), 6.0)


@op("nn.HardSilu")
def hard_silu(x: Any) -> Any:
    """`x * hard_sigmoid(x)`."""
    return multiply(x, hard_sigmoid(x))


def hard_swish(x: Any) -> Any:
    """`x * hard_sigmoid(x)`."""
    return hard_silu(x)


@op("nn.Elu")
def elu(x: Any, alpha: float = 1.0) -> Any:
    """x, and `alpha * (exp(x) - 1)` below 0."""
    positive = greater(x, 0)
    # no large exponent where the branch is not taken: its infinite gradient would be felt
    return where(positive, x, multiply(alpha, expm1(where(positive, 0.0, x))))


@op("nn.Selu")
def selu(x: Any) -> Any:
    """`elu`, scaled so that mean 0 and variance 1 stay."""
    return multiply(1.0507009873554804934193349852946, elu(x, 1.6732632423543772848170429916717))


@op("nn.Celu")
def celu(x: Any, alpha: float = 1.0) -> Any:
    """x, and `alpha * (exp(x / alpha) - 1)` below 0."""
    positive = greater(x, 0)
    return where(positive, x, multiply(alpha, expm1(divide(where(positive, 0.0, x), alpha))))


@op("nn.Gelu")
def gelu(x: Any, approximate: bool = True) -> Any:
    """`x` times the normal distribution of x, or an approximation of it by tanh."""
    if not approximate:
        return multiply(multiply(0.5, x), add(1.0, erf(multiply(x, math.sqrt(0.5)))))
    cube = FUNCTIONS["power"](x, 3)
    inner = multiply(math.sqrt(2 / math.pi), add(x, multiply(0.044715, cube)))
    return multiply(x, multiply(0.5, add(1.0, tanh(inner))))


@op("nn.Glu")
def glu(x: Any, axis: int = -1) -> Any:
    """The first half along a dim times the sigmoid of the second."""
    first, second = split(x, 2, axis)
    return multiply(first, sigmoid(second))


@op("nn.HardTanh")
def hard_tanh(x: Any) -> Any:
    """x between -1 and 1; its gradient outside is 0."""
    return where(greater(x, 1), 1.0, where(less(x, -1), -1.0, x))


@op("nn.HardShrink")
def hard_shrink(x: Any, threshold: float = 0.5) -> Any:
    """x, and 0 where `|x|` is not above the threshold."""
    return where(greater(absolute(x), threshold), x, 0.0)


@op("nn.Threshold")
def threshold(x: Any, threshold: float, default_value: float) -> Any:
    """x where it is above the threshold, else `default_value`."""
    return where(greater(x, threshold), x, default_value)


@op("nn.Softmax")
def softmax(x: Any, axis: Any = -1) -> Any:
    """`exp(x) / sum(exp(x))` along a dim or several."""
    return _softmax("softmax", x, axis)


@op("nn.LogSoftmax")
def log_softmax(x: Any, axis: Any = -1) -> Any:
    """`log(softmax(x))`."""
    return _softmax("log_softmax", x, axis)


def _softmax(name: str, x: Any, axis: Any) -> Any:
    context, value = entered(x, common_dtype(x, at_least="float"))
    rank = value.type.rank
    if isinstance(axis, int):
        return context.wrap(getattr(context.b, name)(value, axis_of(axis, rank)))
    dims = axes_of(axis, rank)
    places = tuple(range(rank - len(dims), rank))
    moved = moveaxis(context.wrap(value), dims, places)
    flat = reshape(moved, (*moved.shape[: rank - len(dims)], -1))
    return moveaxis(reshape(_softmax(name, flat, -1), moved.shape), places, dims)


@op("nn.Sparsemax")
def sparsemax(x: Any, axis: int = -1) -> Any:
    """The nearest point to x, along a dim, among those that are positive and sum to 1."""
    x = FUNCTIONS["cast"](x, common_dtype(x, at_least="float"))
    ordered = negative(FUNCTIONS["sort"](negative(x), axis))
    sums = FUNCTIONS["cumsum"](ordered, axis)
    rank, n = len(x.shape), x.shape[axis]
    place = reshape(FUNCTIONS["arange"](1, n + 1, dtype=dtype_of(x)), _along(axis, rank, n))
    support = greater(subtract(ordered, divide(subtract(sums, 1), place)), 0)
    count = FUNCTIONS["sum"](support, axis, True)
    total = FUNCTIONS["sum"](where(support, ordered, zeros_like(ordered)), axis, True)
    return FUNCTIONS["maximum"](subtract(x, divide(subtract(total, 1), count)), 0.0)


def _along(axis: int, rank: int, n: Any) -> tuple[Any, ...]:
    shape: list[Any] = [1] * rank
    shape[axis] = n
    return tuple(shape)
