"""A loss made of a function."""

from collections.abc import Callable
from typing import Any, Self

from kgraph import registry
from kgraph.losses.loss import Loss
from kgraph.losses.reduction import squeeze_or_expand_to_same_rank

__all__ = ["LossFunctionWrapper"]


class LossFunctionWrapper(Loss):
    """Wraps `fn(y_true, y_pred, **kwargs)`, which returns one loss per sample.

    Args:
        fn: the function.
        reduction: as in `Loss`.
        name: as in `Loss`.
        dtype: as in `Loss`.
        **kwargs: further arguments of the function.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.fn = fn
        self._fn_kwargs = kwargs

    def call(self, y_true: Any, y_pred: Any) -> Any:
        y_true, y_pred = _match_ranks(y_true, y_pred)
        return self.fn(y_true, y_pred, **self._fn_kwargs)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config["fn"] = registry.serialize_keras_object(self.fn)
        config.update(registry.serialize_keras_object(self._fn_kwargs))
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        if "fn" in config:
            config = registry.deserialize_keras_object(config)
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self.fn}, kwargs={self._fn_kwargs})>"


class BuiltInLoss(LossFunctionWrapper):
    """A wrapper whose function belongs to the class, and so is no part of the config.

    `_config_names` lists the function's arguments that the config holds.
    """

    _config_names: tuple[str, ...] = ()

    def get_config(self) -> dict[str, Any]:
        config = Loss.get_config(self)
        config.update({name: getattr(self, name) for name in self._config_names})
        return config


def _match_ranks(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Applies `squeeze_or_expand_to_same_rank` to every pair of two equal structures."""
    if isinstance(y_pred, dict):
        pairs = {key: _match_ranks(y_true[key], y_pred[key]) for key in y_pred}
        return (
            {key: pair[0] for key, pair in pairs.items()},
            {key: pair[1] for key, pair in pairs.items()},
        )
    if isinstance(y_pred, (list, tuple)):
        matched = [_match_ranks(*pair) for pair in zip(y_true, y_pred, strict=True)]
        return (
            type(y_true)(pair[0] for pair in matched),
            type(y_pred)(pair[1] for pair in matched),
        )
    return squeeze_or_expand_to_same_rank(y_true, y_pred)
