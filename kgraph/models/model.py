"""Models: layers that can be trained, saved and summarised."""

import json
from typing import Any

from kgraph.layers import Layer
from kgraph.models.trainer import Trainer
from kgraph.ops import KerasTensor
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object
from kgraph.utils import tree

__all__ = ["Model", "model_from_json"]


@keras_export(["keras.Model", "keras.models.Model"])
class Model(Trainer, Layer):
    """A layer with `fit`, `evaluate` and `predict`.

    `Model(inputs, outputs)` of KerasTensors makes a Functional model. A subclass makes its layers
    in `__init__` and
    uses them in `call(inputs, training=None)`.
    """

    # what `compile` keeps is no part of the layer
    _untracked = frozenset(
        {
            "_compile_config",
            "_compile_loss",
            "_compile_metrics",
            "_loss_tracker",
            "_steps",
            "history",
            "loss",
            "optimizer",
        }
    )

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        if cls is Model and _is_functional(args, kwargs):
            from kgraph.models.functional import Functional

            return Functional.__new__(Functional, *args, **kwargs)
        return super().__new__(cls, *args, **kwargs)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        Trainer.__init__(self)
        if _is_functional(args, kwargs):
            from kgraph.models.functional import Functional

            if not isinstance(self, Functional):
                type(self).__bases__ = tuple(
                    Functional if base is Model else base for base in type(self).__bases__
                )
            Functional.__init__(self, *args, **kwargs)
        elif type(self) is Model and (args or "inputs" in kwargs or "outputs" in kwargs):
            kinds = ", ".join(type(x).__name__ for x in tree.flatten((args, kwargs)))
            raise TypeError(
                "`Model(inputs, outputs)` takes KerasTensors, which `Input` and calls of layers on "
                f"them give; got {kinds}."
            )
        else:
            Layer.__init__(self, *args, **kwargs)

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs."""
        raise NotImplementedError(
            f"Model {type(self).__name__} does not have a `call()` method implemented."
        )

    @property
    def layers(self) -> list[Layer]:
        """The layers that the model holds itself."""
        return self._flatten_layers(include_self=False, recursive=False)

    @layers.setter
    def layers(self, _: Any) -> None:
        raise AttributeError(
            "`Model.layers` attribute is reserved and should not be used. Please use another name."
        )

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or place.

        Raises:
            ValueError: there is none, or neither or both of the arguments were given.
        """
        if (name is None) == (index is None):
            raise ValueError("Provide either a layer name or a layer index at `get_layer`.")
        if index is not None:
            if len(self.layers) <= index:
                raise ValueError(
                    f"Was asked to retrieve layer at index {index} but model only has "
                    f"{len(self.layers)} layers."
                )
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(
            f"No such layer: {name}. Existing layers are: {[layer.name for layer in self.layers]}."
        )

    def summary(
        self,
        line_length: int | None = None,
        positions: Any = None,
        print_fn: Any = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Any = None,
    ) -> None:
        """Prints a table of the layers, their outputs' shapes and numbers of weights."""
        from kgraph.models.summary import print_summary

        print_summary(
            self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range
        )

    def build(self, input_shape: Any = None, **kwargs: Any) -> None:
        """Builds the layers of a subclassed model for inputs of a shape, batch included."""
        if self._is_graph_network() or input_shape is None or self.built:
            self.built = True
            return
        if any(isinstance(layer, Layer) for layer in self._layers):
            spec = tree_of_inputs(input_shape)
            self.built = True
            self.compute_output_spec(spec)
        self.built = True

    def _is_graph_network(self) -> bool:
        return False

    # ---- files ----

    def save(
        self, filepath: Any, overwrite: bool = True, zipped: bool | None = None, **kwargs: Any
    ) -> None:
        """Writes the model to a `.keras` file: its config, weights and optimizer with its state."""
        from kgraph.saving import save_model

        save_model(
            self, filepath, overwrite=overwrite, zipped=True if zipped is None else zipped, **kwargs
        )

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Writes the weights to a `.weights.h5` file."""
        from kgraph.saving.archive import save_weights

        save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any, skip_mismatch: bool = False, **kwargs: Any) -> None:
        """Reads weights from a `.weights.h5` or `.keras` file.

        Raises:
            ValueError: they do not fit the model, or the file is damaged.
        """
        from kgraph.saving import load_weights

        if kwargs:
            raise ValueError(f"load_weights: unexpected arguments {sorted(kwargs)}.")
        load_weights(self, filepath, skip_mismatch)

    def to_json(self, **kwargs: Any) -> str:
        """The model's config as JSON; `model_from_json` makes an equal model."""
        return json.dumps(serialize_keras_object(self), **kwargs)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The model that `get_config` described."""
        from kgraph.models.functional import Functional
        from kgraph.models.functional_config import functional_from_config

        described = {"name", "layers", "input_layers", "output_layers"} <= set(config)
        if described and cls in (Model, Functional):
            return functional_from_config(Functional, config, custom_objects)
        if described and issubclass(cls, Functional) and cls.__init__ is Functional.__init__:
            return functional_from_config(cls, config, custom_objects)
        try:
            return cls(**config)
        except TypeError as e:
            raise TypeError(
                f"Unable to revive model '{cls.__name__}' from config. If its constructor takes "
                "arguments, `get_config()` must return them. "
                f"Config: {config}. Error: {e}"
            ) from e


def tree_of_inputs(shapes: Any) -> Any:
    """KerasTensors for a shape, or a structure of shapes."""
    if isinstance(shapes, dict):
        return {key: tree_of_inputs(shape) for key, shape in shapes.items()}
    if all(d is None or isinstance(d, int) for d in shapes):
        return KerasTensor(shapes)
    return [tree_of_inputs(shape) for shape in shapes]


def _is_functional(args: Any, kwargs: Any) -> bool:
    given = (
        len(args) == 2
        or (len(args) == 1 and "outputs" in kwargs)
        or ("inputs" in kwargs and "outputs" in kwargs)
    )
    return given and any(isinstance(x, KerasTensor) for x in tree.flatten((args, kwargs)))


@keras_export("keras.models.model_from_json")
def model_from_json(json_string: str, custom_objects: Any = None) -> Any:
    """The model that `to_json` described."""
    return deserialize_keras_object(json.loads(json_string), custom_objects=custom_objects)
