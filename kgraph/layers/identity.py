"""Layers that give their input back."""

from typing import Any

from kgraph import regularizers
from kgraph.layers.layer import Layer
from kgraph.ops import KerasTensor
from kgraph.registry import keras_export
from kgraph.utils import tree

__all__ = ["ActivityRegularization", "Identity"]


@keras_export("keras.layers.Identity")
class Identity(Layer):
    """The input, whatever its structure."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        inputs = args[0] if args else kwargs["inputs"]
        return tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype), inputs)


@keras_export("keras.layers.ActivityRegularization")
class ActivityRegularization(Layer):
    """Adds the size of the input to what is minimised.

    Args:
        l1: the factor of the sum of absolute values.
        l2: the factor of the sum of squares.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Any) -> None:
        super().__init__(activity_regularizer=regularizers.L1L2(l1=l1, l2=l2), **kwargs)
        self.supports_masking = True
        self.l1, self.l2 = l1, l2
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The input."""
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        config.pop("activity_regularizer", None)
        return {**config, "l1": self.l1, "l2": self.l2}
