"""The same weights for everybody: drawn by a layer's name, in Keras's layout."""

from typing import Any
from zlib import crc32

import numpy as np

Weights = dict[str, np.ndarray]


def key(layer: str, index: int) -> str:
    """The name of a layer's array number `index`."""
    return f"{layer}:{index}"


def drawn(model: Any) -> Weights:
    """Weights for a model, sized so that signals keep their size from layer to layer.

    A scale is near what the model begins with, which is small where branches are summed up.
    """
    found = {}
    for layer in model.layers:
        random = np.random.default_rng(crc32(layer.name.encode()))
        for i, variable in enumerate(layer.weights):
            kind = variable.path.split("/")[-1]
            values = draw(random, kind, tuple(variable.shape))
            found[key(layer.name, i)] = values * first(variable) if kind == "gamma" else values
    return found


def first(variable: Any) -> np.float32:
    """The number with which a variable begins."""
    return np.float32(np.asarray(variable).flat[0])


def draw(random: np.random.Generator, kind: str, shape: tuple[int, ...]) -> np.ndarray:
    values = random.standard_normal(shape, dtype="float32")
    match kind:
        case "gamma" | "moving_variance":
            return np.exp(0.1 * values)
        case "bias" | "beta" | "moving_mean":
            return 0.1 * values
        case "embeddings":
            return values
        case _:
            depthwise = len(shape) == 4 and shape[-1] == 1
            sums = np.prod(shape[:-2] if depthwise else shape[:-1])
            return values * np.float32((2 / sums) ** 0.5)


def load(model: Any, weights: Weights) -> None:
    """Sets the weights of a model of kgraph or keras."""
    for layer in model.layers:
        if layer.weights:
            layer.set_weights([weights[key(layer.name, i)] for i in range(len(layer.weights))])


def keys_of_variables(model: Any) -> dict[int, str]:
    """By the identity of a variable, the name of its array."""
    return {
        id(variable): key(layer.name, i)
        for layer in model.layers
        for i, variable in enumerate(layer.weights)
    }
