"""An LSTM over 100 steps of 64 numbers; its last state is classified."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(100, 64)),
            layers.LSTM(128, name="lstm"),
            layers.Dense(10, activation="softmax", name="dense"),
        ]
    )


NETWORK = Network("lstm", build, (100, 64), 128)
