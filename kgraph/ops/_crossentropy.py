"""Encodings of classes, and the losses that compare distributions of them."""

from __future__ import annotations

from typing import Any

from kgraph import config
from kgraph.ops._activations import log_sigmoid, log_softmax
from kgraph.ops._arithmetic import add, clip, divide, multiply, negative, subtract
from kgraph.ops._common import axis_of, entered
from kgraph.ops._core import cast, convert_to_tensor
from kgraph.ops._dispatch import op
from kgraph.ops._dtypes import standardize_dtype
from kgraph.ops._functions import log
from kgraph.ops._promote import broadcast_shapes
from kgraph.ops._reductions import max as largest
from kgraph.ops._reductions import sum as total
from kgraph.ops._shapes import squeeze

__all__ = [
    "binary_crossentropy", "categorical_crossentropy", "multi_hot", "one_hot",
    "sparse_categorical_crossentropy",
]  # fmt: skip


@op("nn.OneHot")
def one_hot(
    x: Any, num_classes: Any, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """A new dim with 1 at the index x and 0 elsewhere; only 0 where x is out of range."""
    if sparse:
        raise ValueError("kgraph has dense tensors only: `sparse` must be False")
    context, value = entered(x)
    b, shape = context.b, value.type.shape
    dim = axis_of(axis, len(shape) + 1)
    whole = (*shape[:dim], num_classes, *shape[dim:])
    kept = tuple(d for d in range(len(whole)) if d != dim)
    index = b.broadcast_in_dim(value, whole, kept)
    return context.wrap(
        b.cast(
            b.compare(index, b.iota(whole, dim, value.type.dtype), "EQ"), standardize_dtype(dtype)
        )
    )


@op("nn.MultiHot")
def multi_hot(
    inputs: Any, num_classes: Any, axis: int = -1, dtype: Any = None, sparse: bool = False
) -> Any:
    """1 at each of the indices in a row, 0 elsewhere."""
    single = len(inputs.shape) <= 1
    return largest(
        one_hot(cast(inputs, "int32"), num_classes, axis, dtype, sparse), 0 if single else 1
    )


def _log_probabilities(output: Any, from_logits: bool, axis: int) -> Any:
    """Normalised and kept away from 0 and 1, as Keras does it."""
    if from_logits:
        return log_softmax(output, axis)
    output = divide(output, total(output, axis, True))
    return log(clip(output, config.epsilon(), 1.0 - config.epsilon()))


def _check_same_shape(target: Any, output: Any) -> None:
    try:
        fits = len(target.shape) == len(output.shape)
        broadcast_shapes(target.shape, output.shape)
    except ValueError:
        fits = False
    pairs = zip(target.shape, output.shape, strict=False)
    if not fits or any(n != m and isinstance(n, int) and isinstance(m, int) for n, m in pairs):
        raise ValueError(
            "Arguments `target` and `output` must have the same shape. Received: "
            f"target.shape={target.shape}, output.shape={output.shape}"
        )


@op("nn.CategoricalCrossentropy", 2)
def categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """`-sum(target * log(output))` along the dim of the classes.

    Args:
        target: probabilities.
        output: probabilities, which are normalised and clipped first; or logits.
        from_logits: whether `output` are logits.
        axis: the dim of the classes.

    Raises:
        ValueError: the shapes differ, or have no dims.
    """
    target, output = convert_to_tensor(target), convert_to_tensor(output)
    _check_same_shape(target, output)
    if not target.shape:
        raise ValueError("Arguments `target` and `output` must be at least rank 1.")
    return negative(total(multiply(target, _log_probabilities(output, from_logits, axis)), axis))


@op("nn.SparseCategoricalCrossentropy", 2)
def sparse_categorical_crossentropy(
    target: Any, output: Any, from_logits: bool = False, axis: int = -1
) -> Any:
    """`-log(output[target])`; a target out of range gives 0.

    Args:
        target: the index of the class, in the shape of `output` without its last dim, or with it
            but of size 1.
        output: probabilities, which are normalised and clipped first; or logits.
        from_logits: whether `output` are logits.
        axis: the dim of the classes.

    Raises:
        ValueError: the shapes do not fit.
    """
    target, output = cast(target, "int32"), convert_to_tensor(output)
    if not output.shape:
        raise ValueError(f"Argument `output` must be at least rank 1. Received: {output.shape}")
    if len(target.shape) == len(output.shape) and target.shape[-1] == 1:
        target = squeeze(target, -1)
    pairs = zip(target.shape, output.shape[:-1], strict=False)
    wrong = any(n != m and isinstance(n, int) and isinstance(m, int) for n, m in pairs)
    if len(target.shape) != len(output.shape) - 1 or wrong:
        raise ValueError(
            "Arguments `target` and `output` must have the same shape up until the last dimension: "
            f"target.shape={target.shape}, output.shape={output.shape}"
        )
    log_probability = _log_probabilities(output, from_logits, axis)
    hot = one_hot(target, output.shape[axis], axis, log_probability.dtype)
    return negative(total(multiply(hot, log_probability), axis))


@op("nn.BinaryCrossentropy", 2)
def binary_crossentropy(target: Any, output: Any, from_logits: bool = False) -> Any:
    """`-target * log(output) - (1 - target) * log(1 - output)`, element by element.

    Args:
        target: probabilities of 1.
        output: probabilities, which are clipped first; or logits.
        from_logits: whether `output` are logits.

    Raises:
        ValueError: the shapes differ.
    """
    target, output = convert_to_tensor(target), convert_to_tensor(output)
    _check_same_shape(target, output)
    if from_logits:
        zero_side = multiply(subtract(1.0, target), log_sigmoid(negative(output)))
        return subtract(multiply(multiply(-1.0, target), log_sigmoid(output)), zero_side)
    output = clip(output, config.epsilon(), 1.0 - config.epsilon())
    ones = multiply(target, log(output))
    return negative(add(ones, multiply(subtract(1.0, target), log(subtract(1.0, output)))))
