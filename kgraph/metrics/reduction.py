"""Sums and means of values, and means of functions of targets and predictions."""

from collections.abc import Callable
from typing import Any, Self

from kgraph import ops, registry
from kgraph.losses.lookup import ALL_OBJECTS as LOSSES
from kgraph.losses.reduction import apply_mask, squeeze_or_expand_to_same_rank
from kgraph.metrics.metric import Metric
from kgraph.registry import keras_export
from kgraph.utils.masking import get_keras_mask

__all__ = ["Mean", "MeanMetricWrapper", "Sum"]


def reduce_to_samplewise_values(
    values: Any, sample_weight: Any, reduce_fn: Callable[..., Any], dtype: str
) -> tuple[Any, Any]:
    """Weights `values` and reduces all dims but the first.

    Args:
        values: a tensor of any shape; its mask, if it has one, joins the weights.
        sample_weight: None, or weights of `values`' shape, or of its leading dims.
        reduce_fn: `ops.sum` or `ops.mean`.
        dtype: that of the results.

    Returns:
        The values and the weights (or None), of rank 1 or 0.
    """
    mask = get_keras_mask(values)
    values = ops.cast(values, dtype)
    if sample_weight is not None:
        sample_weight = ops.convert_to_tensor(sample_weight, dtype=dtype)
        sample_weight = apply_mask(sample_weight, mask, dtype=dtype, reduction="sum")
        values, sample_weight = squeeze_or_expand_to_same_rank(values, sample_weight)
        weight_rank = len(sample_weight.shape)
        if len(values.shape) > weight_rank:
            values = reduce_fn(values, axis=tuple(range(weight_rank, len(values.shape))))
        # The sum of the weights counts the samples, so each sample must have its own.
        sample_weight = ops.broadcast_to(sample_weight, ops.shape(values))
        values = values * sample_weight
        if weight_rank > 1:
            sample_weight = reduce_fn(sample_weight, axis=tuple(range(1, weight_rank)))
    if len(values.shape) > 1:
        values = reduce_fn(values, axis=tuple(range(1, len(values.shape))))
    return values, sample_weight


@keras_export("keras.metrics.Sum")
class Sum(Metric):
    """The weighted sum of the values.

    Args:
        name: a name.
        dtype: that of the sum; None: the default float.
    """

    def __init__(self, name: str | None = "sum", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Adds `values`, any shape, times `sample_weight` (None: 1)."""
        values, _ = reduce_to_samplewise_values(values, sample_weight, ops.sum, self.dtype)
        self.total.assign(self.total.value + ops.sum(values))

    def result(self) -> Any:
        return ops.cast(self.total.value, self.dtype)


@keras_export("keras.metrics.Mean")
class Mean(Metric):
    """The weighted mean of the values.

    Args:
        name: a name.
        dtype: that of the mean; None: the default float.
    """

    def __init__(self, name: str | None = "mean", dtype: Any = None) -> None:
        super().__init__(name=name, dtype=dtype)
        self.total = self.add_variable((), "zeros", dtype=self.dtype, name="total")
        self.count = self.add_variable((), "zeros", dtype=self.dtype, name="count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        """Takes `values` into account: each of the first dim counts 1, or its weight.

        Args:
            values: a tensor of any shape; all dims but the first are averaged first.
            sample_weight: None, or weights of `values`' shape, or of its leading dims.
        """
        values, sample_weight = reduce_to_samplewise_values(
            values, sample_weight, ops.mean, self.dtype
        )
        if sample_weight is not None:
            count = ops.sum(sample_weight)
        else:
            samples = ops.shape(values)[0] if len(values.shape) else 1
            count = ops.convert_to_tensor(samples, dtype=self.dtype)
        self.total.assign(self.total.value + ops.sum(values))
        self.count.assign(self.count.value + count)

    def result(self) -> Any:
        return ops.divide_no_nan(self.total.value, self.count.value)


@keras_export("keras.metrics.MeanMetricWrapper")
class MeanMetricWrapper(Mean):
    """The weighted mean of `fn(y_true, y_pred, **kwargs)`.

    Args:
        fn: a function, which returns one value per sample (or element).
        name: a name; None: the class's.
        dtype: that of the mean; None: the default float.
        **kwargs: further arguments of the function.
    """

    def __init__(
        self, fn: Callable[..., Any], name: str | None = None, dtype: Any = None, **kwargs: Any
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs
        if type(fn) in LOSSES or fn in LOSSES:
            self._direction = "down"

    def update_state(  # type: ignore[override]  # as in Keras
        self, y_true: Any, y_pred: Any, sample_weight: Any = None
    ) -> None:
        """Takes a batch into account.

        Args:
            y_true: targets.
            y_pred: predictions; their mask, if they have one, joins the weights.
            sample_weight: None, or weights of the values' shape, or of its leading dims.
        """
        mask = get_keras_mask(y_pred)
        values = self._fn(y_true, y_pred, **self._fn_kwargs)
        sample_weight = apply_mask(sample_weight, mask, dtype=self.dtype, reduction="sum")
        super().update_state(values, sample_weight=sample_weight)

    def get_config(self) -> dict[str, Any]:
        config = {"fn": registry.serialize_keras_object(self._fn)}
        config.update(registry.serialize_keras_object(self._fn_kwargs))
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if "fn" in config:
            config = registry.deserialize_keras_object(config)
        return cls(**config)


class BuiltInMean(MeanMetricWrapper):
    """A wrapper whose function belongs to the class, and so is no part of the config.

    `_config_names` lists the function's arguments that the config holds.
    """

    _config_names: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        config = Metric.get_config(self)
        config.update({name: getattr(self, name) for name in self._config_names})
        return config
