"""784-512-512-10."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(784,)),
            layers.Dense(512, activation="relu", name="dense1"),
            layers.Dense(512, activation="relu", name="dense2"),
            layers.Dense(10, activation="softmax", name="dense3"),
        ]
    )


NETWORK = Network("mlp", build, (784,), 128)
