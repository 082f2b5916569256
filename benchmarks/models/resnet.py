"""ResNet50, the first version, as Keras has it, for images of 224x224."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network

# of each stage: channels inside a block, blocks, stride of the first
STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))
EPSILON = 1.001e-5


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    images = keras.Input(shape=(224, 224, 3))
    x = layers.ZeroPadding2D(3)(images)
    x = layers.Conv2D(64, 7, strides=2, name="stem_conv")(x)
    x = layers.ReLU()(normalized(layers, x, "stem_norm"))
    x = layers.MaxPooling2D(3, strides=2)(layers.ZeroPadding2D(1)(x))
    number = 0
    for channels, blocks, stride in STAGES:
        for i in range(blocks):
            x = block(keras, x, channels, stride if i == 0 else 1, i == 0, f"blocks_{number}")
            number += 1
    x = layers.GlobalAveragePooling2D()(x)
    return keras.Model(images, layers.Dense(1000, activation="softmax", name="dense")(x))


def block(keras: ModuleType, x: Any, channels: int, stride: int, first: bool, name: str) -> Any:
    """A bottleneck around which the input goes, through a convolution where the shape changes."""
    layers = keras.layers
    around = x
    if first:
        around = layers.Conv2D(4 * channels, 1, strides=stride, name=f"{name}_around")(x)
        around = normalized(layers, around, f"{name}_norm0")
    x = layers.Conv2D(channels, 1, strides=stride, name=f"{name}_conv1")(x)
    x = layers.ReLU()(normalized(layers, x, f"{name}_norm1"))
    x = layers.Conv2D(channels, 3, padding="same", name=f"{name}_conv2")(x)
    x = layers.ReLU()(normalized(layers, x, f"{name}_norm2"))
    x = layers.Conv2D(4 * channels, 1, name=f"{name}_conv3")(x)
    # Sixteen branches are added up, one behind the other.
    small = keras.initializers.Constant(0.2)
    x = normalized(layers, x, f"{name}_norm3", small)
    return layers.ReLU()(layers.Add()([around, x]))


def normalized(layers: Any, x: Any, name: str, gamma: Any = "ones") -> Any:
    return layers.BatchNormalization(epsilon=EPSILON, gamma_initializer=gamma, name=name)(x)


NETWORK = Network("resnet", build, (224, 224, 3), 16, classes=1000, channels=True)
