"""The config of a Functional model: its layers, and each of their calls."""

from collections import deque
from typing import Any

from kgraph.ops import KerasTensor
from kgraph.registry import CustomObjectScope, deserialize_keras_object, serialize_keras_object
from kgraph.utils import tree

__all__ = ["functional_config", "functional_from_config"]


def functional_config(model: Any) -> dict[str, Any]:
    """What `functional_from_config` makes an equal model of.

    A tensor is named by the operation that made it, the number of the call among those in the
    model, and the number of the output.
    """
    config: dict[str, Any] = {"name": model.name, "trainable": model.trainable}
    inside = set(model._all_nodes)
    indices: dict[tuple[str, int], int] = {}
    for op in model._operations:
        kept = [i for i, node in enumerate(op._inbound_nodes) if node in inside]
        indices.update({(op.name, i): k for k, i in enumerate(kept)})
    layers = []
    for op in model._operations:
        described = serialize_keras_object(op)
        described["name"] = op.name
        nodes = [node for node in op._inbound_nodes if node in inside and not node.is_input]
        described["inbound_nodes"] = [_node_config(node, indices) for node in nodes]
        layers.append(described)
    config["layers"] = layers

    def place(x: KerasTensor) -> list[Any]:
        operation, node, index = x._keras_history
        return [operation.name, indices[operation.name, node] + _first_call(operation), index]

    config["input_layers"] = tree.map_structure(place, model._inputs_struct)
    config["output_layers"] = tree.map_structure(place, model._outputs_struct)
    return config


def _first_call(operation: Any) -> int:
    """Keras counts the calls of a Functional model from 1 here, those of others from 0."""
    return 1 if getattr(operation, "_obj_type", str)() == "Functional" else 0


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
            return outputs[place[0], place[1] - _first_call(made[place[0]])][place[2]]
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
