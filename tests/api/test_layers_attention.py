"""MultiHeadAttention against Keras."""

import json
from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from tests.api.oracle import assert_close, assert_same_arguments

RNG = np.random.default_rng(0)
QUERY, VALUE = (RNG.standard_normal(s).astype("float32") for s in ((2, 5, 6), (2, 4, 3)))
KEY = RNG.standard_normal((2, 4, 7)).astype("float32")
PLANE = RNG.standard_normal((2, 3, 4, 6)).astype("float32")
MASK = np.tril(np.ones((2, 5, 4), bool))

CASES: list[tuple[dict[str, Any], list[Any], dict[str, Any]]] = [
    ({}, [QUERY, VALUE], {}),
    ({"value_dim": 3, "use_bias": False}, [QUERY, VALUE, KEY], {}),
    ({"output_shape": 8}, [QUERY, VALUE], {"return_attention_scores": True}),
    ({}, [QUERY, VALUE], {"attention_mask": MASK}),
    ({}, [QUERY, QUERY], {"use_causal_mask": True}),
    ({"sliding_window": 2}, [QUERY, QUERY], {"use_causal_mask": True, "attention_mask": None}),
    ({"use_gate": True}, [QUERY, VALUE], {}),
    ({"attention_axes": (1, 2)}, [PLANE, PLANE], {}),
    ({"attention_axes": 2}, [PLANE, PLANE], {}),
    ({"kernel_regularizer": "l2"}, [QUERY, VALUE], {}),
    ({}, [QUERY, VALUE], {"query_mask": MASK[:, :, 0], "value_mask": MASK[:, 2]}),
]


def pair(arguments: dict[str, Any], inputs: list[Any]) -> tuple[Any, Any]:
    found = []
    for library in (kgraph, keras):
        layer = library.layers.MultiHeadAttention(2, 3, name="a", **arguments)
        layer.build(*[x.shape for x in inputs])
        found.append(layer)
    rng = np.random.default_rng(1)
    weights = [rng.standard_normal(w.shape).astype("float32") for w in found[1].weights]
    for layer in found:
        layer.set_weights(weights)
    return found[0], found[1]


def test_arguments() -> None:
    assert_same_arguments(kgraph.layers, keras.layers, "MultiHeadAttention")


@pytest.mark.parametrize(("arguments", "inputs", "call"), CASES)
def test_numbers(arguments: Any, inputs: Any, call: Any) -> None:
    ours, theirs = pair(arguments, inputs)
    assert [(w.path, w.shape) for w in ours.weights] == [
        (w.path, tuple(w.shape)) for w in theirs.weights
    ]
    assert json.dumps(ours.get_config()) == json.dumps(
        {key: theirs.get_config()[key] for key in ours.get_config()}
    )
    assert set(ours.get_config()) == set(theirs.get_config())
    mine, oracle = ours(*inputs, **call), theirs(*inputs, **call)
    if not isinstance(mine, tuple):
        mine, oracle = (mine,), (oracle,)
    for a, b in zip(mine, oracle, strict=True):
        assert_close(a, b, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("arguments", [{}, {"output_shape": (3, 2)}, {"value_dim": 4}])
def test_shapes(arguments: Any) -> None:
    results = []
    for library in (kgraph, keras):
        layer = library.layers.MultiHeadAttention(2, 3, **arguments)
        q, v = library.Input((None, 6)), library.Input((4, 3))
        y, scores = layer(q, v, return_attention_scores=True)
        shapes = layer.compute_output_shape((None, 5, 6), (None, 4, 3))
        results.append((y.shape, layer(q, v).shape, scores.dtype, shapes))
    assert results[0] == results[1]


def test_masks_travel() -> None:
    found = []
    for library in (kgraph, keras):
        inputs = library.Input((5,), dtype="int32")
        x = library.layers.Embedding(7, 6, mask_zero=True, embeddings_initializer="ones")(inputs)
        y = library.layers.MultiHeadAttention(2, 3, kernel_initializer="ones")(x, x)
        pooled = library.layers.GlobalAveragePooling1D()(y)
        model = library.Model(inputs, pooled)
        found.append(np.asarray(model(np.array([[1, 2, 3, 0, 0], [4, 0, 0, 0, 0]], "int32"))))
    assert_close(found[0], found[1], rtol=1e-5)


def test_dropout_of_weights() -> None:
    layer = kgraph.layers.MultiHeadAttention(2, 3, dropout=0.5, seed=1)
    first = layer(QUERY, VALUE, training=True)
    second = layer(QUERY, VALUE, training=True)
    assert np.abs(first - second).max() > 1e-3
    assert_close(layer(QUERY, VALUE), layer(QUERY, VALUE))


def test_bad_arguments() -> None:
    with pytest.raises(ValueError, match="num_heads"):
        kgraph.layers.MultiHeadAttention(0, 3)
    layer = kgraph.layers.MultiHeadAttention(2, 3)
    with pytest.raises(ValueError, match="must be equal"):
        layer(QUERY, VALUE, KEY[:, :2])
