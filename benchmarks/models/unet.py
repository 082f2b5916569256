"""A small U-Net: each pixel of an image of 128x128 is one of four classes."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network

WIDTHS = (32, 64, 128)


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    images = keras.Input(shape=(128, 128, 3))
    x = images
    kept = []
    for i, width in enumerate(WIDTHS):
        x = twice(layers, x, width, f"down_{i}")
        if i < len(WIDTHS) - 1:
            kept.append(x)
            x = layers.MaxPooling2D(2)(x)
    for i, width in enumerate(reversed(WIDTHS[:-1])):
        x = layers.Conv2DTranspose(width, 2, strides=2, name=f"widen_{i}")(x)
        x = layers.Concatenate()([kept.pop(), x])
        x = twice(layers, x, width, f"up_{i}")
    x = layers.Conv2D(4, 1, activation="softmax", name="classes")(x)
    return keras.Model(images, x)


def twice(layers: Any, x: Any, width: int, name: str) -> Any:
    for i in (1, 2):
        x = layers.Conv2D(width, 3, padding="same", activation="relu", name=f"{name}_conv{i}")(x)
    return x


NETWORK = Network("unet", build, (128, 128, 3), 8, classes=4, targets=(128, 128), channels=True)
