"""Models made of the graph between KerasTensors."""

from collections import deque
from typing import Any

from kgraph import ops
from kgraph.layers import InputLayer, Layer
from kgraph.models.model import Model
from kgraph.models.network import Network
from kgraph.models.trainer import Trainer
from kgraph.ops import KerasTensor
from kgraph.registry import (
    CustomObjectScope,
    deserialize_keras_object,
    keras_export,
    serialize_keras_object,
)
from kgraph.utils import tree

__all__ = ["Functional", "functional_from_config"]


@keras_export(["keras.src.models.functional.Functional", "keras.models.Functional"])
class Functional(Model):
    """The model from `inputs` to `outputs`, structures of KerasTensors."""

    _untracked = Model._untracked | {"_nodes"}
    _mutable_when_built = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        trainable = kwargs.pop("trainable", None)
        if not hasattr(self, "compiled"):
            Trainer.__init__(self)
        for what, part in (("inputs", inputs), ("outputs", outputs)):
            for x in tree.flatten(part):
                if not isinstance(x, KerasTensor):
                    raise ValueError(
                        f"All `{what}` values must be KerasTensors. Received: {x!r} of type "
                        f"{type(x).__name__}"
                    )
        Layer.__init__(self, name=name, **kwargs)
        inputs = _with_input_layers(inputs)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self._inputs: list[KerasTensor] = tree.flatten(inputs)
        self._outputs: list[KerasTensor] = tree.flatten(outputs)
        network = Network(self._inputs, self._outputs, self.name)
        self._operations: list[Any] = network.operations
        self._nodes = network.nodes
        self._input_ids = {id(x) for x in self._inputs}
        self.built = True
        if trainable is not None:
            self.trainable = trainable

    def _obj_type(self) -> str:
        return "Functional"

    def _is_graph_network(self) -> bool:
        return True

    @property
    def layers(self) -> list[Layer]:
        """The layers, in the order in which they run."""
        return [op for op in self._operations if isinstance(op, Layer)]

    @property
    def operations(self) -> list[Any]:
        """The layers and ops, in the order in which they run."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The inputs, flat."""
        return self._inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The outputs, flat."""
        return self._outputs

    @property
    def input(self) -> Any:
        """The inputs, in their structure."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The outputs, in their structure."""
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        """The shapes of the inputs."""
        return tree.map_structure(lambda x: x.shape, self._inputs_struct)

    @property
    def output_shape(self) -> Any:
        """The shapes of the outputs."""
        return tree.map_structure(lambda x: x.shape, self._outputs_struct)

    @property
    def input_names(self) -> list[str]:
        """The names of the input layers."""
        return [x._keras_history.operation.name for x in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """What the outputs are called in losses and metrics: the keys of a dict, else the names of their layers."""
        if isinstance(self._outputs_struct, dict) and not any(
            tree.is_nested(v) for v in self._outputs_struct.values()
        ):
            return sorted(self._outputs_struct)
        return [x._keras_history.operation.name for x in self._outputs]

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Runs the operations in order."""
        values: dict[int, Any] = {}
        for x, value in zip(self._inputs, self._standardized(inputs), strict=True):
            values[id(x)] = value
        for node in self._nodes:
            if node.is_input or any(id(x) in self._input_ids for x in node.output_tensors):
                continue
            args, kwargs = node.arguments.fill_in(values)
            if (
                training is not None
                and isinstance(node.operation, Layer)
                and node.operation._call_has_training_arg
                and kwargs.get("training") is None
            ):
                kwargs["training"] = training
            results = node.operation(*args, **kwargs)
            for x, value in zip(node.output_tensors, tree.flatten(results), strict=True):
                values[id(x)] = value
        return tree.map_structure(lambda x: values[id(x)], self._outputs_struct)

    def _standardized(self, inputs: Any) -> list[Any]:
        """The inputs in the order of the model's, of its dtypes, a missing or surplus last axis of 1 adjusted."""
        struct = self._inputs_struct
        if isinstance(inputs, dict) and not (
            isinstance(struct, dict) and set(struct) == set(inputs)
        ):
            names = sorted(struct) if isinstance(struct, dict) else self.input_names
            missing = [n for n in names if n not in inputs]
            if missing:
                raise ValueError(
                    f"The model '{self.name}' expects the inputs {names}; missing: {missing}, got: "
                    f"{sorted(inputs)}."
                )
            flat = [inputs[n] for n in names]
        else:
            flat = tree.flatten(inputs)
        if len(flat) != len(self._inputs):
            raise ValueError(
                f"The model '{self.name}' expects {len(self._inputs)} input(s), "
                f"{self.input_names}; got {len(flat)}."
            )
        return [self._fitted(x, wanted) for x, wanted in zip(flat, self._inputs, strict=True)]

    def _fitted(self, x: Any, wanted: KerasTensor) -> Any:
        if x is None:
            return None
        shape = [d if isinstance(d, int) else None for d in x.shape]
        expected = list(wanted.shape)
        name = wanted._keras_history.operation.name
        if len(shape) == len(expected) + 1 and shape[-1] == 1:
            x, shape = ops.squeeze(x, axis=-1), shape[:-1]
        elif len(shape) == len(expected) - 1 and expected[-1] == 1:
            x, shape = ops.expand_dims(x, axis=-1), [*shape, 1]
        fits = len(shape) == len(expected) and all(
            a is None or b is None or a == b for a, b in zip(shape[1:], expected[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"Input '{name}' of the model '{self.name}' is incompatible: expected "
                f"shape={tuple(expected)}, found shape={tuple(shape)}."
            )
        return x if ops.dtype(x) == wanted.dtype else ops.cast(x, wanted.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of a shape."""
        return super(Model, self).compute_output_shape(input_shape)

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        return ops.compute_output_spec(lambda x: self._traced_call((x,), {}, training), inputs)

    def get_config(self) -> dict[str, Any]:
        if type(self) is not Functional and type(self).__init__ is not Functional.__init__:
            return Layer.get_config(self)
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable}
        inside = set(self._nodes)
        indices: dict[tuple[str, int], int] = {}
        for op in self._operations:
            kept = [i for i, node in enumerate(op._inbound_nodes) if node in inside]
            indices.update({(op.name, i): k for k, i in enumerate(kept)})
        layers = []
        for op in self._operations:
            described = serialize_keras_object(op)
            described["name"] = op.name
            described["inbound_nodes"] = [
                _node_config(node, indices)
                for node in op._inbound_nodes
                if node in inside and not node.is_input
            ]
            layers.append(described)
        config["layers"] = layers

        def place(x: KerasTensor) -> list[Any]:
            history = x._keras_history
            return [
                history.operation.name,
                indices[history.operation.name, history.node_index],
                history.tensor_index,
            ]

        config["input_layers"] = tree.map_structure(place, self._inputs_struct)
        config["output_layers"] = tree.map_structure(place, self._outputs_struct)
        return config

    def get_build_config(self) -> dict[str, Any] | None:
        return {"input_shape": None}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Its layers are built by now."""


def _with_input_layers(inputs: Any) -> Any:
    """The inputs; one that lies within another graph becomes the output of an input layer of its own."""
    for x in tree.flatten(inputs):
        if not isinstance(
            x._keras_history.operation if hasattr(x, "_keras_history") else None, InputLayer
        ) and not hasattr(x, "_keras_history"):
            InputLayer(input_tensor=x)
    return inputs


def _node_config(node: Any, indices: dict[tuple[str, int], int]) -> dict[str, Any]:
    def leaf(x: Any) -> Any:
        if not isinstance(x, KerasTensor):
            return serialize_keras_object(x)
        history = x._keras_history
        place = [
            history.operation.name,
            indices[history.operation.name, history.node_index],
            history.tensor_index,
        ]
        return {
            "class_name": "__keras_tensor__",
            "config": {"shape": list(x.shape), "dtype": x.dtype, "keras_history": place},
        }

    args, kwargs = node.arguments.convert(leaf)
    return {"args": _listed(args), "kwargs": _listed(kwargs)}


def _listed(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, dict):
        return {key: _listed(item) for key, item in value.items()}
    return [_listed(item) for item in value] if isinstance(value, list | tuple) else value


def functional_from_config(cls: Any, config: dict[str, Any], custom_objects: Any = None) -> Any:
    """The model of a Functional config.

    Raises:
        ValueError: the config is damaged: a call refers to a layer or output that is not there.
    """
    made: dict[str, Any] = {}
    outputs: dict[tuple[str, int], list[KerasTensor]] = {}
    waiting: deque[tuple[str, int, dict[str, Any]]] = deque()
    with CustomObjectScope(custom_objects):
        for described in config["layers"]:
            name = described["name"] if "name" in described else described["config"]["name"]
            made[name] = deserialize_keras_object(described)
            for i, node in enumerate(made[name]._inbound_nodes):
                outputs[name, i] = node.outputs
            first = len(made[name]._inbound_nodes)
            waiting += [
                (name, first + i, node) for i, node in enumerate(described.get("inbound_nodes", []))
            ]
    stuck = 0
    while waiting:
        name, index, node = waiting.popleft()
        if index > len(made[name]._inbound_nodes) or not _is_ready(node, outputs):
            waiting.append((name, index, node))
            stuck += 1
            if stuck > len(waiting):
                raise ValueError(
                    f"The config of the model {config.get('name')!r} is damaged: a call of "
                    f"{name!r} refers to an output that is not there."
                )
            continue
        stuck = 0
        args, kwargs = (
            _filled(node.get("args", []), outputs),
            _filled(node.get("kwargs", {}), outputs),
        )
        made[name](*args, **kwargs)
        outputs[name, index] = made[name]._inbound_nodes[-1].outputs

    def tensor(place: Any) -> KerasTensor:
        try:
            return outputs[place[0], place[1]][place[2]]
        except (KeyError, IndexError):
            raise ValueError(
                f"The config of the model {config.get('name')!r} is damaged: there is no output "
                f"{place}."
            ) from None

    model = cls(
        _placed(config["input_layers"], tensor),
        _placed(config["output_layers"], tensor),
        name=config.get("name"),
    )
    if config.get("trainable") is False:
        model.trainable = False
    return model


def _is_place(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and len(value) == 3
        and isinstance(value[0], str)
        and all(isinstance(i, int) for i in value[1:])
    )


def _placed(value: Any, tensor: Any) -> Any:
    if _is_place(value):
        return tensor(value)
    if isinstance(value, dict):
        return {key: _placed(item, tensor) for key, item in value.items()}
    return [_placed(item, tensor) for item in value]


def _is_tensor_config(value: Any) -> bool:
    return isinstance(value, dict) and value.get("class_name") == "__keras_tensor__"


def _is_ready(value: Any, outputs: dict[tuple[str, int], Any]) -> bool:
    if _is_tensor_config(value):
        name, node, _ = value["config"]["keras_history"]
        return (name, node) in outputs
    if isinstance(value, dict):
        return all(_is_ready(item, outputs) for item in value.values())
    return (
        all(_is_ready(item, outputs) for item in value) if isinstance(value, list | tuple) else True
    )


def _filled(value: Any, outputs: dict[tuple[str, int], Any]) -> Any:
    if _is_tensor_config(value):
        name, node, index = value["config"]["keras_history"]
        return outputs[name, node][index]
    if isinstance(value, dict):
        if "class_name" in value and "config" in value:
            return deserialize_keras_object(value)
        return {key: _filled(item, outputs) for key, item in value.items()}
    return [_filled(item, outputs) for item in value] if isinstance(value, list | tuple) else value
