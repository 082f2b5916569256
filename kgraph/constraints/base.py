"""The interface of constraints."""

from typing import Any, Self

from kgraph.registry import keras_export

__all__ = ["Constraint"]


@keras_export("keras.constraints.Constraint")
class Constraint:
    """Moves a weight, after each step, to where it may be.

    Subclasses write `__call__(w)` and, to be saved with a model, `get_config`.
    """

    def __call__(self, w: Any) -> Any:
        """Returns the weight's permitted value, of the same shape."""
        return w

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the constraint that `get_config` described."""
        return cls(**config)
