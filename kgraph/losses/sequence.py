"""Connectionist temporal classification: label sequences without alignment."""

from typing import Any

from kgraph import ops
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export

__all__ = ["CTC", "ctc"]


@keras_export("keras.losses.ctc")
def ctc(y_true: Any, y_pred: Any) -> Any:
    """Minus the log-probability of the label sequences, summed over their alignments.

    Args:
        y_true: int labels, shape (batch, length); 0 is padding and the blank.
        y_pred: logits, shape (batch, time, classes).

    Returns:
        One loss per sequence, shape (batch,).
    """
    if len(y_true.shape) != 2:
        raise ValueError(
            "Targets of the CTC loss have shape (batch, length), rank 2; "
            f"got shape {tuple(y_true.shape)}."
        )
    if len(y_pred.shape) != 3:
        raise ValueError(
            "Predictions of the CTC loss are logits of shape (batch, time, classes), rank 3; "
            f"got shape {tuple(y_pred.shape)}."
        )
    batch, time = ops.shape(y_pred)[:2]
    output_length = time * ops.ones((batch,), dtype="int32")
    target_length = ops.cast(ops.sum(ops.not_equal(y_true, 0), axis=-1), "int32")
    return ops.ctc_loss(y_true, y_pred, target_length, output_length, mask_index=0)


@keras_export("keras.losses.CTC")
class CTC(BuiltInLoss):
    """The connectionist temporal classification loss; see `ctc`."""

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str = "ctc",
        dtype: Any = None,
    ) -> None:
        super().__init__(ctc, reduction, name, dtype)
