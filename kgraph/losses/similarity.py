"""Losses of directions and of embeddings."""

from typing import Any

from kgraph import ops
from kgraph.losses.regression import tensors_of_same_rank
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export
from kgraph.utils.masking import set_keras_mask

__all__ = ["Circle", "CosineSimilarity", "circle", "cosine_similarity"]


@keras_export("keras.losses.cosine_similarity")
def cosine_similarity(y_true: Any, y_pred: Any, axis: int = -1) -> Any:
    """Returns minus the cosine of the angle between both, along `axis`: -1 for equal directions."""
    y_true, y_pred = tensors_of_same_rank(y_true, y_pred)
    y_pred = ops.normalize(y_pred, axis=axis)
    y_true = ops.normalize(y_true, axis=axis)
    return -ops.sum(y_true * y_pred, axis=axis)


@keras_export("keras.losses.circle")
def circle(
    y_true: Any,
    y_pred: Any,
    ref_labels: Any = None,
    ref_embeddings: Any = None,
    remove_diagonal: bool = True,
    gamma: float = 80,
    margin: float = 0.4,
) -> Any:
    """Pulls embeddings of equal labels together and pushes the others apart.

    Args:
        y_true: labels, shape (batch,).
        y_pred: embeddings of length 1, shape (batch, size).
        ref_labels: labels to compare with; None: `y_true`.
        ref_embeddings: embeddings to compare with; None: `y_pred`.
        remove_diagonal: an embedding is not compared with itself.
        gamma: the scale of the similarities.
        margin: the relaxation of the two bounds.

    Returns:
        One loss per embedding, shape (batch,); those without both kinds of pair are masked.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, "int32")
    others = y_pred if ref_embeddings is None else ops.convert_to_tensor(ref_embeddings)
    labels = y_true if ref_labels is None else ops.cast(ref_labels, "int32")

    distance = ops.maximum(1 - ops.matmul(y_pred, ops.transpose(others)), 0.0)
    column = ops.reshape(y_true, (-1, 1))
    row = ops.reshape(labels, (1, -1))
    same = ops.equal(column, row)
    different = ops.logical_not(same)
    if remove_diagonal:
        rows = ops.reshape(ops.arange(ops.shape(column)[0]), (-1, 1))
        columns = ops.reshape(ops.arange(ops.shape(row)[1]), (1, -1))
        same = ops.logical_and(same, ops.not_equal(rows, columns))
    same_weight = ops.maximum((margin + distance) * ops.cast(same, distance.dtype), 0.0)
    other_weight = ops.maximum((1 + margin - distance) * ops.cast(different, distance.dtype), 0.0)
    pull = -1 * gamma * same_weight * (margin - distance)
    push = gamma * other_weight * (1 - margin - distance)
    minus_infinity = float("-inf")
    losses = ops.softplus(
        ops.logsumexp(ops.where(same, pull, minus_infinity), axis=1)
        + ops.logsumexp(ops.where(different, push, minus_infinity), axis=1)
    )
    set_keras_mask(losses, losses > 0)
    return losses


@keras_export("keras.losses.CosineSimilarity")
class CosineSimilarity(BuiltInLoss):
    """Minus the cosine of the angle between target and prediction."""

    def __init__(
        self,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "cosine_similarity",
        dtype: Any = None,
    ) -> None:
        super().__init__(cosine_similarity, reduction, name, dtype, axis=axis)


@keras_export("keras.losses.Circle")
class Circle(BuiltInLoss):
    """The circle loss of embeddings; see `circle` for the arguments."""

    _config_names = ("gamma", "margin", "remove_diagonal")

    def __init__(
        self,
        gamma: float = 80.0,
        margin: float = 0.4,
        remove_diagonal: bool = True,
        reduction: str | None = "sum_over_batch_size",
        name: str = "circle",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            circle,
            reduction,
            name,
            dtype,
            gamma=gamma,
            margin=margin,
            remove_diagonal=remove_diagonal,
        )
        self.gamma = gamma
        self.margin = margin
        self.remove_diagonal = remove_diagonal
