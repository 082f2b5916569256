"""One product of two numbers: what a call costs."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential([layers.Input(shape=(1,)), layers.Dense(1, name="dense")])


NETWORK = Network("call", build, (1,), 1, classes=1)
