"""Regularizers against Keras's."""

import keras
import numpy as np
import pytest

from kgraph import regularizers
from tests.api.oracle import assert_close, assert_same_arguments, public_callables

W = np.random.default_rng(0).normal(size=(5, 7)).astype("float32")

CASES = [
    ("L1", {}),
    ("L1", {"l1": 0.3}),
    ("L2", {}),
    ("L2", {"l2": 2}),
    ("L1L2", {}),
    ("L1L2", {"l1": 0.1, "l2": 0.2}),
    ("OrthogonalRegularizer", {}),
    ("OrthogonalRegularizer", {"factor": 0.5, "mode": "columns"}),
]


@pytest.mark.parametrize("name", public_callables(keras.regularizers))
def test_arguments(name: str) -> None:
    assert_same_arguments(regularizers, keras.regularizers, name)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_values_and_configs(name: str, arguments: dict) -> None:
    ours = getattr(regularizers, name)(**arguments)
    theirs = getattr(keras.regularizers, name)(**arguments)
    assert_close(ours(W), theirs(keras.ops.convert_to_tensor(W)))
    assert ours.get_config() == pytest.approx(theirs.get_config())
    back = regularizers.deserialize(keras.regularizers.serialize(theirs))
    assert_close(back(W), ours(W))
    again = keras.regularizers.deserialize(regularizers.serialize(ours))
    assert again.get_config() == pytest.approx(ours.get_config())


def test_get() -> None:
    assert regularizers.get(None) is None
    assert regularizers.get("l2").get_config() == {"l2": 0.01}
    assert isinstance(regularizers.get("orthogonal_regularizer"), regularizers.Regularizer)
    assert regularizers.get(regularizers.L1).get_config() == {"l1": 0.01}
    assert regularizers.L1L2(None, None).get_config() == {"l1": 0.0, "l2": 0.0}
    with pytest.raises(ValueError, match="Could not interpret regularizer identifier: 'l3'"):
        regularizers.get("l3")


@pytest.mark.parametrize("wrong", [-1.0, float("nan"), float("inf"), "a"])
def test_factors(wrong: object) -> None:
    for make in (regularizers.L1, regularizers.L2, regularizers.OrthogonalRegularizer):
        with pytest.raises(ValueError, match="finite number of 0 or more"):
            make(wrong)
    with pytest.raises(ValueError, match="`l2`"):
        regularizers.L1L2(l2=wrong)


def test_orthogonal_errors() -> None:
    with pytest.raises(ValueError, match="'rows' or 'columns'"):
        regularizers.OrthogonalRegularizer(mode="diagonals")
    with pytest.raises(ValueError, match="rank 2"):
        regularizers.OrthogonalRegularizer()(W[0])
