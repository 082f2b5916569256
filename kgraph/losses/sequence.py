"""Connectionist temporal classification: label sequences without alignment."""

from typing import Any

from kgraph import ops
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export

__all__ = ["CTC", "ctc"]

# The log-probability of what cannot be: finite, so that no gradient becomes NaN.
_NEVER = -1e5


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
    y_pred = ops.convert_to_tensor(y_pred)
    labels = ops.cast(y_true, "int32")
    batch, length = ops.shape(labels)
    # Between, before and after the labels there may be blanks: b, l1, b, l2, ..., b.
    places = 2 * length + 1
    path = ops.stack([ops.zeros_like(labels), labels], axis=-1)
    path = ops.pad(ops.reshape(path, (batch, 2 * length)), ((0, 0), (0, 1)))
    scores = ops.take_along_axis(
        ops.log_softmax(y_pred, axis=-1), ops.expand_dims(path, 1), axis=-1
    )
    # A blank between two labels may be left out, unless they are equal.
    skips = ops.not_equal(path[:, 2:], path[:, :-2])
    skips = ops.logical_and(skips, ops.not_equal(path[:, 2:], 0))
    barred = ops.where(ops.pad(skips, ((0, 0), (2, 0))), 0.0, _NEVER)

    def advance(reached: Any, score: Any) -> tuple[Any, None]:
        """The log-probabilities of being at each place, one time step on."""
        one = ops.pad(reached[:, :-1], ((0, 0), (1, 0)), constant_values=_NEVER)
        two = ops.pad(reached[:, :-2], ((0, 0), (2, 0)), constant_values=_NEVER)
        ways = ops.stack([reached, one, two + barred])
        return ops.logsumexp(ways, axis=0) + score, None

    scores = ops.transpose(scores, (1, 0, 2))
    at_start = ops.where(ops.arange(places) < 2, scores[0], _NEVER)
    reached, _ = ops.scan(advance, at_start, scores[1:])
    # A path ends at the last label or at the blank behind it; padding lies beyond.
    last = 2 * ops.sum(ops.cast(ops.not_equal(labels, 0), "int32"), axis=-1, keepdims=True)
    place = ops.arange(places)
    ends = ops.logical_or(ops.equal(place, last), ops.equal(place, last - 1))
    return -ops.logsumexp(ops.where(ends, reached, _NEVER), axis=-1)


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
