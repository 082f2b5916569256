"""`.keras` files of models with layers in layers: ours read by Keras, Keras's by us."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from tests.api.oracle import assert_close

X = np.random.default_rng(0).standard_normal((3, 6, 4)).astype("float32")


def recurrent(k: Any) -> Any:
    cells = [k.layers.LSTMCell(5), k.layers.GRUCell(3)]
    return k.Sequential(
        [
            k.Input((6, 4)),
            k.layers.Bidirectional(k.layers.LSTM(3, return_sequences=True)),
            k.layers.GRU(4, return_sequences=True, dropout=0.2),
            k.layers.RNN(cells, return_sequences=True),
            k.layers.TimeDistributed(k.layers.Dense(2)),
            k.layers.SimpleRNN(2),
        ]
    )


def attention(k: Any) -> Any:
    x = inputs = k.Input((6, 4))
    y = k.layers.MultiHeadAttention(2, 3)(x, x)
    x = k.layers.LayerNormalization()(k.layers.Add()([x, y]))
    x = k.layers.BatchNormalization()(k.layers.GroupNormalization(2)(x))
    x = k.layers.SeparableConv1D(3, 2)(k.layers.UpSampling1D()(x))
    return k.Model(inputs, k.layers.GlobalMaxPooling1D()(x))


@pytest.mark.parametrize("make", [recurrent, attention])
def test_both_ways(make: Any, tmp_path: Path) -> None:
    ours, theirs = make(kgraph), make(keras)
    ours.save(tmp_path / "ours.keras")
    read = keras.saving.load_model(tmp_path / "ours.keras")
    for a, b in zip(ours.get_weights(), read.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_close(ours(X), read(X), rtol=1e-4, atol=1e-5)
    theirs.save(tmp_path / "theirs.keras")
    mine = kgraph.saving.load_model(tmp_path / "theirs.keras")
    for a, b in zip(mine.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert_close(mine(X), theirs(X), rtol=1e-4, atol=1e-5)
