"""One model in kgraph and in Keras, with the same weights: what training tests compare."""

from collections.abc import Callable
from typing import Any

import numpy as np

import kgraph

__all__ = ["copy_weights", "data", "history_of", "twins"]


def twins(build: Callable[[Any], Any]) -> tuple[Any, Any]:
    """`build(keras)` of both libraries, uncompiled or compiled; the weights are ours."""
    import keras

    ours = build(kgraph)
    theirs = build(keras)
    theirs.jit_compile = False  # each op is compiled once for all tests, not each step anew
    copy_weights(ours, theirs)
    return ours, theirs


def copy_weights(source: Any, target: Any) -> None:
    """The weights of one model for the other; they must agree in number, order and shape."""
    target.set_weights([np.array(w) for w in source.get_weights()])


def data(samples: int = 22, features: int = 5, classes: int = 3) -> tuple[Any, Any]:
    """Inputs and class numbers, the same in every run."""
    random = np.random.default_rng(3)
    x = random.standard_normal((samples, features)).astype("float32")
    return x, random.integers(0, classes, samples).astype("int32")


def history_of(model: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """What `fit` records, silently and in the order of the data."""
    kwargs = {"verbose": 0, "shuffle": False, **kwargs}
    return dict(model.fit(*args, **kwargs).history)
