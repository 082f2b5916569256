"""The four counts of a decision, and precision and recall."""

from typing import Any

from kgraph import ops
from kgraph.metrics.thresholds import NEVER, ThresholdMetric, parse_thresholds, update_counts
from kgraph.registry import keras_export

__all__ = [
    "FalseNegatives",
    "FalsePositives",
    "Precision",
    "Recall",
    "TrueNegatives",
    "TruePositives",
]


class _Count(ThresholdMetric):
    """Counts the decisions of one kind (`_kind`, a name of `COUNTS`).

    Args:
        thresholds: a number or numbers between 0 and 1: a prediction above it is positive;
            None: 0.5.
        name: a name; None: the class's.
        dtype: that of the result; None: the default float.
    """

    _kind: str

    def __init__(self, thresholds: Any = None, name: str | None = None, dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.thresholds = parse_thresholds(thresholds)
        self.accumulator = self.add_variable((len(self.thresholds),), "zeros", name="accumulator")

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets, 0 or 1, any shape.
            y_pred: predictions, of the same shape.
            sample_weight: None, or weights of the shape's leading dims.
        """
        update_counts(
            {self._kind: self.accumulator},
            y_true,
            y_pred,
            self.thresholds,
            sample_weight=sample_weight,
        )

    def result(self) -> Any:
        value = ops.convert_to_tensor(self.accumulator.value)
        return value[0] if len(self.thresholds) == 1 else value

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "thresholds": self.init_thresholds}


@keras_export("keras.metrics.FalsePositives")
class FalsePositives(_Count):
    """How often a prediction is positive and the target is not."""

    _kind = "false_positives"


@keras_export("keras.metrics.FalseNegatives")
class FalseNegatives(_Count):
    """How often a target is positive and the prediction is not."""

    _kind = "false_negatives"


@keras_export("keras.metrics.TrueNegatives")
class TrueNegatives(_Count):
    """How often prediction and target are both negative."""

    _kind = "true_negatives"


@keras_export("keras.metrics.TruePositives")
class TruePositives(_Count):
    """How often prediction and target are both positive."""

    _kind = "true_positives"


class _Share(ThresholdMetric):
    """The share of true positives in the sum of them and the count `_others`."""

    _direction = "up"
    _others: str

    def __init__(
        self,
        thresholds: Any = None,
        top_k: int | None = None,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.init_thresholds = thresholds
        self.top_k = top_k
        self.class_id = class_id
        self.thresholds = parse_thresholds(thresholds, 0.5 if top_k is None else NEVER)
        self._counts = self._add_counts((len(self.thresholds),), ("true_positives", self._others))
        self.true_positives = self._counts["true_positives"]

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets, 0 or 1, any shape.
            y_pred: predictions, of the same shape.
            sample_weight: None, or weights of the shape's leading dims.
        """
        update_counts(
            self._counts,
            y_true,
            y_pred,
            self.thresholds,
            top_k=self.top_k,
            class_id=self.class_id,
            sample_weight=sample_weight,
        )

    def result(self) -> Any:
        right = self.true_positives.value
        share = ops.divide_no_nan(right, right + self._counts[self._others].value)
        return share[0] if len(self.thresholds) == 1 else share

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "thresholds": self.init_thresholds,
            "top_k": self.top_k,
            "class_id": self.class_id,
        }


@keras_export("keras.metrics.Precision")
class Precision(_Share):
    """How many of the positive predictions are right.

    Args:
        thresholds: a number or numbers between 0 and 1: a prediction above it is positive;
            None: 0.5, or with `top_k` no threshold.
        top_k: None, or how many of the classes with the largest predictions can be positive.
        class_id: None, or the only class that counts.
        name: a name; None: the class's.
        dtype: that of the result; None: the default float.
    """

    _others = "false_positives"

    @property
    def false_positives(self) -> ops.Variable:
        """The positive predictions that were wrong, one count per threshold."""
        return self._counts["false_positives"]


@keras_export("keras.metrics.Recall")
class Recall(_Share):
    """How many of the positive targets are found.

    Args:
        thresholds: a number or numbers between 0 and 1: a prediction above it is positive;
            None: 0.5, or with `top_k` no threshold.
        top_k: None, or how many of the classes with the largest predictions can be positive.
        class_id: None, or the only class that counts.
        name: a name; None: the class's.
        dtype: that of the result; None: the default float.
    """

    _others = "false_negatives"

    @property
    def false_negatives(self) -> ops.Variable:
        """The positive targets that were missed, one count per threshold."""
        return self._counts["false_negatives"]
