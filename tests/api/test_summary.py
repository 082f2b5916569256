"""`model.summary()` prints the table that Keras prints."""

from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from kgraph.utils.naming import clear_session
from tests.api.test_functional import (
    branches,
    chain,
    dictionaries,
    masked,
    nested,
    residual,
    shared,
)


def texts(make: Any, prepare: Any = None, **arguments: Any) -> list[str]:
    found = []
    for library in (kgraph, keras):
        keras.utils.clear_session()
        clear_session()
        model = make(library)
        model = model[0] if isinstance(model, tuple) else model
        if prepare is not None:
            prepare(model)
        lines: list[str] = []
        model.summary(print_fn=lines.append, **{"line_length": 100, **arguments})
        found.append("\n".join(lines))
    return found


def sequential(k: Any) -> Any:
    return k.Sequential(
        [
            k.layers.Input((28, 28, 1)),
            k.layers.Conv2D(64, kernel_size=(3, 3), activation="relu"),
            k.layers.MaxPooling2D(),
            k.layers.GlobalAveragePooling2D(),
            k.layers.Dropout(0.5),
            k.layers.Dense(10),
        ]
    )


def unbuilt(k: Any) -> Any:
    return k.Sequential([k.layers.Dense(3), k.layers.Dense(4)])


MAKERS = [sequential, unbuilt, chain, branches, shared, nested, dictionaries, residual, masked]


@pytest.mark.parametrize("make", MAKERS)
def test_table(make: Any) -> None:
    ours, theirs = texts(make)
    assert ours == theirs


@pytest.mark.parametrize(
    "arguments",
    [
        {"line_length": 60},
        {"expand_nested": True},
        {"show_trainable": True},
        {"positions": [0.5, 0.8, 1.0]},
        {"layer_range": ["inner", "tail"]},
    ],
)
def test_arguments(arguments: Any) -> None:
    ours, theirs = texts(nested if "positions" not in arguments else sequential, **arguments)
    assert ours == theirs


def test_optimizer_and_frozen_layers() -> None:
    def prepare(model: Any) -> None:
        model.layers[0].trainable = False
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)

    ours, theirs = texts(sequential, prepare, show_trainable=True)
    assert ours == theirs
    assert "Optimizer params" in ours


def test_subclass(capsys: pytest.CaptureFixture[str]) -> None:
    class Own(kgraph.Model):  # type: ignore[misc]  # Model's bases are loaded lazily
        def __init__(self) -> None:
            super().__init__(name="own")
            self.dense = kgraph.layers.Dense(3)

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = Own()
    model.summary()
    assert "(unbuilt)" in capsys.readouterr().out
    model(np.zeros((2, 4), "float32"))
    model.summary()
    printed = capsys.readouterr().out
    assert "15" in printed
    assert 'Model: "own"' in printed


def test_bad_arguments() -> None:
    model = sequential(kgraph)
    with pytest.raises(ValueError, match="narrow"):
        model.summary(line_length=8)
    with pytest.raises(ValueError, match="layer_range"):
        model.summary(layer_range=["a"])
