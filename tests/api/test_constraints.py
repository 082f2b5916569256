"""Constraints against Keras's."""

import keras
import numpy as np
import pytest

from kgraph import constraints
from tests.api.oracle import assert_close, assert_same_arguments, public_callables

W = np.random.default_rng(0).normal(size=(5, 3, 2)).astype("float32") * 2

CASES = [
    ("MaxNorm", {}),
    ("MaxNorm", {"max_value": 0.5, "axis": [0, 1]}),
    ("NonNeg", {}),
    ("UnitNorm", {}),
    ("UnitNorm", {"axis": 2}),
    ("MinMaxNorm", {}),
    ("MinMaxNorm", {"min_value": 2.5, "max_value": 3.0, "rate": 0.4, "axis": 1}),
]


@pytest.mark.parametrize("name", public_callables(keras.constraints))
def test_arguments(name: str) -> None:
    assert_same_arguments(constraints, keras.constraints, name)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_values_and_configs(name: str, arguments: dict) -> None:
    ours = getattr(constraints, name)(**arguments)
    theirs = getattr(keras.constraints, name)(**arguments)
    assert_close(ours(W), theirs(W))
    assert ours.get_config() == theirs.get_config()
    assert constraints.serialize(ours) == keras.constraints.serialize(theirs)
    assert_close(constraints.deserialize(keras.constraints.serialize(theirs))(W), ours(W))
    again = keras.constraints.deserialize(constraints.serialize(ours))
    assert again.get_config() == ours.get_config()


def test_get() -> None:
    assert constraints.get(None) is None
    assert isinstance(constraints.get("non_neg"), constraints.NonNeg)
    assert isinstance(constraints.get("MaxNorm"), constraints.MaxNorm)
    assert_close(constraints.Constraint()(W), W)
    with pytest.raises(ValueError, match=r"Did you mean.*'max_norm'"):
        constraints.get("maxnrom")
