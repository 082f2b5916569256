"""Names of classes and functions, and objects as JSON, as Keras's."""

import json
from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from kgraph import registry
from tests.api.oracle import arguments

NAMES = [
    "CustomObjectScope", "custom_object_scope", "deserialize_keras_object", "get_custom_objects",
    "get_registered_name", "get_registered_object", "register_keras_serializable",
    "serialize_keras_object",
]  # fmt: skip


def plain(x: Any) -> Any:
    return json.loads(json.dumps(x))


@pytest.mark.parametrize("name", NAMES)
def test_arguments(name: str) -> None:
    ours, theirs = getattr(registry, name), getattr(keras.saving, name)
    if name != "custom_object_scope":
        assert arguments(ours) == arguments(theirs)
    assert getattr(kgraph.saving, name) is ours


def objects(k: Any) -> list[Any]:
    return [
        None, True, 3, 0.5, "text", [1, 2], (1, "a"), {"a": [1, None]}, np.float32(0.25),
        np.array([1, 2], "int32"), slice(1, None, 2), b"bytes", ...,
        k.activations.relu, k.regularizers.L2(0.25), k.initializers.HeNormal(seed=3),
        k.DTypePolicy("mixed_bfloat16"), k.layers.ReLU(name="r"), k.constraints.NonNeg(),
        k.losses.MeanSquaredError(name="m"), k.metrics.Mean(name="m"),
    ]  # fmt: skip


@pytest.mark.parametrize("index", range(21))
def test_as_keras(index: int) -> None:
    ours, theirs = objects(kgraph)[index], objects(keras)[index]
    config = registry.serialize_keras_object(ours)
    assert plain(config) == plain(keras.saving.serialize_keras_object(theirs))
    again = registry.deserialize_keras_object(plain(config))
    assert type(again) is type(ours) or isinstance(ours, tuple | np.generic)
    assert plain(registry.serialize_keras_object(again)) == plain(config)
    read = keras.saving.deserialize_keras_object(plain(config))
    assert plain(keras.saving.serialize_keras_object(read)) == plain(config)


def own(k: Any) -> tuple[Any, Any]:
    """A class and a function of the user's, registered with either library."""

    @k.saving.register_keras_serializable("kgraph_tests", "Twice")
    class Own(k.layers.Layer):  # type: ignore[misc]  # one of two libraries
        def __init__(self, factor: int = 2, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def call(self, x: Any) -> Any:
            return x * self.factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    @k.saving.register_keras_serializable("kgraph_tests")
    def cubed(x: Any) -> Any:
        return x * x * x

    return Own, cubed


def test_registered() -> None:
    (layer, function), (their_layer, their_function) = own(kgraph), own(keras)
    assert registry.get_registered_name(layer) == "kgraph_tests>Twice"
    assert registry.get_registered_object("kgraph_tests>cubed") is function
    config = plain(registry.serialize_keras_object(layer(3, name="a")))
    assert registry.deserialize_keras_object(config).factor == 3
    read = keras.saving.deserialize_keras_object(config)
    assert isinstance(read, their_layer)
    assert (
        registry.deserialize_keras_object(
            plain(keras.saving.serialize_keras_object(their_layer(4)))
        ).factor
        == 4
    )
    for k, f in ((kgraph, function), (keras, their_function)):
        dense = k.layers.Dense(2, activation=f)
        assert type(dense).from_config(plain(dense.get_config())).activation is f
    assert plain(kgraph.layers.Dense(2, activation=function, name="d").get_config()) == plain(
        keras.layers.Dense(2, activation=their_function, name="d").get_config()
    )


def test_scopes() -> None:
    class Other(kgraph.layers.Layer):
        def call(self, x: Any) -> Any:
            return x

    config = plain(registry.serialize_keras_object(Other(name="o")))
    with pytest.raises(TypeError, match=r"'Other'.*register_keras_serializable"):
        registry.deserialize_keras_object(config)
    assert isinstance(registry.deserialize_keras_object(config, {"Other": Other}), Other)
    with registry.custom_object_scope({"Other": Other}):
        assert isinstance(registry.deserialize_keras_object(config), Other)
    with pytest.raises(TypeError, match="Other"):
        registry.deserialize_keras_object(config)


def test_refused() -> None:
    with pytest.raises(ValueError, match="lambda"):
        registry.serialize_keras_object(lambda x: x)
    with pytest.raises(TypeError, match="get_config"):
        registry.serialize_keras_object({1, 2})
    with pytest.raises(ValueError, match="get_config"):
        registry.register_keras_serializable()(object)
    code = {"class_name": "__lambda__", "config": {"value": "..."}}
    with pytest.raises(ValueError, match="code"):
        registry.deserialize_keras_object(code)
    for config in (
        {"module": "os", "class_name": "function", "config": "system", "registered_name": None},
        {"module": "subprocess", "class_name": "Popen", "config": {}, "registered_name": None},
        {"module": "keras.layers", "class_name": "Nothing", "config": {}, "registered_name": None},
    ):
        with pytest.raises(TypeError, match="Could not find"):
            registry.deserialize_keras_object(config)
    bad = {"module": "keras.layers", "class_name": "Dense", "config": {"colour": 1}}
    with pytest.raises(TypeError, match="'Dense' could not be made"):
        registry.deserialize_keras_object(bad)
    with pytest.raises(ValueError, match="must be a dict"):
        registry.deserialize_keras_object({**bad, "config": [1]})


def test_lambda_layer() -> None:
    _, function = own(kgraph)
    layer = kgraph.layers.Lambda(function)
    x = np.arange(6, dtype="float32").reshape(2, 3)
    np.testing.assert_allclose(layer(x), x**3)
    assert layer(kgraph.Input((3,))).shape == (None, 3)
    again = kgraph.layers.Lambda.from_config(plain(layer.get_config()))
    np.testing.assert_allclose(again(x), x**3)
    with pytest.raises(ValueError, match="lambda"):
        kgraph.layers.Lambda(lambda x: x).get_config()
    shaped = kgraph.layers.Lambda(lambda x, k: x * k, output_shape=(3,), arguments={"k": 2.0})
    assert shaped(kgraph.Input((3,))).shape == (None, 3)
    np.testing.assert_allclose(shaped(x), 2 * x)
