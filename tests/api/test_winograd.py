"""Gradients of networks whose convolutions go by Winograd's algorithm, against float64."""

import numpy as np
import pytest

import kgraph as keras


def network(width: int, activation: str, pooling: str, dtype: str):
    layers = keras.layers
    same = {"activation": activation, "dtype": dtype}
    model = keras.Sequential(
        [
            layers.Input(shape=(28, 28, 1), dtype=dtype),
            layers.Conv2D(width, 3, **same),
            layers.Conv2D(width, 3, **same),
            getattr(layers, pooling)((2, 2), dtype=dtype),
            layers.Conv2D(2 * width, 3, **same),
            layers.Conv2D(2 * width, 3, **same),
            layers.GlobalAveragePooling2D(dtype=dtype),
            layers.Dense(10, activation="softmax", dtype=dtype),
        ]
    )
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(), optimizer=keras.optimizers.SGD(1.0)
    )
    return model


def errors(width: int, activation: str, pooling: str, batch: int) -> list[float]:
    """Of each variable's gradient, norm-wise."""
    random = np.random.default_rng(0)
    x, y = random.random((batch, 28, 28, 1)), random.integers(0, 10, batch)
    start = network(width, activation, pooling, "float32").get_weights()
    moved = []
    for dtype in ("float32", "float64"):
        model = network(width, activation, pooling, dtype)
        model.set_weights([w.astype(dtype) for w in start])
        model.train_on_batch(x.astype(dtype), y)
        moved.append(
            [w.astype("float64") - v for w, v in zip(model.get_weights(), start, strict=True)]
        )
    return [float(np.linalg.norm(a - b) / np.linalg.norm(b)) for a, b in zip(*moved, strict=True)]


def test_gradients_without_kinks():
    assert max(errors(32, "tanh", "AveragePooling2D", 4)) < 2e-6


@pytest.mark.slow
@pytest.mark.parametrize("exact", ["0", "1"])
def test_only_ties_part_gradients(monkeypatch: pytest.MonkeyPatch, exact: str):
    """Direct sums are no nearer to float64 than Winograd's: a ReLU near zero turns in both."""
    monkeypatch.setenv("KGRAPH_EXACT", exact)
    assert max(errors(64, "tanh", "AveragePooling2D", 128)) < 2e-6
    assert max(errors(64, "relu", "MaxPooling2D", 128)) < 1e-3
