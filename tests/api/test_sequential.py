"""Sequential models against Keras."""

import json
from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from kgraph.utils.naming import clear_session
from tests.api.oracle import assert_close

X = np.random.default_rng(0).standard_normal((4, 8, 8, 1)).astype("float32")
FLAT = X.reshape(4, 64)


def plain(config: Any) -> Any:
    return json.loads(json.dumps(config), parse_float=lambda x: np.float32(x))


def convnet(k: Any) -> Any:
    return k.Sequential(
        [
            k.layers.Input(shape=(8, 8, 1)),
            k.layers.Conv2D(4, kernel_size=(3, 3), activation="relu"),
            k.layers.MaxPooling2D(pool_size=(2, 2)),
            k.layers.Conv2D(5, kernel_size=(3, 3), activation="relu"),
            k.layers.GlobalAveragePooling2D(),
            k.layers.Dropout(0.5),
            k.layers.Dense(3, activation="softmax"),
        ]
    )


def deferred(k: Any) -> Any:
    model = k.Sequential(name="deferred")
    model.add(k.layers.Flatten())
    model.add(k.layers.Dense(5))
    model.add(k.layers.Dense(3))
    return model


def with_input_shape(k: Any) -> Any:
    return k.Sequential([k.layers.Flatten(input_shape=(8, 8, 1)), k.layers.Dense(3)], name="s")


def nested(k: Any) -> Any:
    inner = k.Sequential([k.layers.Conv2D(2, 3), k.layers.ReLU()], name="inner")
    return k.Sequential([k.Input((8, 8, 1)), inner, k.layers.Flatten(), k.layers.Dense(2)])


MAKERS = [convnet, deferred, with_input_shape, nested]


def pair(make: Any, built: bool = True) -> tuple[Any, Any]:
    keras.utils.clear_session()
    clear_session()
    ours, theirs = make(kgraph), make(keras)
    if built:
        for model in (ours, theirs):
            if not model.built:
                model.build((None, 8, 8, 1))
        rng = np.random.default_rng(1)
        weights = [rng.standard_normal(w.shape).astype("float32") for w in theirs.weights]
        ours.set_weights(weights)
        theirs.set_weights(weights)
    return ours, theirs


@pytest.mark.filterwarnings("ignore:Do not pass an")  # Keras about `input_shape`
@pytest.mark.parametrize("make", MAKERS)
def test_as_keras(make: Any) -> None:
    ours, theirs = pair(make, built=False)
    assert ours.built == theirs.built
    assert plain(ours.get_config()) == plain(theirs.get_config())
    ours, theirs = pair(make)
    assert [(w.path, w.shape) for w in ours.weights] == [
        (w.path, tuple(w.shape)) for w in theirs.weights
    ]
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert plain(ours.get_config()) == plain(theirs.get_config())
    assert ours.get_build_config() == theirs.get_build_config()
    assert (ours.input_shape, ours.output_shape) == (theirs.input_shape, theirs.output_shape)
    assert_close(ours(X), theirs(X), rtol=1e-4, atol=1e-5)
    assert_close(ours.predict(X, verbose=0), theirs.predict(X, verbose=0), rtol=1e-4, atol=1e-5)


@pytest.mark.filterwarnings("ignore:Do not pass an")
@pytest.mark.parametrize("make", MAKERS)
def test_files_of_the_other(make: Any) -> None:
    ours, theirs = pair(make)
    read = keras.models.model_from_json(ours.to_json())
    read.set_weights(ours.get_weights())
    assert_close(read(X), ours(X), rtol=1e-4, atol=1e-5)
    mine = kgraph.models.model_from_json(theirs.to_json())
    mine.set_weights(theirs.get_weights())
    assert_close(mine(X), theirs(X), rtol=1e-4, atol=1e-5)
    clone = kgraph.models.clone_model(ours)
    clone.build(X.shape)
    clone.set_weights(ours.get_weights())
    assert_close(clone(X), ours(X))


def test_add_and_pop() -> None:
    found = []
    for k in (kgraph, keras):
        model = k.Sequential([k.Input((64,)), k.layers.Dense(4, name="a")], name="m")
        model.add(k.layers.Dense(3, name="b"))
        shapes = [model.output_shape]
        popped = model.pop()
        shapes.append(model.output_shape)
        model.add(k.layers.Dense(2, name="c"))
        shapes.append(model(FLAT).shape)
        found.append((shapes, popped.name, [w.path for w in model.weights], len(model.layers)))
    assert found[0] == found[1]


def test_other_batch_sizes() -> None:
    ours, theirs = pair(convnet)
    for n in (1, 2, 3):
        assert_close(ours(X[:n]), theirs(X[:n]), rtol=1e-4, atol=1e-5)


def test_built_by_a_call() -> None:
    model = deferred(kgraph)
    assert model(X).shape == (4, 3)
    assert model.input_shape == (None, 8, 8, 1)  # any batch size fits from now on
    assert model(X[:3]).shape == (3, 3)


def test_unbuilt_properties() -> None:
    model = kgraph.Sequential([kgraph.layers.Dense(3)])
    for name in ("input_shape", "output_shape", "inputs", "outputs"):
        with pytest.raises(AttributeError, match="no defined"):
            getattr(model, name)
    assert model.weights == []
    with pytest.raises(ValueError, match="not built"):
        model.count_params()


def test_bad_layers() -> None:
    with pytest.raises(ValueError, match="Only instances"):
        kgraph.Sequential([kgraph.layers.Dense])
    with pytest.raises(ValueError, match="unique names"):
        kgraph.Sequential([kgraph.layers.Dense(2, name="a"), kgraph.layers.ReLU(name="a")])
    with pytest.raises(ValueError, match="Input"):
        kgraph.Sequential([kgraph.Input((3,)), kgraph.Input((3,))])
    with pytest.raises(ValueError, match="no layers"):
        kgraph.Sequential().build((None, 3))
    with pytest.raises(ValueError, match="one output"):
        kgraph.Sequential([kgraph.Input((4, 3)), kgraph.layers.LSTM(2, return_state=True)])


def test_bad_inputs() -> None:
    model, _ = pair(convnet)
    with pytest.raises(ValueError, match=r"expected shape=\(None, 8, 8, 1\)"):
        model(X[:, :5])
    with pytest.raises(ValueError, match="input"):
        model(FLAT)


def test_get_layer_and_freeze() -> None:
    model, _ = pair(convnet)
    assert model.get_layer("dropout") is model.layers[4] is model.get_layer(index=4)
    model.trainable = False
    assert model.trainable_variables == []
    assert len(model.non_trainable_weights) == 6
