"""Class numbers that name no class are an error, not a silent loss of 0."""

from typing import Any

import numpy as np

from kgraph import losses, ops
from kgraph.utils.masking import get_keras_mask

__all__ = ["check_labels"]


def check_labels(loss: Any, output: str, target: Any, prediction: Any, weight: Any) -> None:
    """Has the program refuse labels of a sparse cross-entropy that lie outside of its classes.

    Args:
        loss: the output's loss; others than the sparse cross-entropy ask for nothing.
        output: the name of the output.
        target: the labels.
        prediction: what the model gives, with one class per place of the loss's axis.
        weight: None, or weights; a label that weighs nothing may be anything.
    """
    if getattr(loss, "fn", None) is not losses.sparse_categorical_crossentropy:
        return
    axis = loss._fn_kwargs.get("axis", -1)
    rank = len(getattr(prediction, "shape", ()))
    if not -rank <= axis < rank or get_keras_mask(prediction) is not None:
        return  # what is masked may be anything too
    classes = prediction.shape[axis]
    if not isinstance(classes, int):
        return
    ignored = loss._fn_kwargs.get("ignore_class")

    def check(labels: Any, weights: Any = None) -> None:
        if not labels.size or (labels.min() >= 0 and labels.max() < classes):
            return
        outside = (labels < 0) | (labels >= classes)
        if ignored is not None:
            outside &= labels != ignored
        if weights is not None:
            outside &= _weighing(weights, labels.shape)
        if outside.any():
            raise ValueError(
                f"The labels `y` of the output {output!r} must lie between 0 and {classes - 1}, as "
                f"the model has {classes} classes; got {labels[outside][0]} "
                f"({outside.sum()} of {labels.size} labels do not)."
            )

    ops.check_inputs(check, target, *([] if weight is None else [weight]))


def _weighing(weights: Any, shape: tuple[int, ...]) -> Any:
    """Where a weight is not 0, over labels of the shape; everywhere if they do not match."""
    flat = weights.reshape(weights.shape + (1,) * (len(shape) - weights.ndim))
    try:
        return np.broadcast_to(flat != 0, shape)
    except ValueError:
        return np.ones(shape, "bool")
