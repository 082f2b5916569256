"""Models that both libraries build, for files that go both ways."""

from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["CASES", "sample"]


def sequential(k: Any) -> Any:
    return k.Sequential(
        [
            k.layers.Input((6, 6, 1)),
            k.layers.Conv2D(3, 3, activation="relu"),
            k.layers.MaxPooling2D(2),
            k.layers.BatchNormalization(),
            k.layers.Flatten(),
            k.layers.Dropout(0.5),
            k.layers.Dense(2, activation="softmax"),
        ]
    )


def branches(k: Any) -> Any:
    a, b = k.layers.Input((4,), name="a"), k.layers.Input((4,), name="b")
    shared = k.layers.Dense(3, name="shared")
    x, y = shared(a), shared(b)
    joined = k.layers.Concatenate()([x, y])
    return k.Model([a, b], [k.layers.Dense(2, name="left")(joined), k.layers.Add()([x, y])])


def operators(k: Any) -> Any:
    x = k.layers.Input((4,))
    y = k.layers.Dense(4, name="d")(x)
    z = k.ops.tanh(x + y * 2.0) - 1.0
    return k.Model(x, k.ops.concatenate([z, k.ops.mean(y, axis=-1, keepdims=True)], axis=-1))


def recurrent(k: Any) -> Any:
    return k.Sequential(
        [
            k.layers.Input((5,), dtype="int32"),
            k.layers.Embedding(7, 4, mask_zero=True),
            k.layers.LSTM(3, return_sequences=True),
            k.layers.LSTM(2),
            k.layers.Dense(1),
        ]
    )


def attention(k: Any) -> Any:
    x = k.layers.Input((4, 6))
    y = k.layers.MultiHeadAttention(num_heads=2, key_dim=3)(x, x)
    y = k.layers.LayerNormalization()(k.layers.Add()([x, y]))
    return k.Model(x, k.layers.Dense(2)(k.layers.GlobalAveragePooling1D()(y)))


def nested(k: Any) -> Any:
    inner = k.Sequential([k.layers.Input((4,)), k.layers.Dense(3, "relu")], name="inner")
    x = k.layers.Input((4,))
    return k.Model(x, k.layers.Dense(2)(inner(x)))


CASES: list[Callable[[Any], Any]] = [
    sequential, branches, operators, recurrent, attention, nested,
]  # fmt: skip


def sample(model: Any, samples: int = 5) -> Any:
    """Inputs for a model."""
    random = np.random.default_rng(1)
    found = [
        random.integers(0, 7, (samples, *t.shape[1:])).astype("int32")
        if "int" in str(t.dtype)
        else random.standard_normal((samples, *t.shape[1:])).astype("float32")
        for t in model.inputs
    ]
    return found if len(found) > 1 else found[0]
