"""A cost of rows or columns that are not orthogonal."""

from typing import Any

from kgraph import ops
from kgraph.registry import keras_export
from kgraph.regularizers.base import Regularizer, check_factor

__all__ = ["OrthogonalRegularizer"]


@keras_export(
    [
        "keras.regularizers.OrthogonalRegularizer",
        "keras.regularizers.orthogonal_regularizer",
    ]
)
class OrthogonalRegularizer(Regularizer):
    """`factor` times the mean absolute cosine of the angles between rows or columns.

    Args:
        factor: the factor.
        mode: "rows" or "columns".
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        self.factor = check_factor(factor, "factor")
        if mode not in ("rows", "columns"):
            raise ValueError(f"`mode` must be 'rows' or 'columns'; got {mode!r}.")
        self.mode = mode

    def __call__(self, inputs: Any) -> Any:
        if len(inputs.shape) != 2:
            raise ValueError(
                f"OrthogonalRegularizer is for weights of rank 2; got shape {tuple(inputs.shape)}."
            )
        axis = 1 if self.mode == "rows" else 0
        unit = ops.normalize(inputs, axis=axis)
        other = ops.transpose(unit)
        cosines = ops.matmul(unit, other) if axis == 1 else ops.matmul(other, unit)
        size = inputs.shape[1 - axis]
        cosines = cosines * (1.0 - ops.eye(size, dtype=inputs.dtype))
        # Every pair stands in the matrix twice.
        pairs = size * (size - 1.0) / 2.0
        return self.factor * 0.5 * ops.sum(ops.abs(cosines)) / pairs

    def get_config(self) -> dict[str, Any]:
        return {"factor": self.factor, "mode": self.mode}
