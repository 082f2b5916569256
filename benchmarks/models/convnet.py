"""The convnet of the README."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    return keras.Sequential(
        [
            layers.Input(shape=(28, 28, 1)),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu", name="conv1"),
            layers.Conv2D(64, kernel_size=(3, 3), activation="relu", name="conv2"),
            layers.MaxPooling2D(pool_size=(2, 2)),
            layers.Conv2D(128, kernel_size=(3, 3), activation="relu", name="conv3"),
            layers.Conv2D(128, kernel_size=(3, 3), activation="relu", name="conv4"),
            layers.GlobalAveragePooling2D(),
            layers.Dropout(0.5, name="dropout"),
            layers.Dense(10, activation="softmax", name="dense"),
        ]
    )


NETWORK = Network("convnet", build, (28, 28, 1), 128, channels=True, dropout="dropout")
