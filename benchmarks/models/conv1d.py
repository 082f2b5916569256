"""A convnet over 1024 steps of a signal of 8 channels."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(1024, 8)),
            layers.Conv1D(64, 5, padding="same", activation="relu", name="conv1"),
            layers.Conv1D(64, 5, padding="same", activation="relu", name="conv2"),
            layers.MaxPooling1D(2),
            layers.Conv1D(128, 3, padding="same", activation="relu", name="conv3"),
            layers.Conv1D(128, 3, padding="same", activation="relu", name="conv4"),
            layers.MaxPooling1D(2),
            layers.Conv1D(256, 3, padding="same", activation="relu", name="conv5"),
            layers.GlobalAveragePooling1D(),
            layers.Dense(10, activation="softmax", name="dense"),
        ]
    )


NETWORK = Network("conv1d", build, (1024, 8), 64, channels=True)
