"""The weighted harmonic mean of precision and recall."""

from typing import Any

from kgraph import config, ops
from kgraph.metrics.metric import Metric
from kgraph.registry import keras_export

__all__ = ["F1Score", "FBetaScore"]


@keras_export("keras.metrics.FBetaScore")
class FBetaScore(Metric):
    """`(1 + beta ** 2) * precision * recall / (beta ** 2 * precision + recall)` per class.

    Args:
        average: None (one score per class), "micro" (over all decisions), "macro" (the mean of
            the classes), or "weighted" (by their number of targets).
        beta: a positive float: how much recall matters, compared with precision.
        threshold: a float above 0 and up to 1: a prediction above it is positive; None: the
            largest prediction is.
        name: a name.
        dtype: that of the computation; None: the default float.
    """

    _direction = "up"

    def __init__(
        self,
        average: str | None = None,
        beta: float = 1.0,
        threshold: float | None = None,
        name: str = "fbeta_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        averages = (None, "micro", "macro", "weighted")
        if average not in averages:
            raise ValueError(f"`average` must be one of {averages}; got {average!r}.")
        if not isinstance(beta, float) or beta <= 0.0:
            raise ValueError(f"`beta` must be a positive float; got {beta!r}.")
        if threshold is not None and (
            not isinstance(threshold, float) or not 0.0 < threshold <= 1.0
        ):
            raise ValueError(
                f"`threshold` must be None or a float above 0 and up to 1; got {threshold!r}."
            )
        self.average = average
        self.beta = beta
        self.threshold = threshold
        self.axis = None if average == "micro" else 0
        self._built = False

    def _build(self, y_true_shape: Any, y_pred_shape: Any) -> None:
        shapes = (tuple(y_true_shape), tuple(y_pred_shape))
        if any(len(shape) != 2 or not isinstance(shape[-1], int) for shape in shapes):
            raise ValueError(
                f"{self.name} expects y_true and y_pred of shape (batch, classes), with a known "
                f"number of classes; got {shapes[0]} and {shapes[1]}."
            )
        size = () if self.average == "micro" else (y_pred_shape[-1],)
        self.true_positives = self._count(size, "true_positives")
        self.false_positives = self._count(size, "false_positives")
        self.false_negatives = self._count(size, "false_negatives")
        self.intermediate_weights = self._count(size, "intermediate_weights")
        self._built = True

    def _count(self, size: tuple[int, ...], name: str) -> ops.Variable:
        return self.add_variable(size, "zeros", dtype=self.dtype, name=name)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: one-hot or multi-hot targets, shape (batch, classes).
            y_pred: scores, of the same shape.
            sample_weight: None, or weights of shape (batch,).
        """
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        if not self._built:
            self._build(y_true.shape, y_pred.shape)
        if self.threshold is None:
            # A row of zeros has no largest prediction.
            largest = y_pred >= ops.max(y_pred, axis=-1, keepdims=True)
            positive = ops.logical_and(largest, ops.abs(y_pred) > 1e-9)
        else:
            positive = y_pred > self.threshold
        positive = ops.cast(positive, self.dtype)
        weight = None
        if sample_weight is not None:
            weight = ops.expand_dims(ops.convert_to_tensor(sample_weight, dtype=self.dtype), 1)
        for variable, hits in (
            (self.true_positives, positive * y_true),
            (self.false_positives, positive * (1 - y_true)),
            (self.false_negatives, (1 - positive) * y_true),
            (self.intermediate_weights, y_true),
        ):
            hits = hits if weight is None else hits * weight
            variable.assign(variable.value + ops.sum(hits, axis=self.axis))

    def result(self) -> Any:
        tp, epsilon = self.true_positives.value, config.epsilon()
        precision = tp / (tp + self.false_positives.value + epsilon)
        recall = tp / (tp + self.false_negatives.value + epsilon)
        square = self.beta**2
        score = precision * recall / (square * precision + recall + epsilon) * (1 + square)
        if self.average == "weighted":
            weights = self.intermediate_weights.value
            return ops.sum(score * (weights / (ops.sum(weights) + epsilon)))
        return score if self.average is None else ops.mean(score)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "average": self.average,
            "beta": self.beta,
            "threshold": self.threshold,
        }


@keras_export("keras.metrics.F1Score")
class F1Score(FBetaScore):
    """The harmonic mean of precision and recall; the arguments are those of `FBetaScore`."""

    def __init__(
        self,
        average: str | None = None,
        threshold: float | None = None,
        name: str = "f1_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(average=average, beta=1.0, threshold=threshold, name=name, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["beta"]
        return config
