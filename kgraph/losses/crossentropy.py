"""Cross-entropies of class probabilities or logits."""

import warnings
from typing import Any

from kgraph import ops
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export
from kgraph.utils.masking import set_keras_mask

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "CategoricalGeneralizedCrossEntropy",
    "SparseCategoricalCrossentropy",
    "binary_crossentropy",
    "categorical_crossentropy",
    "categorical_generalized_cross_entropy",
    "sparse_categorical_crossentropy",
]


def smooth_labels(y_true: Any, label_smoothing: float) -> Any:
    """Moves the share `label_smoothing` of each one-hot target evenly to all classes."""
    classes = ops.convert_to_tensor(ops.shape(y_true)[-1], dtype=y_true.dtype)
    return y_true * (1.0 - label_smoothing) + label_smoothing / classes


def check_categorical(function: str, y_pred: Any, axis: int) -> None:
    """Refuses a bool as axis (a shifted argument), warns of a single class."""
    if isinstance(axis, bool):
        raise ValueError(f"`axis` of {function} must be an int; got {axis!r}.")
    if isinstance(y_pred.shape[-1], int) and y_pred.shape[-1] == 1:
        warnings.warn(
            f"{function} expects y_pred of shape (batch, classes) with more than one class; got "
            f"shape {tuple(y_pred.shape)}. For two classes use binary_crossentropy.",
            SyntaxWarning,
            stacklevel=3,
        )


@keras_export(["keras.losses.categorical_crossentropy", "keras.metrics.categorical_crossentropy"])
def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Cross-entropy of one-hot targets: `-sum(y_true * log(p))` along `axis`.

    Args:
        y_true: one-hot targets, of `y_pred`'s shape.
        y_pred: probabilities (divided by their sum and clipped first), or logits.
        from_logits: `y_pred` holds logits.
        label_smoothing: the share of each target that goes evenly to all classes.
        axis: the classes' axis.

    Returns:
        A tensor of `y_pred`'s shape without `axis`.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    check_categorical("categorical_crossentropy", y_pred, axis)
    if label_smoothing:
        y_true = smooth_labels(y_true, label_smoothing)
    return ops.categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)


@keras_export(
    [
        "keras.losses.sparse_categorical_crossentropy",
        "keras.metrics.sparse_categorical_crossentropy",
    ]
)
def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Any:
    """Cross-entropy of class numbers: `-log(p[y_true])`.

    Args:
        y_true: class numbers, of `y_pred`'s shape without `axis` (or with size 1 there).
        y_pred: probabilities (divided by their sum and clipped first), or logits.
        from_logits: `y_pred` holds logits.
        ignore_class: targets of this number give 0 and are left out of means.
        axis: the classes' axis.

    Returns:
        A tensor of `y_pred`'s shape without `axis`.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    if len(y_true.shape) == len(y_pred.shape) and y_true.shape[axis] == 1:
        y_true = ops.squeeze(y_true, axis=axis)
    if ignore_class is None:
        return ops.sparse_categorical_crossentropy(
            y_true, y_pred, from_logits=from_logits, axis=axis
        )
    valid = ops.not_equal(y_true, ops.cast(ignore_class, y_true.dtype))
    # Class 0 with prediction 0 stands in for what is ignored: finite, and without a gradient.
    y_true = ops.where(valid, y_true, 0)
    y_pred = ops.where(ops.expand_dims(valid, axis), y_pred, 0)
    losses = ops.sparse_categorical_crossentropy(y_true, y_pred, from_logits=from_logits, axis=axis)
    losses = ops.where(valid, losses, 0.0)
    set_keras_mask(losses, valid)
    return losses


@keras_export(["keras.losses.binary_crossentropy", "keras.metrics.binary_crossentropy"])
def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Cross-entropy of yes-or-no targets, averaged along `axis`.

    Args:
        y_true: targets, 0 or 1 (or between), of `y_pred`'s shape.
        y_pred: probabilities (clipped first), or logits.
        from_logits: `y_pred` holds logits.
        label_smoothing: moves the targets this share of the way to 0.5.
        axis: the axis of the mean.

    Returns:
        A tensor of `y_pred`'s shape without `axis`.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    if label_smoothing:
        y_true = y_true * (1.0 - label_smoothing) + 0.5 * label_smoothing
    losses = ops.binary_crossentropy(y_true, y_pred, from_logits=from_logits)
    return ops.mean(losses, axis=axis)


@keras_export("keras.losses.categorical_generalized_cross_entropy")
def categorical_generalized_cross_entropy(y_true: Any, y_pred: Any, q: float) -> Any:
    """Returns `(1 - p[y_true] ** q) / q`: between cross-entropy (q to 0) and mean error (q = 1).

    Args:
        y_true: class numbers, of `y_pred`'s shape without its last dim.
        y_pred: probabilities.
        q: between 0 and 1.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    one_hot = ops.one_hot(ops.cast(y_true, "int32"), ops.shape(y_pred)[-1], dtype=y_pred.dtype)
    probability = ops.sum(y_pred * one_hot, axis=-1)
    return (1 - ops.power(probability, q)) / q


@keras_export("keras.losses.CategoricalCrossentropy")
class CategoricalCrossentropy(BuiltInLoss):
    """Cross-entropy of one-hot targets; see `categorical_crossentropy` for the arguments."""

    _config_names = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@keras_export("keras.losses.SparseCategoricalCrossentropy")
class SparseCategoricalCrossentropy(BuiltInLoss):
    """Cross-entropy of class numbers; see `sparse_categorical_crossentropy` for the arguments."""

    _config_names = ("from_logits", "ignore_class")

    def __init__(
        self,
        from_logits: bool = False,
        ignore_class: int | None = None,
        reduction: str | None = "sum_over_batch_size",
        axis: int = -1,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class


@keras_export("keras.losses.BinaryCrossentropy")
class BinaryCrossentropy(BuiltInLoss):
    """Cross-entropy of yes-or-no targets; see `binary_crossentropy` for the arguments."""

    _config_names = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            reduction,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@keras_export("keras.losses.CategoricalGeneralizedCrossEntropy")
class CategoricalGeneralizedCrossEntropy(BuiltInLoss):
    """Cross-entropy that noisy labels disturb less; `q` between 0 and 1."""

    _config_names = ("q",)

    def __init__(
        self,
        q: float = 0.5,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_generalized_cross_entropy",
        dtype: Any = None,
    ) -> None:
        if not 0 < q < 1:
            raise ValueError(f"`q` must lie between 0 and 1, both excluded; got {q!r}.")
        super().__init__(categorical_generalized_cross_entropy, reduction, name, dtype, q=q)
        self.q = q
