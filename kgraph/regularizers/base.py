"""The interface of regularizers."""

import math
from typing import Any, Self

from kgraph.registry import keras_export

__all__ = ["Regularizer"]


@keras_export(["keras.Regularizer", "keras.regularizers.Regularizer"])
class Regularizer:
    """Computes what a weight (or an output) adds to the loss.

    Subclasses write `__call__(x)`, which returns a scalar, and, to be saved with a model,
    `get_config`.
    """

    def __call__(self, x: Any) -> Any:
        """Returns the cost of `x`, a scalar."""
        return 0.0

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `get_config()` to be saved."
        )

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the regularizer that `get_config` described."""
        return cls(**config)


def check_factor(value: Any, argument: str) -> float:
    """Returns a factor as a float; ValueError when it is negative, infinite or no number."""
    if not isinstance(value, (float, int)) or not 0 <= value < math.inf:
        raise ValueError(
            f"`{argument}` of a regularizer must be a finite number of 0 or more; got {value!r}."
        )
    return float(value)
