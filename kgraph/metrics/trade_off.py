"""The best value of one rate where another is good enough."""

from typing import Any

from kgraph import ops
from kgraph.metrics.thresholds import COUNTS, ThresholdMetric, even_thresholds, update_counts
from kgraph.registry import keras_export

__all__ = [
    "PrecisionAtRecall",
    "RecallAtPrecision",
    "SensitivityAtSpecificity",
    "SpecificityAtSensitivity",
]


class _TradeOff(ThresholdMetric):
    """The largest value of one rate among the thresholds where another is at least a bound.

    `_bound` names the constructor's argument; `_constrained` and `_wanted` name the two rates.
    """

    _direction = "up"
    _bound: str
    _constrained: str
    _wanted: str

    def __init__(
        self,
        value: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if not 0 <= value <= 1:
            raise ValueError(f"`{self._bound}` must lie between 0 and 1; got {value!r}.")
        if num_thresholds <= 0:
            raise ValueError(f"`num_thresholds` must be 1 or more; got {num_thresholds!r}.")
        self.value = value
        self.num_thresholds = num_thresholds
        self.class_id = class_id
        if num_thresholds == 1:
            self.thresholds = [0.5]
        else:
            self.thresholds = [0.0, *even_thresholds(num_thresholds), 1.0]
        self._counts = self._add_counts((len(self.thresholds),), COUNTS)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets, 0 or 1, any shape.
            y_pred: predictions between 0 and 1, of the same shape.
            sample_weight: None, or weights of the shape's leading dims.
        """
        update_counts(
            self._counts,
            y_true,
            y_pred,
            self.thresholds,
            class_id=self.class_id,
            sample_weight=sample_weight,
        )

    def _rate(self, kind: str) -> Any:
        counts = {name: variable.value for name, variable in self._counts.items()}
        right, wrong = {
            "precision": ("true_positives", "false_positives"),
            "recall": ("true_positives", "false_negatives"),
            "specificity": ("true_negatives", "false_positives"),
        }[kind]
        return ops.divide_no_nan(counts[right], counts[right] + counts[wrong])

    def result(self) -> Any:
        feasible = self._rate(self._constrained) >= self.value
        return ops.max(ops.where(feasible, self._rate(self._wanted), 0.0))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_id": self.class_id,
            "num_thresholds": self.num_thresholds,
            self._bound: self.value,
        }


@keras_export("keras.metrics.SensitivityAtSpecificity")
class SensitivityAtSpecificity(_TradeOff):
    """The best recall at a specificity of at least `specificity`."""

    _bound, _constrained, _wanted = "specificity", "specificity", "recall"

    def __init__(
        self,
        specificity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(specificity, num_thresholds, class_id, name, dtype)
        self.specificity = specificity


@keras_export("keras.metrics.SpecificityAtSensitivity")
class SpecificityAtSensitivity(_TradeOff):
    """The best specificity at a recall of at least `sensitivity`."""

    _bound, _constrained, _wanted = "sensitivity", "recall", "specificity"

    def __init__(
        self,
        sensitivity: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(sensitivity, num_thresholds, class_id, name, dtype)
        self.sensitivity = sensitivity


@keras_export("keras.metrics.PrecisionAtRecall")
class PrecisionAtRecall(_TradeOff):
    """The best precision at a recall of at least `recall`."""

    _bound, _constrained, _wanted = "recall", "recall", "precision"

    def __init__(
        self,
        recall: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(recall, num_thresholds, class_id, name, dtype)
        self.recall = recall


@keras_export("keras.metrics.RecallAtPrecision")
class RecallAtPrecision(_TradeOff):
    """The best recall at a precision of at least `precision`."""

    _bound, _constrained, _wanted = "precision", "precision", "recall"

    def __init__(
        self,
        precision: float,
        num_thresholds: int = 200,
        class_id: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(precision, num_thresholds, class_id, name, dtype)
        self.precision = precision
