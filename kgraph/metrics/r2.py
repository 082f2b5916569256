"""The share of the targets' variance that predictions explain."""

import warnings
from typing import Any

import numpy as np

from kgraph import ops
from kgraph.losses.reduction import squeeze_or_expand_to_same_rank
from kgraph.metrics.metric import Metric
from kgraph.registry import keras_export

__all__ = ["R2Score"]


@keras_export("keras.metrics.R2Score")
class R2Score(Metric):
    """The coefficient of determination, 1 for exact predictions.

    Args:
        class_aggregation: "uniform_average" of the outputs, "variance_weighted_average", or None:
            one score per output.
        num_regressors: the number of independent regressors, for the adjusted score; 0: the
            plain one.
        name: a name.
        dtype: that of the computation; None: the default float.
    """

    _direction = "up"

    def __init__(
        self,
        class_aggregation: str | None = "uniform_average",
        num_regressors: int = 0,
        name: str = "r2_score",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        allowed = (None, "uniform_average", "variance_weighted_average")
        if class_aggregation not in allowed:
            raise ValueError(
                f"`class_aggregation` of R2Score must be one of {allowed}; got "
                f"{class_aggregation!r}."
            )
        if num_regressors < 0:
            raise ValueError(f"`num_regressors` must be 0 or more; got {num_regressors!r}.")
        self.class_aggregation = class_aggregation
        self.num_regressors = num_regressors
        self.num_samples = self.add_variable((), "zeros", name="num_samples")
        self._built = False

    def _build(self, y_true_shape: Any, y_pred_shape: Any) -> None:
        shapes = (tuple(y_true_shape), tuple(y_pred_shape))
        if any(len(shape) != 2 or not isinstance(shape[-1], int) for shape in shapes):
            raise ValueError(
                "R2Score expects y_true and y_pred of shape (batch, outputs), with a known "
                f"number of outputs; got {shapes[0]} and {shapes[1]}."
            )
        size = (y_pred_shape[-1],)
        self.squared_sum = self.add_variable(size, "zeros", name="squared_sum")
        self.sum = self.add_variable(size, "zeros", name="sum")
        self.total_mse = self.add_variable(size, "zeros", name="residual")
        self.count = self.add_variable(size, "zeros", name="count")
        self._built = True

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets, shape (batch, outputs).
            y_pred: predictions, of the same shape.
            sample_weight: None, or weights of shape (batch,) or (batch, outputs).
        """
        y_true = ops.convert_to_tensor(y_true, dtype=self.dtype)
        y_pred = ops.convert_to_tensor(y_pred, dtype=self.dtype)
        y_true, y_pred = squeeze_or_expand_to_same_rank(y_true, y_pred)
        if not self._built:
            self._build(y_true.shape, y_pred.shape)
        weight = ops.convert_to_tensor(
            1 if sample_weight is None else sample_weight, dtype=self.dtype
        )
        if len(weight.shape) == 1:
            weight = ops.expand_dims(weight, axis=1)
        weight = ops.broadcast_to(weight, ops.shape(y_true))
        weighted = y_true * weight
        residual = ops.square(y_true - y_pred) * weight
        self.sum.assign(self.sum.value + ops.sum(weighted, axis=0))
        self.squared_sum.assign(self.squared_sum.value + ops.sum(y_true * weighted, axis=0))
        self.total_mse.assign(self.total_mse.value + ops.sum(residual, axis=0))
        self.count.assign(self.count.value + ops.sum(weight, axis=0))
        self.num_samples.assign(
            self.num_samples.value + ops.cast(ops.size(y_true), self.num_samples.dtype)
        )

    def result(self) -> Any:
        mean = ops.divide(self.sum.value, self.count.value)
        total = self.squared_sum.value - self.sum.value * mean
        scores = 1 - ops.divide(self.total_mse.value, total)
        scores = ops.where(ops.isinf(scores), 0.0, scores)
        if self.class_aggregation == "uniform_average":
            scores = ops.mean(scores)
        elif self.class_aggregation == "variance_weighted_average":
            scores = ops.divide(ops.sum(total * scores), ops.sum(total))
        return self._adjusted(scores) if self.num_regressors else scores

    def _adjusted(self, scores: Any) -> Any:
        """Takes the number of regressors into account, where there are samples enough."""
        samples = self.num_samples.value
        freedom = samples - 1.0 - self.num_regressors
        enough = freedom > 0
        if isinstance(enough, (bool, np.bool_, np.ndarray)) and not enough:
            warnings.warn(
                f"The adjusted R2 score needs more than {self.num_regressors + 1} samples; got "
                f"{int(samples)}. This is the plain score.",
                stacklevel=3,
            )
            return scores
        adjusted = 1.0 - (1.0 - scores) * (samples - 1.0) / ops.where(enough, freedom, 1.0)
        return ops.where(enough, adjusted, scores)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "class_aggregation": self.class_aggregation,
            "num_regressors": self.num_regressors,
        }
