"""The interface of losses."""

from typing import Any, Self

from kgraph import ops
from kgraph.losses.reduction import reduce_weighted_values, standardize_reduction
from kgraph.registry import keras_export
from kgraph.utils.dtypes import compute_dtype
from kgraph.utils.masking import get_keras_mask
from kgraph.utils.naming import auto_name

__all__ = ["Loss"]


@keras_export(["keras.Loss", "keras.losses.Loss"])
class Loss:
    """Measures how far predictions are from targets.

    Subclasses write `call(y_true, y_pred)`, which returns one loss per sample (or element).

    Args:
        name: None: the class's name in snake case, made unique.
        reduction: "sum_over_batch_size" or "mean" (over all elements), "sum",
            "mean_with_sample_weight" (divided by the sum of the weights), or None.
        dtype: that of the computation (a name or a dtype policy); None: the default float.
    """

    def __init__(
        self,
        name: str | None = None,
        reduction: str | None = "sum_over_batch_size",
        dtype: Any = None,
    ) -> None:
        self.name = name or auto_name(type(self).__name__)
        self.reduction = standardize_reduction(reduction)
        self._dtype = compute_dtype(dtype)

    @property
    def dtype(self) -> str:
        """The dtype of the computation."""
        return self._dtype

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Any:
        """Returns the weighted, reduced loss: a scalar, or with reduction None one per sample."""
        prediction_mask = get_keras_mask(y_pred)
        with ops.name_scope(self.name):
            y_pred = convert_nested(y_pred, self.dtype)
            y_true = convert_nested(y_true, self.dtype)
            losses = self.call(y_true, y_pred)
            mask = get_keras_mask(losses)
            if mask is None:
                mask = prediction_mask
            elif prediction_mask is not None:
                mask = ops.logical_and(prediction_mask, mask)
            return reduce_weighted_values(
                losses,
                sample_weight=sample_weight,
                mask=mask,
                reduction=self.reduction,
                dtype=self.dtype,
            )

    def call(self, y_true: Any, y_pred: Any) -> Any:
        """Returns one loss per sample."""
        raise NotImplementedError(f"{type(self).__name__} must implement `call(y_true, y_pred)`.")

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {"name": self.name, "reduction": self.reduction}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the loss that `get_config` described."""
        return cls(**config)

    def _obj_type(self) -> str:
        return "Loss"


def convert_nested(value: Any, dtype: str) -> Any:
    """Converts a tensor, or every tensor in a structure of dicts, tuples and lists of tensors.

    A list that holds numbers only, however deep, is one tensor, as in numpy.
    """
    if isinstance(value, dict):
        return {key: convert_nested(item, dtype) for key, item in value.items()}
    if isinstance(value, tuple) or (isinstance(value, list) and not _is_array_like(value)):
        return type(value)(convert_nested(item, dtype) for item in value)
    return ops.convert_to_tensor(value, dtype=dtype)


def _is_array_like(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_array_like(item) for item in value)
    return isinstance(value, (bool, int, float))
