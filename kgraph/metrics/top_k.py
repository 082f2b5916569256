"""How often the target is among the k largest predictions."""

from typing import Any

from kgraph import config, ops
from kgraph.metrics.reduction import BuiltInMean
from kgraph.registry import keras_export

__all__ = [
    "SparseTopKCategoricalAccuracy",
    "TopKCategoricalAccuracy",
    "sparse_top_k_categorical_accuracy",
    "top_k_categorical_accuracy",
]


@keras_export("keras.metrics.top_k_categorical_accuracy")
def top_k_categorical_accuracy(y_true: Any, y_pred: Any, k: int = 5) -> Any:
    """Returns 1.0 where the class of the one-hot target is among the `k` largest, else 0.0."""
    classes = ops.cast(ops.argmax(y_true, axis=-1), "int32")
    return sparse_top_k_categorical_accuracy(classes, y_pred, k=k)


@keras_export("keras.metrics.sparse_top_k_categorical_accuracy")
def sparse_top_k_categorical_accuracy(
    y_true: Any, y_pred: Any, k: int = 5, from_sorted_ids: bool = False
) -> Any:
    """Returns 1.0 where the class number is among the `k` largest predictions, else 0.0.

    Args:
        y_true: class numbers, of `y_pred`'s shape without its last dim.
        y_pred: scores; with `from_sorted_ids` class numbers, the likeliest first.
        k: how many count.
        from_sorted_ids: what `y_pred` holds.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.convert_to_tensor(y_true, dtype=y_pred.dtype if from_sorted_ids else "int32")
    shape = ops.shape(y_true)
    if len(y_pred.shape) > 2:
        y_pred = ops.reshape(y_pred, (-1, y_pred.shape[-1]))
    flattened = len(y_true.shape) > 1
    if flattened:
        y_true = ops.reshape(y_true, (-1,))
    if from_sorted_ids:
        matches = ops.any(ops.equal(ops.expand_dims(y_true, 1), y_pred[:, :k]), axis=1)
    else:
        matches = ops.in_top_k(y_true, y_pred, k=k)
    matches = ops.cast(matches, config.floatx())
    return ops.reshape(matches, shape) if flattened else matches


@keras_export("keras.metrics.TopKCategoricalAccuracy")
class TopKCategoricalAccuracy(BuiltInMean):
    """How often the class of the one-hot target is among the `k` largest predictions."""

    _direction = "up"
    _config_names = ("k",)

    def __init__(
        self, k: int = 5, name: str = "top_k_categorical_accuracy", dtype: Any = None
    ) -> None:
        super().__init__(top_k_categorical_accuracy, name, dtype, k=k)
        self.k = k


@keras_export("keras.metrics.SparseTopKCategoricalAccuracy")
class SparseTopKCategoricalAccuracy(BuiltInMean):
    """How often the class number is among the `k` largest predictions.

    Args:
        k: how many count.
        name: a name.
        dtype: that of the mean; None: the default float.
        from_sorted_ids: predictions are class numbers, the likeliest first.
    """

    _direction = "up"

    def __init__(
        self,
        k: int = 5,
        name: str = "sparse_top_k_categorical_accuracy",
        dtype: Any = None,
        from_sorted_ids: bool = False,
    ) -> None:
        super().__init__(
            sparse_top_k_categorical_accuracy, name, dtype, k=k, from_sorted_ids=from_sorted_ids
        )
        self.k = k
        self.from_sorted_ids = from_sorted_ids

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "k": self.k}
        if self.from_sorted_ids:
            config["from_sorted_ids"] = True
        return config
