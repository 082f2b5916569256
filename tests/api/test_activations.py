"""Activations against Keras's."""

import keras
import numpy as np
import pytest

from kgraph import activations
from tests.api.oracle import assert_close, assert_same_arguments, public_callables

NAMES = [
    n for n in public_callables(keras.activations) if n not in ("deserialize", "get", "serialize")
]

X = np.concatenate(
    [
        np.random.default_rng(0).normal(size=33).astype("float32") * 3,
        np.array([0.0, -0.0, 1.0, -1.0, 3.0, -3.0, 6.0, 0.5, -0.5, 30.0, -30.0], "float32"),
    ]
).reshape(4, 11)

ARGUMENTS = {
    "relu": [
        {"negative_slope": 0.1},
        {"max_value": 2.0},
        {"max_value": 6},
        {"threshold": 0.7},
        {"negative_slope": 0.2, "max_value": 1.5, "threshold": 0.5},
        {"negative_slope": 0.2, "max_value": 1.5},
    ],
    "leaky_relu": [{"negative_slope": 0.3}],
    "elu": [{"alpha": 0.5}],
    "celu": [{"alpha": 0.5}],
    "gelu": [{"approximate": True}],
    "softmax": [{"axis": 0}],
    "log_softmax": [{"axis": 0}],
    "squareplus": [{"b": 2}],
    "hard_shrink": [{"threshold": 1.5}],
    "soft_shrink": [{"threshold": 1.5}],
    "glu": [{"axis": 0}],
}


@pytest.mark.parametrize("name", public_callables(keras.activations))
def test_arguments(name: str) -> None:
    assert_same_arguments(activations, keras.activations, name)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        (name, arguments)
        for name in NAMES
        if name != "sparsemax"
        for arguments in [{}, *ARGUMENTS.get(name, [])]
        if not (name == "threshold" and not arguments) and not (name == "glu" and not arguments)
    ]
    + [("threshold", {"threshold": 0.5, "default_value": -2.0})],
)
def test_values(name: str, arguments: dict) -> None:
    with np.errstate(over="ignore"):
        ours = getattr(activations, name)(X, **arguments)
    assert_close(ours, getattr(keras.activations, name)(X, **arguments))


@pytest.mark.parametrize("axis", [-1, 0])
def test_sparsemax_is_a_projection(axis: int) -> None:
    """Keras is no oracle here: its threshold is off where more than one entry is positive.

    The projection on the probabilities is `max(x - t, 0)` with the t that makes the sum 1.
    """
    result = np.asarray(activations.sparsemax(X, axis), "float64")
    assert_close(result.sum(axis), np.ones(result.shape[1 if axis == 0 else 0]))
    threshold = np.where(result > 0, X - result, -np.inf).max(axis, keepdims=True)
    assert_close(result, np.maximum(X.astype("float64") - threshold, 0.0), atol=1e-5)


@pytest.mark.parametrize("name", [*NAMES])
def test_names_and_configs(name: str) -> None:
    function = getattr(activations, name)
    assert activations.get(name) is function
    assert activations.deserialize(name) is function
    config = activations.serialize(function)
    assert config == keras.activations.serialize(getattr(keras.activations, name))
    assert activations.deserialize(config) is function


def test_get() -> None:
    assert activations.get(None) is activations.linear
    assert activations.get(np.tanh) is np.tanh
    with pytest.raises(ValueError, match=r"'rleu'.*Did you mean.*'relu'"):
        activations.get("rleu")
    with pytest.raises(ValueError, match="type int"):
        activations.get(3)
