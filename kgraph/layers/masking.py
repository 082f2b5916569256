"""Masks made from the input."""

from typing import Any

from kgraph import ops
from kgraph.layers.layer import Layer
from kgraph.registry import deserialize_keras_object, keras_export
from kgraph.utils.masking import set_keras_mask

__all__ = ["Masking"]


@keras_export("keras.layers.Masking")
class Masking(Layer):
    """Marks the time steps in which every feature is `mask_value`: later layers skip them.

    Args:
        mask_value: the value.
    """

    def __init__(self, mask_value: Any = 0.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(mask_value, dict) and mask_value.get("config", None):
            mask_value = deserialize_keras_object(mask_value)
        self.mask_value = mask_value
        self.supports_masking = True
        self.built = True

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)

    def call(self, inputs: Any) -> Any:
        """The input, with 0 in the steps that are masked."""
        kept = ops.any(ops.not_equal(inputs, self.mask_value), axis=-1, keepdims=True)
        outputs = ops.where(kept, inputs, 0)
        set_keras_mask(outputs, ops.squeeze(kept, axis=-1))
        return outputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mask_value": self.mask_value}
