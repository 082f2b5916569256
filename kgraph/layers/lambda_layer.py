"""A function as a layer."""

import inspect
from typing import Any

from kgraph.layers.layer import Layer
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object

__all__ = ["Lambda"]


@keras_export("keras.layers.Lambda")
class Lambda(Layer):
    """Calls a function of tensors that needs no weights.

    A model with a `Lambda` can be saved if its functions have names; files hold no code.

    Args:
        function: takes the inputs, and `mask` and `training` if it has such parameters.
        output_shape: without the batch, or a function of the input's shape; None: found by tracing.
        mask: the mask of the output, or a function of inputs and mask.
        arguments: further arguments of the function by name.
    """

    def __init__(
        self,
        function: Any,
        output_shape: Any = None,
        mask: Any = None,
        arguments: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.function = function
        self.arguments = arguments or {}
        self.mask = mask
        self.supports_masking = mask is not None
        self._output_shape = output_shape
        self._accepts = set(inspect.signature(function).parameters)

    def call(self, inputs: Any, mask: Any = None, training: Any = None) -> Any:
        """The function's result."""
        more = {"mask": mask, "training": training}
        used = {name: value for name, value in more.items() if name in self._accepts}
        return self.function(inputs, **self.arguments, **used)

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self._output_shape is None:
            return super().compute_output_shape(input_shape)
        if callable(self._output_shape):
            return self._output_shape(input_shape)
        batch = input_shape[0]
        nested = isinstance(batch, list | tuple)
        return (batch[0] if nested else batch, *self._output_shape)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        if self._output_shape is None:
            return self._traced_spec(*args, **kwargs)
        return super().compute_output_spec(*args, **kwargs)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return self.mask(inputs, previous_mask) if callable(self.mask) else self.mask

    def get_config(self) -> dict[str, Any]:
        config = {"function": serialize_keras_object(self.function)}
        if self._output_shape is not None:
            shape = self._output_shape
            config["output_shape"] = serialize_keras_object(shape) if callable(shape) else shape
        if self.mask is not None:
            config["mask"] = serialize_keras_object(self.mask)
        config["arguments"] = serialize_keras_object(self.arguments)
        return {**super().get_config(), **config}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described.

        Raises:
            ValueError: the function is a lambda, which would be code from a file.
        """
        read = dict(config)
        for name in ("function", "output_shape", "mask", "arguments"):
            if name in read:
                read[name] = deserialize_keras_object(read[name], custom_objects=custom_objects)
        if isinstance(read.get("output_shape"), list):
            read["output_shape"] = tuple(read["output_shape"])
        return cls(**read)
