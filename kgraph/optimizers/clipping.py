"""Bounding gradients by value, by norm, and by the norm of all of them together."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops

__all__ = ["clip_by_global_norm", "clip_by_norm", "clip_by_value", "global_norm"]


def clip_by_value(gradient: Any, bound: float) -> Any:
    """Clips every element to the range -bound to bound."""
    return ops.clip(gradient, -bound, bound)


def clip_by_norm(gradient: Any, bound: float) -> Any:
    """Scales the gradient so that its L2 norm is at most `bound`; a zero gradient stays zero."""
    norm = ops.sqrt(ops.sum(ops.square(gradient)))
    return gradient * bound / ops.maximum(norm, bound)


def global_norm(gradients: Sequence[Any]) -> Any:
    """Returns the L2 norm of all gradients (None left out) as one vector."""
    return ops.sqrt(sum(ops.sum(ops.square(g)) for g in gradients if g is not None))


def clip_by_global_norm(gradients: Sequence[Any], bound: float) -> list[Any]:
    """Scales all gradients by one factor so that their common norm is at most `bound`.

    A norm that is not finite makes every gradient NaN: the step is visibly lost, not hidden.
    """
    norm = global_norm(gradients)
    factor = bound * ops.minimum(ops.divide(1.0, norm), 1.0 / bound) + ops.subtract(norm, norm)
    return [None if g is None else g * factor for g in gradients]
