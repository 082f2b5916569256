"""Cross-entropies that weigh easy examples less."""

from typing import Any

from kgraph import config, ops
from kgraph.losses.crossentropy import check_categorical, smooth_labels
from kgraph.losses.regression import export
from kgraph.losses.wrapper import BuiltInLoss
from kgraph.registry import keras_export

__all__ = [
    "BinaryFocalCrossentropy",
    "CategoricalFocalCrossentropy",
    "binary_focal_crossentropy",
    "categorical_focal_crossentropy",
]


@export("binary_focal_crossentropy")
def binary_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    apply_class_balancing: bool = False,
    alpha: float = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Binary cross-entropy times `(1 - p) ** gamma`, p the probability of the right answer.

    Args:
        y_true: targets, 0 or 1, of `y_pred`'s shape.
        y_pred: probabilities, or logits.
        apply_class_balancing: weigh class 1 by `alpha` and class 0 by `1 - alpha`.
        alpha: the weight of class 1.
        gamma: how much less easy examples weigh.
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
    if from_logits:
        y_pred = ops.sigmoid(y_pred)
    losses = ops.binary_crossentropy(y_true, y_pred, from_logits=False)
    right = y_true * y_pred + (1 - y_true) * (1 - y_pred)
    losses = ops.power(1.0 - right, gamma) * losses
    if apply_class_balancing:
        losses = (y_true * alpha + (1 - y_true) * (1 - alpha)) * losses
    return ops.mean(losses, axis=axis)


@export("categorical_focal_crossentropy")
def categorical_focal_crossentropy(
    y_true: Any,
    y_pred: Any,
    alpha: Any = 0.25,
    gamma: float = 2.0,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Any:
    """Cross-entropy of one-hot targets, each class's term times `alpha * (1 - p) ** gamma`.

    Args:
        y_true: one-hot targets, of `y_pred`'s shape.
        y_pred: probabilities (divided by their sum and clipped first), or logits.
        alpha: a weight, or one per class.
        gamma: how much less easy examples weigh.
        from_logits: `y_pred` holds logits.
        label_smoothing: the share of each target that goes evenly to all classes.
        axis: the classes' axis.

    Returns:
        A tensor of `y_pred`'s shape without `axis`.
    """
    y_pred = ops.convert_to_tensor(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    check_categorical("categorical_focal_crossentropy", y_pred, axis)
    if label_smoothing:
        y_true = smooth_labels(y_true, label_smoothing)
    if from_logits:
        y_pred = ops.softmax(y_pred, axis=axis)
    probability = y_pred / ops.sum(y_pred, axis=axis, keepdims=True)
    probability = ops.clip(probability, config.epsilon(), 1.0 - config.epsilon())
    weight = ops.multiply(ops.power(1.0 - probability, gamma), alpha)
    return ops.sum(weight * (-y_true * ops.log(probability)), axis=axis)


@keras_export("keras.losses.BinaryFocalCrossentropy")
class BinaryFocalCrossentropy(BuiltInLoss):
    """Binary focal cross-entropy; see `binary_focal_crossentropy` for the arguments."""

    _config_names = (
        "from_logits",
        "label_smoothing",
        "axis",
        "apply_class_balancing",
        "alpha",
        "gamma",
    )

    def __init__(
        self,
        apply_class_balancing: bool = False,
        alpha: float = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "binary_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            binary_focal_crossentropy,
            reduction,
            name,
            dtype,
            apply_class_balancing=apply_class_balancing,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.apply_class_balancing = apply_class_balancing
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@keras_export("keras.losses.CategoricalFocalCrossentropy")
class CategoricalFocalCrossentropy(BuiltInLoss):
    """Categorical focal cross-entropy; see `categorical_focal_crossentropy` for the arguments."""

    _config_names = ("from_logits", "label_smoothing", "axis", "alpha", "gamma")

    def __init__(
        self,
        alpha: Any = 0.25,
        gamma: float = 2.0,
        from_logits: bool = False,
        label_smoothing: float = 0.0,
        axis: int = -1,
        reduction: str | None = "sum_over_batch_size",
        name: str = "categorical_focal_crossentropy",
        dtype: Any = None,
    ) -> None:
        super().__init__(
            categorical_focal_crossentropy,
            reduction,
            name,
            dtype,
            alpha=alpha,
            gamma=gamma,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.alpha = alpha
        self.gamma = gamma
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis
