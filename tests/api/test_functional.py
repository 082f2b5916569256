"""Functional, nested and subclassed models against Keras: graphs, configs, weights, numbers."""

import json
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from kgraph.utils.naming import clear_session
from tests.api.oracle import assert_close

RNG = np.random.default_rng(0)
A, B = (RNG.standard_normal((4, n)).astype("float32") for n in (6, 3))
IMAGES = RNG.standard_normal((2, 8, 8, 3)).astype("float32")
WORDS = np.array([[1, 2, 3, 0, 0], [4, 5, 0, 0, 0]], "int32")


def plain(config: Any) -> Any:
    return json.loads(json.dumps(config), parse_float=lambda x: np.float32(x))


# ---- the models, for either library ----


def chain(k: Any) -> tuple[Any, Any]:
    x = inputs = k.Input((6,), name="x")
    x = k.layers.Dense(5, activation="relu", name="first")(x)
    x = k.layers.Dropout(0.5, seed=1, name="drop")(x)
    return k.Model(inputs, k.layers.Dense(2, name="last")(x), name="chain"), A


def branches(k: Any) -> tuple[Any, Any]:
    a, b = k.Input((6,), name="a"), k.Input((3,), name="b")
    left = k.layers.Dense(4, name="left")(a)
    right = k.layers.Dense(4, name="right")(b)
    both = k.layers.Concatenate(name="both")([left, right])
    total = k.layers.Add(name="total")([left, right])
    outputs = [k.layers.Dense(2, name="y1")(both), k.layers.Dense(3, name="y2")(total)]
    return k.Model([a, b], outputs, name="branches"), [A, B]


def shared(k: Any) -> tuple[Any, Any]:
    a, b = k.Input((6,), name="a"), k.Input((6,), name="b")
    layer = k.layers.Dense(4, name="twice")
    y = k.layers.Subtract(name="difference")([layer(a), layer(b)])
    return k.Model([a, b], layer(k.layers.Dense(6, name="wide")(y)), name="shared"), [A, A[::-1]]


def nested(k: Any) -> tuple[Any, Any]:
    x = inner_in = k.Input((6,), name="inner_x")
    x = k.layers.Dense(4, name="inner_dense")(x)
    inner = k.Model(inner_in, k.layers.Dense(6, name="inner_last")(x), name="inner")
    inputs = k.Input((6,), name="x")
    y = inner(inner(inputs))
    tail = k.Sequential([k.layers.Dense(3, name="t1"), k.layers.ReLU(name="t2")], name="tail")
    return k.Model(inputs, tail(y), name="outer"), A


def dictionaries(k: Any) -> tuple[Any, Any]:
    inputs = {"a": k.Input((6,), name="a"), "b": k.Input((3,), name="b")}
    left = k.layers.Dense(4, name="left")(inputs["a"])
    right = k.layers.Dense(4, name="right")(inputs["b"])
    outputs = {"sum": k.layers.Add(name="add")([left, right]), "left": left}
    return k.Model(inputs, outputs, name="dictionaries"), {"a": A, "b": B}


def residual(k: Any) -> tuple[Any, Any]:
    x = inputs = k.Input((8, 8, 3), name="x")
    x = k.layers.Conv2D(4, 3, padding="same", name="c0")(x)
    for i in range(2):
        y = k.layers.BatchNormalization(name=f"b{i}")(x)
        y = k.layers.Activation("relu", name=f"r{i}")(y)
        y = k.layers.Conv2D(4, 3, padding="same", use_bias=False, name=f"c{i + 1}")(y)
        x = k.layers.Add(name=f"a{i}")([x, y])
    x = k.layers.GlobalAveragePooling2D(name="pool")(x)
    return k.Model(inputs, k.layers.Dense(2, name="last")(x), name="residual"), IMAGES


def masked(k: Any) -> tuple[Any, Any]:
    inputs = k.Input((None,), dtype="int32", name="words")
    x = k.layers.Embedding(7, 4, mask_zero=True, name="table")(inputs)
    x = k.layers.LSTM(3, return_sequences=True, name="lstm")(x)
    x = k.layers.GlobalAveragePooling1D(name="pool")(x)
    return k.Model(inputs, k.layers.Dense(2, name="last")(x), name="masked"), WORDS


def with_ops(k: Any) -> tuple[Any, Any]:
    a, b = k.Input((6,), name="a"), k.Input((6,), name="b")
    x = k.ops.tanh(a) * 2.0 + b
    x = k.ops.concatenate([x, a - b], axis=-1)
    return k.Model([a, b], k.layers.Dense(2, name="last")(x), name="with_ops"), [A, A[::-1]]


def unused(k: Any) -> tuple[Any, Any]:
    a, b = k.Input((6,), name="a"), k.Input((3,), name="b")
    return k.Model([a, b], k.layers.Dense(2, name="last")(a), name="unused"), [A, B]


MAKERS: list[Callable[[Any], tuple[Any, Any]]] = [
    chain, branches, shared, nested, dictionaries, residual, masked, with_ops, unused,
]  # fmt: skip


def pair(make: Any) -> tuple[Any, Any, Any]:
    """Our model and Keras's with the same weights, and inputs."""
    keras.utils.clear_session()  # names that are made up begin anew
    clear_session()
    (ours, x), (theirs, _) = make(kgraph), make(keras)
    rng = np.random.default_rng(1)
    weights = [rng.uniform(-0.7, 0.7, w.shape).astype("float32") for w in theirs.weights]
    weights = [
        np.abs(w) if v.path.endswith("variance") else w
        for w, v in zip(weights, theirs.weights, strict=True)
    ]
    assert [(w.path, w.shape) for w in ours.weights] == [
        (w.path, tuple(w.shape)) for w in theirs.weights
    ]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs, x


def assert_same(mine: Any, oracle: Any) -> None:
    leaves = zip(kgraph.utils.tree.flatten(mine), keras.tree.flatten(oracle), strict=True)
    for a, b in leaves:
        assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("make", MAKERS)
def test_numbers(make: Any) -> None:
    ours, theirs, x = pair(make)
    assert [op.name for op in ours.operations] == [op.name for op in theirs.operations]
    assert [layer.name for layer in ours.layers] == [layer.name for layer in theirs.layers]
    assert_same(ours(x), theirs(x))
    assert_same(ours.predict(x, verbose=0), theirs.predict(x, verbose=0))
    assert_same(ours(x, training=True), theirs(x, training=True))
    assert_same(ours.get_weights(), theirs.get_weights())  # what training mode updates


@pytest.mark.parametrize("make", MAKERS)
def test_configs(make: Any) -> None:
    ours, theirs, x = pair(make)
    assert plain(ours.get_config()) == plain(theirs.get_config())
    # Keras reads ours, and we read Keras's
    text = ours.to_json()
    read = keras.models.model_from_json(text)
    read.set_weights(ours.get_weights())
    assert_same(ours(x), read(x))
    mine = kgraph.models.model_from_json(theirs.to_json())
    assert [w.path for w in mine.weights] == [w.path for w in read.weights]
    mine.set_weights(theirs.get_weights())
    assert_same(mine(x), theirs(x))


@pytest.mark.parametrize("make", MAKERS)
def test_shapes(make: Any) -> None:
    ours, theirs, _ = pair(make)
    assert keras.tree.map_structure(str, ours.input_shape) == keras.tree.map_structure(
        str, theirs.input_shape
    )
    assert str(ours.output_shape) == str(theirs.output_shape)
    if not isinstance(ours.output, dict):  # ours are the keys, by which losses are given
        assert ours.output_names == theirs.output_names
    assert ours.count_params() == theirs.count_params()
    shape = keras.tree.map_structure(lambda x: x.shape, theirs.input)
    assert str(ours.compute_output_shape(shape)) == str(theirs.compute_output_shape(shape))


@pytest.mark.parametrize("make", MAKERS)
def test_clone(make: Any) -> None:
    ours, theirs, x = pair(make)
    clone, oracle = kgraph.models.clone_model(ours), keras.models.clone_model(theirs)
    assert [w.path for w in clone.weights] == [w.path for w in oracle.weights]
    assert plain(clone.get_config()) == plain(oracle.get_config())
    assert not set(map(id, clone.weights)) & set(map(id, ours.weights))
    clone.set_weights(ours.get_weights())
    assert_same(clone(x), ours(x))


def test_part_of_a_model() -> None:
    ours, theirs, x = pair(residual)
    parts = []
    for k, model in ((kgraph, ours), (keras, theirs)):
        parts.append(k.Model(model.input, model.get_layer("a0").output))
    assert_same(parts[0](x), parts[1](x))
    tails = []
    for k, model in ((kgraph, ours), (keras, theirs)):
        tails.append(k.Model(model.get_layer("a0").output, model.output))
    middle = np.asarray(parts[1](x))
    assert_same(tails[0](middle), tails[1](middle))


def test_inputs_by_name_and_order() -> None:
    ours, _, _ = pair(branches)
    expected = ours([A, B])
    assert_same(ours({"b": B, "a": A}), expected)
    assert_same(ours((A, B)), expected)
    one, _, _ = pair(chain)
    assert_same(one({"x": A}), one(A))
    assert_same(one(A.astype("float64")), one(A))


def test_last_axis_of_one() -> None:
    inputs = kgraph.Input((5, 1))
    model = kgraph.Model(inputs, kgraph.layers.Flatten()(inputs))
    x = RNG.standard_normal((2, 5)).astype("float32")
    assert_same(model(x), x)


def test_bad_inputs() -> None:
    ours, _, _ = pair(branches)
    with pytest.raises(ValueError, match="expects 2 input"):
        ours([A])
    with pytest.raises(ValueError, match="'a'"):
        ours([B, A])
    with pytest.raises(ValueError, match="missing"):
        ours({"a": A, "c": B})
    with pytest.raises(ValueError, match="KerasTensors"):
        kgraph.Model(inputs=kgraph.Input((3,)), outputs=A)
    a, b = kgraph.Input((3,)), kgraph.Input((3,))
    with pytest.raises(ValueError, match=r"disconnected|not among its inputs"):
        kgraph.Model(a, kgraph.layers.Add()([a, b]))
    x = kgraph.layers.Dense(3, name="same")(a)
    with pytest.raises(ValueError, match="unique"):
        kgraph.Model(a, kgraph.layers.Dense(3, name="same")(x))


def test_damaged_config() -> None:
    ours, _, _ = pair(chain)
    config = json.loads(ours.to_json())
    config["config"]["layers"][1]["inbound_nodes"][0]["args"][0]["config"]["keras_history"][0] = "z"
    with pytest.raises(ValueError, match="damaged"):
        kgraph.models.model_from_json(json.dumps(config))


def test_long_chain() -> None:
    x = inputs = kgraph.Input((2,))
    for _ in range(1500):
        x = kgraph.ops.add(x, 1.0)
    model = kgraph.Model(inputs, x)
    assert_close(model(np.zeros((1, 2), "float32")), np.full((1, 2), 1500, "float32"))


def test_get_layer() -> None:
    ours, _, _ = pair(chain)
    assert ours.get_layer("drop") is ours.layers[2] is ours.get_layer(index=2)
    with pytest.raises(ValueError, match="No such layer"):
        ours.get_layer("nothing")
    with pytest.raises(ValueError, match="index"):
        ours.get_layer(index=9)


def test_training_mode_reaches_inner_layers() -> None:
    inputs = kgraph.Input((6,))
    inner = kgraph.Sequential([kgraph.Input((6,)), kgraph.layers.Dropout(0.5)])
    model = kgraph.Model(inputs, inner(inputs))
    x = np.ones((4, 6), "float32")
    assert_same(model(x), x)
    assert {0.0, 2.0} == set(np.unique(model(x, training=True)))


class Subclass(kgraph.Model):  # type: ignore[misc]  # Model's bases are loaded lazily
    def __init__(self, units: int = 4, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.blocks = [kgraph.layers.Dense(units, name=f"d{i}") for i in range(2)]
        self.drop = kgraph.layers.Dropout(0.5)
        self.last = {"y": kgraph.layers.Dense(2, name="y")}

    def call(self, inputs: Any, training: bool = False) -> Any:
        for block in self.blocks:
            inputs = kgraph.ops.relu(block(inputs))
        return self.last["y"](self.drop(inputs, training=training))


def test_subclass() -> None:
    model = Subclass(name="own")
    y = model(A)
    assert y.shape == (4, 2)
    assert [w.path for w in model.weights] == [
        f"own/{name}/{w}" for name in ("d0", "d1", "y") for w in ("kernel", "bias")
    ]
    assert [layer.name for layer in model.layers][:2] == ["d0", "d1"]
    again = Subclass.from_config(model.get_config())
    again.build((None, 6))
    again.set_weights(model.get_weights())
    assert_same(again(A), y)
    assert model.get_config()["units"] == 4


def test_functional_subclass() -> None:
    class Own(kgraph.Model):  # type: ignore[misc]  # as above
        def __init__(self, units: int = 3) -> None:
            inputs = kgraph.Input((6,), name="x")
            super().__init__(inputs=inputs, outputs=kgraph.layers.Dense(units, name="d")(inputs))
            self.units = units

    model = Own(4)
    assert model(A).shape == (4, 4)
    assert model.input_shape == (None, 6)
    assert [layer.name for layer in model.layers] == ["x", "d"]


def test_forgotten_super() -> None:
    class Own(kgraph.Model):  # type: ignore[misc]  # as above
        def __init__(self) -> None:
            self.dense = kgraph.layers.Dense(2)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    with pytest.raises(RuntimeError, match="super"):
        Own()(A)


def test_freezing() -> None:
    counts = []
    for k in (kgraph, keras):
        model, _ = residual(k)
        model.get_layer("c1").trainable = False
        first = len(model.trainable_weights), len(model.non_trainable_weights)
        model.trainable = False
        second = len(model.trainable_weights), len(model.non_trainable_weights)
        model.trainable = True
        counts.append((first, second, len(model.trainable_variables)))
    assert counts[0] == counts[1]
