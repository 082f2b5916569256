"""The interface of initializers."""

from collections.abc import Sequence
from typing import Any, Self

from kgraph.registry import keras_export

__all__ = ["Initializer"]


@keras_export(["keras.Initializer", "keras.initializers.Initializer"])
class Initializer:
    """Makes the first value of a weight.

    Subclasses write `__call__(shape, dtype=None)` and, to be saved with a model, `get_config`.
    """

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        """Returns an array of `shape` and `dtype` (None: the default float)."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `__call__(shape, dtype=None)`."
        )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the initializer that `get_config` described."""
        return cls(**config)

    def clone(self) -> Self:
        """Returns an initializer of the same config."""
        return self.from_config(self.get_config())
