"""MobileNetV2, as Keras has it, for images of 224x224."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network

# of each stage: expansion, channels, blocks, stride of the first
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
EPSILON, MOMENTUM = 1e-3, 0.999


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    images = keras.Input(shape=(224, 224, 3))
    x = layers.Conv2D(32, 3, strides=2, padding="same", use_bias=False, name="stem_conv")(images)
    x = layers.ReLU(6.0)(normalized(layers, x, "stem_norm"))
    number = 0
    for expansion, channels, blocks, stride in STAGES:
        for i in range(blocks):
            name = f"blocks_{number}"
            x = block(layers, x, expansion, channels, stride if i == 0 else 1, name)
            number += 1
    x = layers.Conv2D(1280, 1, use_bias=False, name="head_conv")(x)
    x = layers.ReLU(6.0)(normalized(layers, x, "head_norm"))
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(1000, activation="softmax", name="dense")(x))


def block(layers: Any, x: Any, expansion: int, channels: int, stride: int, name: str) -> Any:
    """Expands, filters each channel by itself, projects; adds where the shapes agree."""
    inputs, width = x, x.shape[-1]
    if expansion > 1:
        x = layers.Conv2D(expansion * width, 1, use_bias=False, name=f"{name}_expand")(x)
        x = layers.ReLU(6.0)(normalized(layers, x, f"{name}_norm1"))
    if stride == 2:
        x = layers.ZeroPadding2D(((0, 1), (0, 1)))(x)
    x = layers.DepthwiseConv2D(
        3,
        strides=stride,
        padding="valid" if stride == 2 else "same",
        use_bias=False,
        name=f"{name}_depthwise",
    )(x)
    x = layers.ReLU(6.0)(normalized(layers, x, f"{name}_norm2"))
    x = layers.Conv2D(channels, 1, use_bias=False, name=f"{name}_project")(x)
    x = normalized(layers, x, f"{name}_norm3")
    return layers.Add()([inputs, x]) if stride == 1 and width == channels else x


def normalized(layers: Any, x: Any, name: str) -> Any:
    return layers.BatchNormalization(epsilon=EPSILON, momentum=MOMENTUM, name=name)(x)


NETWORK = Network("mobilenet", build, (224, 224, 3), 16, classes=1000, channels=True)
