"""The area under a curve of decisions at all thresholds."""

from collections.abc import Sequence
from typing import Any, Self

import numpy as np

from kgraph import config, ops, registry
from kgraph.metrics.thresholds import COUNTS, ThresholdMetric, even_thresholds, update_counts
from kgraph.registry import keras_export

__all__ = ["AUC"]

_CURVES = ("ROC", "PR", "PRGAIN")
_METHODS = ("interpolation", "majoring", "minoring")


@keras_export("keras.metrics.AUC")
class AUC(ThresholdMetric):
    """The area under the ROC or precision-recall curve, as a sum over thresholds.

    Args:
        num_thresholds: how many; they lie evenly between 0 and 1.
        curve: "ROC", "PR" or "PRGAIN".
        summation_method: "interpolation", or "majoring" or "minoring" (a bound from above or
            from below).
        name: a name; None: the class's.
        dtype: that of the result; None: the default float.
        thresholds: the thresholds themselves, between 0 and 1; then `num_thresholds` is ignored.
        multi_label: average the areas of the labels instead of joining all decisions.
        num_labels: the number of labels, for `multi_label`; None: that of the first batch.
        label_weights: None, or the weights of the labels.
        from_logits: predictions are logits.
    """

    _direction = "up"

    def __init__(
        self,
        num_thresholds: int = 200,
        curve: str = "ROC",
        summation_method: str = "interpolation",
        name: str | None = None,
        dtype: Any = None,
        thresholds: Sequence[float] | None = None,
        multi_label: bool = False,
        num_labels: int | None = None,
        label_weights: Any = None,
        from_logits: bool = False,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.curve = _one_of("curve", curve, _CURVES)
        self.summation_method = _one_of("summation_method", summation_method, _METHODS)
        self._init_from_thresholds = thresholds is not None
        if thresholds is not None:
            inner = sorted(thresholds)
        elif num_thresholds <= 1:
            raise ValueError(f"`num_thresholds` of AUC must be 2 or more; got {num_thresholds!r}.")
        else:
            inner = even_thresholds(num_thresholds)
        # The ends lie just outside 0 and 1, so that rounding moves no prediction past them.
        self._thresholds = [0.0 - config.epsilon(), *inner, 1.0 + config.epsilon()]
        self.num_thresholds = len(self._thresholds)
        if num_labels and not multi_label:
            raise ValueError("`num_labels` of AUC goes with `multi_label=True` only.")
        self.multi_label = multi_label
        self.num_labels = num_labels
        self.label_weights = (
            None if label_weights is None else np.asarray(label_weights, self.dtype)
        )
        self._from_logits = from_logits
        self._counts: dict[str, ops.Variable] = {}
        if not multi_label:
            self._build(())
        elif num_labels:
            self._build((num_labels,))

    @property
    def thresholds(self) -> list[float]:
        """The thresholds, with the two ends."""
        return list(self._thresholds)

    def _build(self, labels: tuple[int, ...]) -> None:
        self._counts = self._add_counts((self.num_thresholds, *labels), COUNTS)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets, 0 or 1, any shape; with `multi_label` (batch, labels).
            y_pred: probabilities or logits, of the same shape.
            sample_weight: None, or weights of the shape's leading dims.
        """
        if self.multi_label and not self._counts:
            shape = tuple(y_pred.shape)
            if len(shape) != 2:
                raise ValueError(
                    "AUC with `multi_label=True` expects predictions of shape (batch, labels); "
                    f"got shape {shape}."
                )
            self._build((shape[1],))
        if self._from_logits:
            y_pred = ops.sigmoid(y_pred)
        update_counts(
            self._counts,
            y_true,
            y_pred,
            self._thresholds,
            sample_weight=sample_weight,
            label_weights=None if self.multi_label else self.label_weights,
            multi_label=self.multi_label,
        )

    def result(self) -> Any:
        if not self._counts:
            raise ValueError(
                f"{self.name} has seen no batch yet, and so does not know its number of labels; "
                "pass `num_labels`."
            )
        counts = {name: variable.value for name, variable in self._counts.items()}
        if self.curve == "PR" and self.summation_method == "interpolation":
            return self._average(_interpolated_precision_recall(counts))
        x, y = self._points(counts)
        heights = {
            "interpolation": lambda: (y[:-1] + y[1:]) / 2.0,
            "majoring": lambda: ops.maximum(y[:-1], y[1:]),
            "minoring": lambda: ops.minimum(y[:-1], y[1:]),
        }[self.summation_method]()
        return self._average((x[:-1] - x[1:]) * heights)

    def _points(self, counts: dict[str, Any]) -> tuple[Any, Any]:
        """Returns x and y of the curve at every threshold."""
        tp, fp = counts["true_positives"], counts["false_positives"]
        tn, fn = counts["true_negatives"], counts["false_negatives"]
        if self.curve == "ROC":
            return ops.divide_no_nan(fp, fp + tn), ops.divide_no_nan(tp, tp + fn)
        if self.curve == "PR":
            return ops.divide_no_nan(tp, tp + fn), ops.divide_no_nan(tp, tp + fp)
        # Precision and recall in units that make chance 0 and the best 1. Without true positives
        # both diverge: the recall gain is 0 then, the precision gain 1.
        odds = ops.divide_no_nan(tp + fn, tn + fp)
        none = ops.equal(tp, 0.0)
        recall = ops.where(none, 0.0, 1.0 - odds * ops.divide_no_nan(fn, tp))
        precision = ops.where(none, 1.0, 1.0 - odds * ops.divide_no_nan(fp, tp))
        return ops.maximum(recall, 0.0), precision

    def _average(self, terms: Any) -> Any:
        """Sums over the thresholds, and averages over the labels."""
        area = ops.sum(terms, axis=0)
        if not self.multi_label:
            return area
        if self.label_weights is None:
            return ops.mean(area)
        return ops.divide_no_nan(ops.sum(area * self.label_weights), ops.sum(self.label_weights))

    def get_config(self) -> dict[str, Any]:
        weights = self.label_weights
        config = {
            **super().get_config(),
            "num_thresholds": self.num_thresholds,
            "curve": self.curve,
            "summation_method": self.summation_method,
            "multi_label": self.multi_label,
            "num_labels": self.num_labels,
            "label_weights": None if weights is None else weights.tolist(),
            "from_logits": self._from_logits,
        }
        if self._init_from_thresholds:
            config["thresholds"] = self._thresholds[1:-1]
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        # Keras writes the weights as a tensor, which the file holds in a form of its own.
        weights = registry.deserialize_keras_object(config.get("label_weights"))
        return cls(**{**config, "label_weights": weights})


def _one_of(argument: str, value: str, allowed: Sequence[str]) -> str:
    """Returns the allowed value that `value` spells, in lower, upper or title case."""
    for one in allowed:
        if value in (one, one.lower(), one.title()):
            return one
    raise ValueError(f"`{argument}` of AUC must be one of {tuple(allowed)}; got {value!r}.")


def _interpolated_precision_recall(counts: dict[str, Any]) -> Any:
    """The areas between thresholds when the true positives grow linearly with the positives.

    Davis and Goadrich, "The relationship between precision-recall and ROC curves" (2006).
    """
    tp, fp, fn = (counts[name] for name in ("true_positives", "false_positives", "false_negatives"))
    positives = tp + fp
    gained = tp[:-1] - tp[1:]
    slope = ops.divide_no_nan(gained, ops.maximum(positives[:-1] - positives[1:], 0.0))
    intercept = tp[1:] - slope * positives[1:]
    both = ops.logical_and(positives[:-1] > 0, positives[1:] > 0)
    ratio = ops.where(both, ops.divide_no_nan(positives[:-1], ops.maximum(positives[1:], 0.0)), 1.0)
    return ops.divide_no_nan(
        slope * (gained + intercept * ops.log(ratio)), ops.maximum(tp[1:] + fn[1:], 0.0)
    )
