"""Operations on KerasTensors: their nodes, configs, and agreement with Keras's classes."""

import importlib
import inspect
from typing import Any

import keras
import numpy as np
import pytest

from kgraph import ops
from kgraph.registry import deserialize_keras_object, serialize_keras_object


def argument_names(function: Any) -> tuple[str, ...]:
    parameters = inspect.signature(function).parameters.values()
    return tuple(
        p.name
        for p in parameters
        if p.name not in ("self", "name") and p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
    )


@pytest.mark.parametrize("home", ops.OPERATIONS)
def test_class_has_keras_arguments(home: str) -> None:
    """Model files name the class, its constructor's arguments, and the call's in order."""
    module, name = home.split(".")
    theirs = getattr(importlib.import_module(f"keras.src.ops.{module}"), name)
    ours = ops.OPERATIONS[home]
    call = inspect.signature(theirs.call).parameters.values()
    rest = next((p.name for p in call if p.kind is p.VAR_POSITIONAL), None)
    wanted = [n for n in argument_names(theirs.call) if n != ours.rest_name]
    assert list(ours.tensor_names) == wanted
    assert ours.attribute_names == argument_names(theirs.__init__)
    assert ours.rest_name == rest or home == "numpy.Meshgrid"


def test_node_and_history() -> None:
    x = ops.KerasTensor((None, 4), name="x")
    y = ops.mean(x + 1, axis=1, keepdims=True)
    operation, node_index, tensor_index = y._keras_history
    assert (y.shape, y.dtype) == ((None, 1), "float32")
    assert (type(operation).__name__, node_index, tensor_index) == ("Mean", 0, 0)
    node = operation._inbound_nodes[0]
    assert node.outputs == [y]
    (parent,) = node.parent_nodes
    assert type(parent.operation).__name__ == "Add"
    assert parent.input_tensors == [x]
    assert parent.arguments.args == (x, 1)
    assert operation.output is y
    assert parent.operation._outbound_nodes == [node]


def test_config_as_keras_writes_it() -> None:
    def layers(module: Any, x: Any) -> Any:
        y = module.concatenate([x + 1, module.relu(x)], axis=-1)
        return module.mean(y, axis=1)

    theirs = layers(keras.ops, keras.KerasTensor((None, 4)))._keras_history.operation
    ours = layers(ops, ops.KerasTensor((None, 4)))._keras_history.operation
    wanted = keras.saving.serialize_keras_object(theirs)
    found = serialize_keras_object(ours)
    for config in (wanted["config"], found["config"]):
        config["name"] = "mean"
    assert found == wanted
    again = deserialize_keras_object(found)
    np.testing.assert_array_equal(again(np.ones((2, 4), "float32")), [1, 1])


def test_unknown_sizes() -> None:
    x, y = ops.KerasTensor((None, None, 4)), ops.KerasTensor((None, None, 4))
    assert (x + y).shape == (None, None, 4)
    assert ops.reshape(x, (-1, 4)).shape == (None, 4)
    assert ops.concatenate([x, y], 1).shape == (None, None, 4)
    assert ops.matmul(x, ops.KerasTensor((4, 5))).shape == (None, None, 5)
    assert [t.shape for t in ops.split(ops.KerasTensor((None, 6)), 3, 1)] == [(None, 2)] * 3


def test_a_needed_size_stays_unknown() -> None:
    def repeated(x: Any) -> Any:
        return ops.concatenate([x for _ in range(x.shape[1])], axis=2)

    found = ops.compute_output_spec(repeated, ops.KerasTensor((None, None, 3)))
    assert found.shape == (None, None, None)


def test_own_operation() -> None:
    class Scaled(ops.Operation):
        def __init__(self, factor: float, name: str | None = None) -> None:
            super().__init__(name=name)
            self.factor = factor

        def call(self, x: Any) -> Any:
            return x * self.factor

    scaled = Scaled(2.0, name="twice")
    assert scaled.get_config() == {"name": "twice", "factor": 2.0}
    assert scaled(ops.KerasTensor((None, 3))).shape == (None, 3)
    np.testing.assert_array_equal(scaled(np.ones(2, "float32")), [2, 2])


@pytest.mark.parametrize(
    "use", [bool, int, float, list, np.asarray], ids=["bool", "int", "float", "iter", "numpy"]
)
def test_no_numbers(use: Any) -> None:
    with pytest.raises(TypeError, match=r"KerasTensor cannot be .*ops\.cond"):
        use(ops.KerasTensor(()))


def test_names_are_checked() -> None:
    with pytest.raises(ValueError, match="without '/'"):
        ops.Operation(name="a/b")
    with pytest.raises(ValueError, match="Cannot convert"):
        ops.KerasTensor("abc")
    with pytest.raises(ValueError, match="Invalid dtype"):
        ops.KerasTensor((2,), dtype="float7")
