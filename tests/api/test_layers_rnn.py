"""Recurrent layers and wrappers against Keras."""

import json
from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from tests.api.oracle import assert_close, assert_same_arguments

X = np.random.default_rng(0).standard_normal((3, 6, 4)).astype("float32")
MASK = np.array([[1, 1, 1, 1, 0, 0], [0, 1, 1, 0, 1, 1], [1, 1, 1, 1, 1, 1]], bool)
STATE = np.random.default_rng(1).standard_normal((3, 5)).astype("float32")

RECURRENT = ["LSTM", "GRU", "SimpleRNN"]
SETTINGS: list[dict[str, Any]] = [
    {},
    {"return_sequences": True},
    {"return_state": True, "use_bias": False},
    {"return_sequences": True, "return_state": True, "go_backwards": True},
    {"return_sequences": True, "zero_output_for_mask": True},
    {"kernel_regularizer": "l2", "activation": "relu"},
]
NAMES = [
    "LSTM", "LSTMCell", "GRU", "GRUCell", "SimpleRNN", "SimpleRNNCell", "RNN", "Bidirectional",
    "TimeDistributed", "StackedRNNCells", "Wrapper",
]  # fmt: skip


def plain(config: Any) -> Any:
    return json.loads(json.dumps(config), parse_float=lambda x: np.float32(x))


def build(library: Any, name: str, settings: dict[str, Any]) -> Any:
    return getattr(library.layers, name)(5, name="a", **settings)


def same_weights(layers: list[Any], x: Any, **call: Any) -> None:
    for layer in layers:
        layer(x, **call)
    rng = np.random.default_rng(2)
    weights = [rng.standard_normal(w.shape).astype("float32") / 2 for w in layers[1].weights]
    for layer in layers:
        layer.set_weights(weights)
    assert [(w.path, tuple(w.shape)) for w in layers[0].weights] == [
        (w.path, tuple(w.shape)) for w in layers[1].weights
    ]


def assert_same(mine: Any, oracle: Any) -> None:
    mine = mine if isinstance(mine, list | tuple) else [mine]
    oracle = oracle if isinstance(oracle, list | tuple) else [oracle]
    for a, b in zip(mine, oracle, strict=True):
        assert_close(a, b, rtol=2e-4, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_arguments(name: str) -> None:
    assert_same_arguments(kgraph.layers, keras.layers, name)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("name", RECURRENT)
def test_numbers(name: str, settings: dict[str, Any]) -> None:
    layers = [build(library, name, settings) for library in (kgraph, keras)]
    assert plain(layers[0].get_config()) == plain(layers[1].get_config())
    same_weights(layers, X)
    assert_same(layers[0](X), layers[1](X))
    assert_same(layers[0](X, mask=MASK), layers[1](X, mask=MASK))
    states = [STATE, STATE / 2] if name == "LSTM" else [STATE]
    assert_same(layers[0](X, initial_state=states), layers[1](X, initial_state=states))
    again = type(layers[0]).from_config(layers[0].get_config())
    again.build(X.shape)
    again.set_weights(layers[0].get_weights())
    assert_same(again(X), layers[1](X))


def test_variants() -> None:
    for name, settings in [("GRU", {"reset_after": False}), ("LSTM", {"unit_forget_bias": False})]:
        layers = [build(library, name, settings) for library in (kgraph, keras)]
        same_weights(layers, X)
        assert_same(layers[0](X), layers[1](X))
    fresh = [build(library, "LSTM", {}) for library in (kgraph, keras)]
    for layer in fresh:
        layer.build(X.shape)
    assert_close(fresh[0].cell.bias, fresh[1].cell.bias)


@pytest.mark.parametrize("name", ["LSTM", "SimpleRNN"])
def test_stateful(name: str) -> None:
    layers = [build(library, name, {"stateful": True}) for library in (kgraph, keras)]
    for layer in layers:
        layer.build(X.shape)
    rng = np.random.default_rng(2)
    for layer in layers:
        rng = np.random.default_rng(2)
        for w in layer.trainable_weights:
            w.assign(rng.standard_normal(w.shape).astype("float32") / 2)
    for _ in range(3):
        assert_same(layers[0](X), layers[1](X))
    for layer in layers:
        layer.reset_state()
    assert_same(layers[0](X), layers[1](X))
    with pytest.raises(ValueError, match="batch"):
        layers[0](X[:2])
    with pytest.raises(ValueError, match="batch"):
        build(kgraph, name, {"stateful": True})(kgraph.Input((6, 4)))


def test_symbolic() -> None:
    shapes = []
    for library in (kgraph, keras):
        x = library.Input((None, 4))
        found = []
        for name in RECURRENT:
            for settings in SETTINGS:
                y = build(library, name, settings)(x)
                found.append([leaf.shape for leaf in (y if isinstance(y, list | tuple) else [y])])
        shapes.append(found)
    assert shapes[0] == shapes[1]


def test_dropout_is_in_training_only() -> None:
    for name in RECURRENT:
        layer = build(kgraph, name, {"dropout": 0.5, "recurrent_dropout": 0.3, "seed": 1})
        first, second = layer(X, training=True), layer(X, training=True)
        assert np.abs(first - second).max() > 1e-4
        assert_close(layer(X), layer(X))


@pytest.mark.parametrize("name", RECURRENT)
@pytest.mark.parametrize("rates", [(0.5, 0.0), (0.0, 0.5), (0.5, 0.3)])
def test_dropout_masks(name: str, rates: tuple[float, float]) -> None:
    settings = {"dropout": rates[0], "recurrent_dropout": rates[1], "seed": 1}
    layers = [build(library, name, settings) for library in (kgraph, keras)]
    for layer in layers:
        layer.build(X.shape)
    layers[0].set_weights([np.asarray(w) for w in layers[1].get_weights()])
    for _ in range(2):
        assert_same(layers[0](X, training=True), layers[1](X, training=True))


@pytest.mark.parametrize(
    ("mode", "sequences"),
    [
        ("concat", False),
        ("concat", True),
        ("sum", True),
        ("mul", False),
        ("ave", True),
        (None, True),
    ],
)
def test_bidirectional(mode: Any, sequences: bool) -> None:
    layers = []
    for library in (kgraph, keras):
        inner = library.layers.LSTM(5, return_sequences=sequences, name="b")
        layers.append(library.layers.Bidirectional(inner, merge_mode=mode, name="a"))
    same_weights(layers, X)
    assert plain(layers[0].get_config()) == plain(layers[1].get_config())
    assert_same(layers[0](X), layers[1](X))
    assert_same(layers[0](X, mask=MASK), layers[1](X, mask=MASK))
    shape = (None, 6, 4)
    assert layers[0].compute_output_shape(shape) == layers[1].compute_output_shape(shape)
    again = type(layers[0]).from_config(plain(layers[0].get_config()))
    assert plain(again.get_config()) == plain(layers[0].get_config())


def test_bidirectional_states() -> None:
    layers = []
    for library in (kgraph, keras):
        inner = library.layers.GRU(5, return_state=True, name="b")
        layers.append(library.layers.Bidirectional(inner, name="a"))
    same_weights(layers, X)
    assert_same(layers[0](X), layers[1](X))
    states = [STATE, STATE / 2]
    assert_same(layers[0](X, initial_state=states), layers[1](X, initial_state=states))


def test_stacked_cells() -> None:
    layers = []
    for library in (kgraph, keras):
        cells = [library.layers.LSTMCell(5, name="c"), library.layers.GRUCell(3, name="d")]
        layers.append(library.layers.RNN(cells, return_sequences=True, name="a"))
    same_weights(layers, X)
    assert_same(layers[0](X), layers[1](X))
    again = type(layers[0]).from_config(plain(layers[0].get_config()))
    assert [c.units for c in again.cell.cells] == [5, 3]


def test_own_cell() -> None:
    class Cell(kgraph.layers.Layer):
        state_size = 4

        def call(self, inputs: Any, states: Any) -> Any:
            h = inputs + 0.5 * states[0]
            return h, [h]

    h = np.zeros_like(X[:, 0])
    for t in range(X.shape[1]):
        h = X[:, t] + 0.5 * h
    assert_close(kgraph.layers.RNN(Cell())(X), h, rtol=1e-5)


@pytest.mark.parametrize("inner", ["Dense", "LayerNormalization", "BatchNormalization"])
@pytest.mark.parametrize("training", [False, True])
def test_time_distributed(inner: str, training: bool) -> None:
    layers = []
    for library in (kgraph, keras):
        arguments = {"units": 3} if inner == "Dense" else {}
        layer = getattr(library.layers, inner)(name="b", **arguments)
        layers.append(library.layers.TimeDistributed(layer, name="a"))
    same_weights(layers, X)
    assert_same(layers[0](X, training=training), layers[1](X, training=training))
    assert_same(layers[0].get_weights(), layers[1].get_weights())
    assert plain(layers[0].get_config()) == plain(layers[1].get_config())
    shape = (None, 6, 4)
    assert layers[0].compute_output_shape(shape) == layers[1].compute_output_shape(shape)


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="units"):
        kgraph.layers.LSTM(0)
    with pytest.raises(ValueError, match="merge mode"):
        kgraph.layers.Bidirectional(kgraph.layers.LSTM(3), merge_mode="glue")
    with pytest.raises(ValueError, match="state_size"):
        kgraph.layers.RNN(kgraph.layers.Dense(3))
    with pytest.raises(ValueError, match="ndim"):
        kgraph.layers.LSTM(3)(X[0])


@pytest.mark.parametrize("backend", ["llvm", "jax"])
def test_sequences_of_many_lengths_share_a_program(backend):
    def build() -> Any:
        x = kgraph.Input((None,), dtype="int32")
        embedded = kgraph.layers.Embedding(9, 3, mask_zero=True)(x)
        y = kgraph.layers.LSTM(4, return_sequences=True)(embedded)
        return kgraph.Model(x, kgraph.layers.Dense(2)(y))

    model = build()
    model.compile("sgd", "mse", backend=backend)
    weights = [np.array(w) for w in model.get_weights()]
    random = np.random.default_rng(2)
    for samples, length in ((3, 5), (2, 7), (4, 9), (3, 12)):
        x = random.integers(0, 9, (samples, length)).astype("int32")
        y = random.standard_normal((samples, length, 2)).astype("float32")
        twin = build()
        twin.compile("sgd", "mse", backend="reference")
        for one in (model, twin):
            one.set_weights(weights)
        np.testing.assert_allclose(model.train_on_batch(x, y), twin.train_on_batch(x, y), rtol=1e-5)
        for a, b in zip(model.get_weights(), twin.get_weights(), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    step = model._step_program("train")
    assert not step.specializations
    assert len({id(found) for found in step._compiled.values()}) <= 3  # with and without slots
