"""From one loss per sample to one number: weights, masks and the reductions."""

import math
from typing import Any

from kgraph import ops

__all__ = [
    "apply_mask",
    "reduce_values",
    "reduce_weighted_values",
    "squeeze_or_expand_to_same_rank",
    "standardize_reduction",
]

REDUCTIONS = ("sum_over_batch_size", "sum", "mean", "mean_with_sample_weight", "none", None)


def standardize_reduction(reduction: str | None) -> str | None:
    """Returns `reduction` when it names one; ValueError otherwise."""
    if reduction not in REDUCTIONS:
        raise ValueError(f"`reduction` of a loss must be one of {REDUCTIONS}; got {reduction!r}.")
    return reduction


def squeeze_or_expand_to_same_rank(x1: Any, x2: Any, expand_rank_1: bool = True) -> tuple[Any, Any]:
    """Makes two ranks that differ by one equal, where the surplus last dim has size 1.

    A tensor of rank 1 gains a dim (unless `expand_rank_1` is False); otherwise the longer one
    loses its last. Anything else is returned as it is.
    """
    rank_1, rank_2 = len(x1.shape), len(x2.shape)
    if rank_1 == rank_2 + 1 and _is_one(x1.shape[-1]):
        if rank_2 == 1 and expand_rank_1:
            x2 = ops.expand_dims(x2, axis=-1)
        else:
            x1 = ops.squeeze(x1, axis=-1)
    elif rank_2 == rank_1 + 1 and _is_one(x2.shape[-1]):
        if rank_1 == 1 and expand_rank_1:
            x1 = ops.expand_dims(x1, axis=-1)
        else:
            x2 = ops.squeeze(x2, axis=-1)
    return x1, x2


def _is_one(size: Any) -> bool:
    """Only a known size counts: comparing a symbolic one would specialise the program to it."""
    return isinstance(size, int) and size == 1


def element_count(x: Any, dtype: str) -> Any:
    """Returns the number of elements of `x` as a scalar of `dtype`."""
    return ops.convert_to_tensor(math.prod(ops.shape(x)), dtype=dtype)


def reduce_values(
    values: Any, sample_weight: Any = None, reduction: str | None = "sum_over_batch_size"
) -> Any:
    """Reduces losses that are already weighted; an empty batch gives 0, not NaN."""
    shape = tuple(values.shape)
    if reduction in (None, "none") or shape == () or shape == (0,):
        return values
    loss = ops.sum(values)
    if reduction == "sum":
        return loss
    if reduction == "mean_with_sample_weight" and sample_weight is not None:
        divisor = ops.cast(ops.sum(sample_weight), loss.dtype)
    else:
        divisor = element_count(values, loss.dtype)
    return ops.divide_no_nan(loss, divisor)


def reduce_weighted_values(
    values: Any,
    sample_weight: Any = None,
    mask: Any = None,
    reduction: str | None = "sum_over_batch_size",
    dtype: str | None = None,
) -> Any:
    """Weights, masks and reduces the losses `values`.

    Args:
        values: one loss per element, any shape.
        sample_weight: None, or weights of `values`' shape, or of its leading dims.
        mask: None, or a bool tensor; what it leaves out weighs nothing, and the means are over
            the rest.
        reduction: one of `REDUCTIONS`.
        dtype: that of the computation; None: the dtype of `values`.

    Returns:
        A scalar of `dtype`, or with reduction None a tensor of `values`' shape.
    """
    standardize_reduction(reduction)
    values = ops.convert_to_tensor(values, dtype=dtype)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
    if mask is not None:
        mask = ops.convert_to_tensor(mask, dtype=dtype)
    sample_weight = apply_mask(sample_weight, mask, dtype=values.dtype, reduction=reduction)
    if sample_weight is not None:
        sample_weight = ops.cast(sample_weight, values.dtype)
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        _check_weights(sample_weight.shape, values.shape)
        values = values * sample_weight
    return reduce_values(values, sample_weight, reduction)


def _check_weights(weights: Any, values: Any) -> None:
    """Raises ValueError unless weights of that shape broadcast to losses of the other."""
    pairs = zip(reversed(tuple(weights)), reversed(tuple(values)), strict=False)
    if len(weights) > len(values) or any(n != m and 1 not in (n, m) for n, m in pairs):
        raise ValueError(
            f"`sample_weight` must have the shape of the losses, {values}, or one that broadcasts "
            f"to it; got {weights}."
        )


def apply_mask(sample_weight: Any, mask: Any, dtype: str, reduction: str | None) -> Any:
    """Returns the weights with the mask multiplied in; None when there is neither.

    For the means a valid element weighs total / valid, so that the later division by the total
    leaves the mean over the valid ones.
    """
    if mask is None:
        return sample_weight
    if reduction in ("mean", "sum_over_batch_size"):
        valid = ops.sum(ops.cast(mask, dtype))
        share = ops.divide_no_nan(element_count(mask, dtype), valid)
        weight = ops.where(ops.cast(mask, "bool"), share, 0)
    else:
        weight = ops.cast(mask, dtype)
    if sample_weight is None:
        return weight
    weight, sample_weight = squeeze_or_expand_to_same_rank(weight, ops.cast(sample_weight, dtype))
    return sample_weight * weight
