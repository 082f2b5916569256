"""Counting right and wrong decisions at many thresholds at once."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kgraph import config, ops
from kgraph.losses.reduction import squeeze_or_expand_to_same_rank
from kgraph.metrics.metric import Metric

__all__ = ["ThresholdMetric", "even_thresholds", "parse_thresholds", "update_counts"]

COUNTS = ("true_positives", "false_positives", "true_negatives", "false_negatives")

# The score of a class that is not among the k best: below every threshold.
NEVER = -1e10


def parse_thresholds(thresholds: Any, default: float = 0.5) -> list[float]:
    """Returns the thresholds as a list; ValueError for one that is not between 0 and 1."""
    if thresholds is None:
        return [default]
    values = list(thresholds) if isinstance(thresholds, (list, tuple)) else [thresholds]
    wrong = [value for value in values if value is None or not 0 <= value <= 1]
    if wrong:
        raise ValueError(f"Thresholds must lie between 0 and 1; got {wrong}.")
    return values


def even_thresholds(number: int) -> list[float]:
    """Returns `number - 2` thresholds between 0 and 1, as they lie even with these two."""
    return [(i + 1) * 1.0 / (number - 1) for i in range(number - 2)]


def are_even(thresholds: Sequence[float]) -> bool:
    """Tells whether the thresholds (3 or more) are 0 to 1 in even steps."""
    if len(thresholds) < 3:
        return False
    return np.allclose(thresholds, np.linspace(0.0, 1.0, len(thresholds)), atol=config.epsilon())


class ThresholdMetric(Metric):
    """A metric of counts, one per threshold."""

    def _add_counts(self, shape: Sequence[int], names: Sequence[str]) -> dict[str, ops.Variable]:
        return {name: self.add_variable(shape, "zeros", name=name) for name in names}


def update_counts(
    counts: Mapping[str, ops.Variable],
    y_true: Any,
    y_pred: Any,
    thresholds: Sequence[float],
    top_k: int | None = None,
    class_id: int | None = None,
    sample_weight: Any = None,
    label_weights: Any = None,
    multi_label: bool = False,
) -> None:
    """Adds a batch to the counts; a prediction is positive when it exceeds the threshold.

    Args:
        counts: by the names in `COUNTS`, variables of shape (thresholds,), with `multi_label`
            (thresholds, labels).
        y_true: targets, 0 or else 1, any shape.
        y_pred: scores of the same shape.
        thresholds: ascending.
        top_k: None, or how many classes of the last axis can be positive.
        class_id: None, or the only class of the last axis that counts.
        sample_weight: None, or weights that broadcast to `y_pred` after a last dim of 1.
        label_weights: None, or weights of the last axis; not with `multi_label`.
        multi_label: count every label of the last axis for itself.
    """
    dtype = next(iter(counts.values())).dtype
    y_true, y_pred = ops.cast(y_true, dtype), ops.cast(y_pred, dtype)
    y_pred, y_true = squeeze_or_expand_to_same_rank(y_pred, y_true)
    weight: Any = None
    if sample_weight is not None:
        weight = ops.expand_dims(ops.cast(sample_weight, dtype), axis=-1)
        _, weight = squeeze_or_expand_to_same_rank(y_true, weight, expand_rank_1=False)
    if top_k is not None:
        y_pred = _keep_top_k(y_pred, top_k)
    if class_id is not None:
        if len(y_pred.shape) == 1:
            raise ValueError(
                "`class_id` needs predictions of shape (batch, classes); got shape "
                f"{tuple(y_pred.shape)}."
            )
        y_true, y_pred = y_true[..., class_id, None], y_pred[..., class_id, None]
    if label_weights is not None:
        label_weights = ops.cast(label_weights, dtype)
        weight = label_weights if weight is None else weight * label_weights
    if weight is not None:
        weight = ops.broadcast_to(weight, ops.shape(y_pred))
    label = ops.cast(ops.not_equal(y_true, 0), dtype)
    if not multi_label:
        label, y_pred = ops.reshape(label, (-1,)), ops.reshape(y_pred, (-1,))
        weight = None if weight is None else ops.reshape(weight, (-1,))
    positive = label if weight is None else label * weight
    negative = 1.0 - label if weight is None else (1.0 - label) * weight
    if are_even(thresholds):
        totals = _count_in_buckets(counts, positive, negative, y_pred, thresholds)
    else:
        totals = _count_by_comparison(counts, positive, negative, y_pred, thresholds)
    for name, variable in counts.items():
        variable.assign(variable.value + totals[name])


def _keep_top_k(scores: Any, k: int) -> Any:
    _, indices = ops.top_k(scores, k)
    kept = ops.sum(ops.one_hot(indices, ops.shape(scores)[-1], axis=-1), axis=-2)
    kept = ops.cast(kept, scores.dtype)
    return scores * kept + NEVER * (1 - kept)


def _count_by_comparison(
    counts: Mapping[str, Any],
    positive: Any,
    negative: Any,
    scores: Any,
    thresholds: Sequence[float],
) -> dict[str, Any]:
    """Compares every score with every threshold: for a few thresholds, anywhere."""
    rank = len(scores.shape)
    levels = ops.convert_to_tensor(np.asarray(thresholds), dtype=scores.dtype)
    levels = ops.reshape(levels, (len(thresholds),) + (1,) * rank)
    above = ops.expand_dims(scores, 0) > levels
    parts = {
        "true_positives": (above, positive),
        "false_positives": (above, negative),
        "true_negatives": (ops.logical_not(above), negative),
        "false_negatives": (ops.logical_not(above), positive),
    }
    return {
        name: ops.sum(ops.where(parts[name][0], parts[name][1], 0.0), axis=1) for name in counts
    }


def _count_in_buckets(
    counts: Mapping[str, Any],
    positive: Any,
    negative: Any,
    scores: Any,
    thresholds: Sequence[float],
) -> dict[str, Any]:
    """Sorts each score into the bucket between two thresholds, and sums buckets from the top.

    With even thresholds the bucket is known without a search, so the work does not grow with
    their number. Scores are clipped to the range 0 to 1.
    """
    number = len(thresholds)
    scores = ops.clip(scores, 0.0, 1.0)
    # A score equal to a threshold does not exceed it, so it belongs to the bucket below.
    bucket = ops.cast(ops.ceil(scores * (number - 1)) - 1, "int32")
    above_first = bucket >= 0
    bucket = ops.maximum(bucket, 0)
    if thresholds[0] >= 0.0:
        positive_above = ops.where(above_first, positive, 0.0)
        negative_above = ops.where(above_first, negative, 0.0)
    else:
        # The first threshold lies below 0: every score exceeds it.
        positive_above, negative_above = positive, negative
    true_positives = _sum_from_the_top(positive_above, bucket, number)
    false_positives = _sum_from_the_top(negative_above, bucket, number)
    totals = {"true_positives": true_positives, "false_positives": false_positives}
    if "true_negatives" in counts:
        totals["true_negatives"] = ops.sum(negative, axis=0) - false_positives
    if "false_negatives" in counts:
        totals["false_negatives"] = ops.sum(positive, axis=0) - true_positives
    return totals


def _sum_from_the_top(values: Any, bucket: Any, number: int) -> Any:
    """Returns for each bucket the sum of the values in it and above; per label for rank 2."""
    if len(values.shape) == 1:
        sums = ops.segment_sum(values, bucket, num_segments=number)
    else:
        labels = int(values.shape[1])
        segment = bucket * labels + ops.arange(labels, dtype="int32")
        sums = ops.segment_sum(
            ops.reshape(values, (-1,)), ops.reshape(segment, (-1,)), num_segments=number * labels
        )
        sums = ops.reshape(sums, (number, labels))
    return ops.flip(ops.cumsum(ops.flip(sums, axis=0), axis=0), axis=0)
