"""Initializers without randomness."""

from collections.abc import Sequence
from typing import Any, Self

from kgraph import ops, registry
from kgraph.initializers.base import Initializer
from kgraph.registry import keras_export

__all__ = ["Constant", "Identity", "Ones", "Zeros"]


@keras_export(["keras.initializers.Constant", "keras.initializers.constant"])
class Constant(Initializer):
    """Fills with one value.

    Args:
        value: a Python number, or an array that broadcasts to the weight's shape.
    """

    def __init__(self, value: Any = 0.0) -> None:
        self.value = value

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        dtype = ops.standardize_dtype(dtype)
        return ops.cast(self.value, dtype) * ops.ones(shape, dtype=dtype)

    def get_config(self) -> dict[str, Any]:
        return {"value": registry.serialize_keras_object(self.value)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        return cls(registry.deserialize_keras_object(config["value"]))


@keras_export(["keras.initializers.Zeros", "keras.initializers.zeros"])
class Zeros(Initializer):
    """Fills with 0."""

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        return ops.zeros(shape, dtype=ops.standardize_dtype(dtype))


@keras_export(["keras.initializers.Ones", "keras.initializers.ones"])
class Ones(Initializer):
    """Fills with 1."""

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        return ops.ones(shape, dtype=ops.standardize_dtype(dtype))


@keras_export(
    [
        "keras.initializers.Identity",
        "keras.initializers.identity",
        "keras.initializers.IdentityInitializer",
    ]
)
class Identity(Initializer):
    """Makes `gain` times the identity matrix; for weights of rank 2 only.

    Args:
        gain: the value on the diagonal.
    """

    def __init__(self, gain: float = 1.0) -> None:
        self.gain = gain

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        if len(shape) != 2:
            raise ValueError(
                f"Identity initialises matrices: expected a shape of rank 2; got {tuple(shape)}."
            )
        return self.gain * ops.eye(*shape, dtype=ops.standardize_dtype(dtype))

    def get_config(self) -> dict[str, Any]:
        return {"gain": self.gain}
