"""Layers around another layer."""

from typing import Any

from kgraph import ops
from kgraph.layers.layer import Layer
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object
from kgraph.utils import tree

__all__ = ["TimeDistributed", "Wrapper"]


@keras_export("keras.layers.Wrapper")
class Wrapper(Layer):
    """Base of layers that hold another layer as `layer`.

    Args:
        layer: the other layer.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        if not isinstance(layer, Layer):
            raise ValueError(
                f"{type(self).__name__} needs a layer. Received: {layer!r} of type "
                f"{type(layer).__name__}"
            )
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: Any = None) -> None:
        if not self.layer.built:
            self.layer.build(input_shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "layer": serialize_keras_object(self.layer)}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described."""
        layer = deserialize_keras_object(config["layer"], custom_objects=custom_objects)
        return cls(**{**config, "layer": layer})


@keras_export("keras.layers.TimeDistributed")
class TimeDistributed(Wrapper):
    """Applies a layer to each step of `(batch, steps, ...)`.

    Args:
        layer: the layer.
    """

    def __init__(self, layer: Any, **kwargs: Any) -> None:
        super().__init__(layer, **kwargs)
        self.supports_masking = True

    def build(self, input_shape: Any = None) -> None:
        super().build(self._step_shape(input_shape))

    def _step_shape(self, shape: Any) -> tuple[Any, ...]:
        if not isinstance(shape, list | tuple) or len(shape) < 3:
            raise ValueError(
                f"TimeDistributed '{self.name}': the input must have at least 3 dims; got the "
                f"shape {shape}."
            )
        return (shape[0], *shape[2:])

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = self.layer.compute_output_shape(self._step_shape(input_shape))
        return (shape[0], input_shape[1], *shape[1:])

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The outputs of all steps."""
        if mask is not None and len(mask.shape) < 2:
            raise ValueError(
                f"TimeDistributed '{self.name}': the mask must be (batch, steps, ...); got the "
                f"shape {tuple(mask.shape)}."
            )
        mask = mask if self.layer._call_has_mask_arg else None
        mode = {"training": training} if self.layer._call_has_training_arg else {}
        if training and self.layer.non_trainable_variables:
            # statistics and random numbers go on from step to step
            return self._scanned(inputs, mask, mode)
        more = {**mode, **({} if mask is None else {"mask": _joined(mask)})}
        outputs = self.layer(_joined(inputs), **more)
        sizes = inputs.shape[:2]
        return tree.map_structure(lambda y: ops.reshape(y, (*sizes, *y.shape[1:])), outputs)

    def _scanned(self, inputs: Any, mask: Any, mode: dict[str, Any]) -> Any:
        steps = tree.map_structure(
            lambda x: None if x is None else ops.swapaxes(x, 0, 1), (inputs, mask)
        )

        def step(carry: Any, x: Any) -> Any:
            now, kept = (x[0], {"mask": x[1]}) if mask is not None else (x, {})
            return carry, self.layer(now, **kept, **mode)

        xs = steps if mask is not None else steps[0]
        _, outputs = ops.scan(step, (), xs)
        return tree.map_structure(lambda y: ops.swapaxes(y, 0, 1), outputs)


def _joined(x: Any) -> Any:
    """Batch and steps as one dim."""
    return ops.reshape(x, (x.shape[0] * x.shape[1], *x.shape[2:]))
