"""Models that are a chain of layers."""

from typing import Any

from kgraph.layers import InputLayer, Layer
from kgraph.models.functional import Functional
from kgraph.models.model import Model
from kgraph.ops import KerasTensor
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object

__all__ = ["Sequential"]


@keras_export(["keras.Sequential", "keras.models.Sequential"])
class Sequential(Model):
    """Layers one after the other, each with one input and one output.

    Args:
        layers: a list of layers; more may be `add`ed. With an `Input` first the model is built at
            once, else at its
            first call.
        trainable: whether it is trained.
        name: of the model.
    """

    _untracked = Model._untracked | {"_functional"}
    _mutable_when_built = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(
        self, layers: Any = None, trainable: bool = True, name: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(trainable=trainable, name=name, **kwargs)
        self._functional: Functional | None = None
        self._chain: list[Layer] = []
        for layer in layers or ():
            self._append(layer)
        self._rebuild()

    def _obj_type(self) -> str:
        return "Sequential"

    def _is_graph_network(self) -> bool:
        return self._functional is not None

    def add(self, layer: Any, rebuild: bool = True) -> None:
        """Puts a layer at the end."""
        self._append(layer)
        if rebuild:
            self._rebuild()
        else:
            self.built, self._functional = False, None

    def _append(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor) and hasattr(layer, "_keras_history"):
            layer = layer._keras_history.operation
        if not isinstance(layer, Layer):
            raise ValueError(
                "Only instances of `kgraph.Layer` can be added to a Sequential model. Received: "
                f"{layer!r} (of type {type(layer).__name__})"
            )
        if any(layer is other for other in self._chain) or any(
            layer.name == other.name for other in self._chain
        ):
            raise ValueError(
                "All layers added to a `Sequential` model should have unique names. Name "
                f"'{layer.name}' is already the name of a layer in this model."
            )
        if isinstance(layer, InputLayer) and self._chain:
            raise ValueError(
                f"Sequential model '{self.name}' has already been configured to use input shape. "
                "You cannot add a different Input layer to it."
            )
        if (
            not self._chain
            and not isinstance(layer, InputLayer)
            and getattr(layer, "_input_shape_arg", None) is not None
        ):
            self._chain.append(InputLayer(shape=layer._input_shape_arg))
        self._chain.append(layer)

    def pop(self, rebuild: bool = True) -> Layer:
        """Takes the last layer away and returns it."""
        if not self.layers:
            raise TypeError("There are no layers in the model.")
        layer = self._chain.pop()
        self.built, self._functional = False, None
        if rebuild:
            self._rebuild()
        return layer

    def _rebuild(self) -> None:
        self.built, self._functional, self._steps = False, None, {}
        if self._chain and isinstance(self._chain[0], InputLayer) and len(self._chain) > 1:
            self.build(self._chain[0].batch_shape)

    def build(self, input_shape: Any = None) -> None:
        """Builds all layers for inputs of a shape, batch included."""
        if not self._chain:
            raise ValueError(
                f"Sequential model {self.name} cannot be built because it has no layers. Call "
                "`model.add(layer)`."
            )
        if self._functional is not None:
            return
        if not isinstance(self._chain[0], InputLayer):
            if not isinstance(input_shape, tuple | list) or any(
                not (d is None or isinstance(d, int)) for d in input_shape
            ):
                return  # a structure of inputs: the layers build themselves as they are called
            dtype = self._chain[0].compute_dtype
            self._chain = [
                InputLayer(batch_shape=(None, *input_shape[1:]), dtype=dtype),
                *self._chain,
            ]
        x = inputs = self._chain[0].output
        for layer in self._chain[1:]:
            x = layer(x)
            if not isinstance(x, KerasTensor):
                raise ValueError(
                    f"The layer '{layer.name}' of the Sequential model '{self.name}' must have one "
                    f"output; it has {x!r}."
                )
        self._functional = Functional(inputs, x, name=self.name)

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Runs the layers in order."""
        if self._functional is not None:
            return self._functional.call(inputs, training=training, mask=mask)
        x = inputs
        for layer in self.layers:
            x = layer(x, training=training) if layer._call_has_training_arg else layer(x)
        return x

    @property
    def layers(self) -> list[Layer]:
        """The layers, without the input's."""
        return [layer for layer in self._chain if not isinstance(layer, InputLayer)]

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the output for inputs of a shape."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        if self._functional is not None:
            return self._functional.compute_output_spec(inputs, training=training)
        for layer in self.layers:
            inputs = layer.compute_output_spec(inputs)
        return inputs

    def _of_functional(self, name: str) -> Any:
        if self._functional is None:
            raise AttributeError(
                f"Sequential model '{self.name}' has no defined {name} yet: it is not built."
            )
        return getattr(self._functional, name)

    @property
    def input_shape(self) -> Any:
        """The shape of the input."""
        return self._of_functional("input_shape")

    @property
    def output_shape(self) -> Any:
        """The shape of the output."""
        return self._of_functional("output_shape")

    @property
    def inputs(self) -> Any:
        """The inputs, flat."""
        return self._of_functional("inputs")

    @property
    def outputs(self) -> Any:
        """The outputs, flat."""
        return self._of_functional("outputs")

    @property
    def input(self) -> Any:
        """The input."""
        return self._of_functional("input")

    @property
    def output(self) -> Any:
        """The output."""
        return self._of_functional("output")

    @property
    def input_dtype(self) -> str:
        """The dtype that inputs are cast to."""
        return self._chain[0].compute_dtype if self._chain else super().input_dtype

    def get_config(self) -> dict[str, Any]:
        config = {
            "name": self.name,
            "trainable": self.trainable,
            "dtype": serialize_keras_object(self.dtype_policy),
            "layers": [serialize_keras_object(layer) for layer in self._chain],
        }
        if self._functional is not None:
            config["build_input_shape"] = self._chain[0].batch_shape  # type: ignore[attr-defined]  # an InputLayer
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        model = cls(name=config.get("name"))
        for described in config.get("layers", []):
            model._append(deserialize_keras_object(described, custom_objects=custom_objects))
        model._rebuild()
        shape = config.get("build_input_shape")
        if model._functional is None and shape is not None and model._chain:
            model.build(tuple(shape))
        if config.get("trainable") is False:
            model.trainable = False
        return model

    def get_build_config(self) -> dict[str, Any] | None:
        return None if self._functional is None else {"input_shape": self._chain[0].batch_shape}  # type: ignore[attr-defined]  # an InputLayer
