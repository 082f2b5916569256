"""Data that `kgraph profile` makes up."""

from __future__ import annotations

import numpy as np

import kgraph
from kgraph import layers
from kgraph.cli.inputs import made_up
from kgraph.cli.steps import trace_step
from kgraph.ops.transform import trace


def test_indices_are_spread_over_what_they_index() -> None:
    model = kgraph.Sequential(
        [layers.Input((6,), dtype="int32"), layers.Embedding(50, 4), layers.Flatten()]
    )
    model.add(layers.Dense(3, activation="softmax"))
    model.compile("sgd", "sparse_categorical_crossentropy")
    traced = trace_step(model, "train")
    tokens, labels = made_up(traced.function, {"batch": 40}, first=len(traced.variables))
    assert tokens.shape == (40, 6)
    assert set(np.unique(labels)) == {0, 1, 2}
    assert tokens.min() >= 0
    assert 25 < tokens.max() < 50


def test_an_integer_that_is_no_index_is_zero() -> None:
    fn = trace(lambda x: x + 1, "i32[4]")
    (x,) = made_up(fn, {})
    assert not x.any()
