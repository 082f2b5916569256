"""A transformer encoder of 4 layers, normalised after each sum, whose mean state is classified."""

from types import ModuleType
from typing import Any

from benchmarks.models.network import Network

VOCABULARY, WIDTH, HEADS, LAYERS, INNER, LENGTH = 8192, 256, 8, 4, 1024, 128
EPSILON = 1e-5


def build(keras: ModuleType) -> Any:
    layers = keras.layers
    tokens = keras.Input(shape=(LENGTH,), dtype="int32")
    x = layers.Embedding(VOCABULARY, WIDTH, name="embedding")(tokens)
    for i in range(LAYERS):
        x = block(layers, x, f"blocks_{i}")
    x = layers.GlobalAveragePooling1D()(x)
    return keras.Model(tokens, layers.Dense(10, activation="softmax", name="dense")(x))


def block(layers: Any, x: Any, name: str) -> Any:
    attention = layers.MultiHeadAttention(HEADS, WIDTH // HEADS, name=f"{name}_attention")
    y = layers.Add()([x, attention(x, x)])
    x = layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm1")(y)
    y = layers.Dense(INNER, activation="gelu", name=f"{name}_up")(x)  # the exact one, by erf
    y = layers.Dense(WIDTH, name=f"{name}_down")(y)
    return layers.LayerNormalization(epsilon=EPSILON, name=f"{name}_norm2")(layers.Add()([x, y]))


NETWORK = Network("transformer", build, (LENGTH,), 16, vocabulary=VOCABULARY)
