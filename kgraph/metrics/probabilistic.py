"""Losses of distributions as metrics."""

from typing import Any

from kgraph.losses.crossentropy import (
    binary_crossentropy,
    categorical_crossentropy,
    sparse_categorical_crossentropy,
)
from kgraph.losses.divergence import kl_divergence, poisson
from kgraph.metrics.reduction import BuiltInMean
from kgraph.registry import keras_export

__all__ = [
    "BinaryCrossentropy",
    "CategoricalCrossentropy",
    "KLDivergence",
    "Poisson",
    "SparseCategoricalCrossentropy",
]


@keras_export("keras.metrics.KLDivergence")
class KLDivergence(BuiltInMean):
    """The mean Kullback-Leibler divergence of the predicted distributions from the true ones."""

    _direction = "down"

    def __init__(self, name: str = "kl_divergence", dtype: Any = None) -> None:
        super().__init__(kl_divergence, name, dtype)


@keras_export("keras.metrics.Poisson")
class Poisson(BuiltInMean):
    """The mean negative log-likelihood of counts, up to a constant."""

    _direction = "down"

    def __init__(self, name: str = "poisson", dtype: Any = None) -> None:
        super().__init__(poisson, name, dtype)


@keras_export("keras.metrics.BinaryCrossentropy")
class BinaryCrossentropy(BuiltInMean):
    """The mean cross-entropy of yes-or-no targets.

    Args:
        name: a name.
        dtype: that of the mean; None: the default float.
        from_logits: predictions are logits, not probabilities.
        label_smoothing: moves the targets this share of the way to 0.5.
    """

    _direction = "down"
    _config_names = ("from_logits", "label_smoothing")

    def __init__(
        self,
        name: str = "binary_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
    ) -> None:
        super().__init__(
            binary_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing


@keras_export("keras.metrics.CategoricalCrossentropy")
class CategoricalCrossentropy(BuiltInMean):
    """The mean cross-entropy of one-hot targets.

    Args:
        name: a name.
        dtype: that of the mean; None: the default float.
        from_logits: predictions are logits, not probabilities.
        label_smoothing: the share of each target that goes evenly to all classes.
        axis: the classes' axis.
    """

    _direction = "down"
    _config_names = ("from_logits", "label_smoothing", "axis")

    def __init__(
        self,
        name: str = "categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        label_smoothing: float = 0,
        axis: int = -1,
    ) -> None:
        super().__init__(
            categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            label_smoothing=label_smoothing,
            axis=axis,
        )
        self.from_logits = from_logits
        self.label_smoothing = label_smoothing
        self.axis = axis


@keras_export("keras.metrics.SparseCategoricalCrossentropy")
class SparseCategoricalCrossentropy(BuiltInMean):
    """The mean cross-entropy of class numbers.

    Args:
        name: a name.
        dtype: that of the mean; None: the default float.
        from_logits: predictions are logits, not probabilities.
        ignore_class: targets of this number count 0.
        axis: the classes' axis.
    """

    _direction = "down"
    _config_names = ("from_logits", "ignore_class", "axis")

    def __init__(
        self,
        name: str = "sparse_categorical_crossentropy",
        dtype: Any = None,
        from_logits: bool = False,
        ignore_class: int | None = None,
        axis: int = -1,
    ) -> None:
        super().__init__(
            sparse_categorical_crossentropy,
            name,
            dtype,
            from_logits=from_logits,
            ignore_class=ignore_class,
            axis=axis,
        )
        self.from_logits = from_logits
        self.ignore_class = ignore_class
        self.axis = axis
