"""Initializers against Keras's: the same numbers from the same seed."""

import keras
import numpy as np
import pytest

from kgraph import initializers, random
from tests.api.oracle import assert_close, assert_same_arguments, public_callables

NAMES = [n for n in public_callables(keras.initializers) if "stft" not in n.lower()]

SCALED = ["GlorotNormal", "GlorotUniform", "HeNormal", "HeUniform", "LecunNormal", "LecunUniform"]

CASES = [
    ("Zeros", {}),
    ("Ones", {}),
    ("Constant", {"value": 2.5}),
    ("RandomNormal", {"seed": 3}),
    ("RandomNormal", {"mean": 1.0, "stddev": 2.0, "seed": 4}),
    ("RandomUniform", {"seed": 3}),
    ("RandomUniform", {"minval": -3.0, "maxval": 7.0, "seed": 5}),
    ("TruncatedNormal", {"seed": 3}),
    ("TruncatedNormal", {"mean": 1.0, "stddev": 2.0, "seed": 6}),
    ("VarianceScaling", {"seed": 7}),
    ("VarianceScaling", {"scale": 3.0, "mode": "fan_avg", "distribution": "uniform", "seed": 7}),
    ("VarianceScaling", {"mode": "fan_out", "distribution": "untruncated_normal", "seed": 8}),
    ("VarianceScaling", {"seed": 7, "input_axes": [0], "output_axes": [1, -1]}),
    ("Orthogonal", {"seed": 9}),
    ("Orthogonal", {"gain": 2.0, "seed": 10}),
    *((name, {"seed": 11}) for name in SCALED),
]


@pytest.mark.parametrize("name", NAMES)
def test_arguments(name: str) -> None:
    assert_same_arguments(initializers, keras.initializers, name)


@pytest.mark.parametrize("shape", [(4, 6), (7, 3), (3, 3, 2, 5)], ids=str)
@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_values(name: str, arguments: dict, shape: tuple) -> None:
    ours = initializers.get(getattr(initializers, name)(**arguments))(shape)
    theirs = getattr(keras.initializers, name)(**arguments)(shape)
    assert str(ours.dtype) == "float32"
    # A few units in the last place of the largest; the factors of a QR decomposition have more.
    scale = max(1.0, float(np.abs(theirs).max()))
    exact = name != "Orthogonal"
    assert_close(
        ours, theirs, rtol=6e-7 if exact else 1e-4, atol=(1.2e-7 if exact else 2e-6) * scale
    )


def test_identity_and_dtypes() -> None:
    assert_close(initializers.Identity(2.0)((3, 4)), 2.0 * np.eye(3, 4))
    assert str(initializers.Ones()((2,), dtype="int32").dtype) == "int32"
    assert str(initializers.RandomNormal(seed=1)((2,), dtype="float64").dtype) == "float64"
    assert str(initializers.Orthogonal(seed=1)((2, 2), dtype="float16").dtype) == "float16"


def test_orthogonality() -> None:
    wide = np.asarray(initializers.Orthogonal(seed=1)((4, 9)))
    assert_close(wide @ wide.T, np.eye(4), atol=1e-5)


@pytest.mark.parametrize(("name", "arguments"), CASES, ids=str)
def test_configs_go_both_ways(name: str, arguments: dict) -> None:
    ours = getattr(initializers, name)(**arguments)
    theirs = getattr(keras.initializers, name)(**arguments)
    assert ours.get_config() == theirs.get_config()
    assert initializers.serialize(ours) == keras.initializers.serialize(theirs)
    back = initializers.deserialize(keras.initializers.serialize(theirs))
    assert type(back) is type(ours)
    assert_close(back((3, 4, 5)), ours((3, 4, 5)), rtol=0, atol=0)
    assert keras.initializers.deserialize(initializers.serialize(ours)).get_config() == (
        theirs.get_config()
    )


def test_seeds() -> None:
    fixed = initializers.RandomNormal(seed=1)
    assert_close(fixed((3,)), fixed((3,)), rtol=0, atol=0)
    unseeded = initializers.RandomNormal()
    assert unseeded.get_config()["seed"] is None
    assert_close(unseeded((3,)), unseeded((3,)), rtol=0, atol=0)
    generated = initializers.RandomNormal(seed=random.SeedGenerator(1))
    assert not np.array_equal(generated((3,)), generated((3,)))
    with pytest.raises(ValueError, match=r"`seed`.*'one'"):
        initializers.RandomNormal(seed="one")


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("zeros", "Zeros"),
        ("glorot_uniform", "GlorotUniform"),
        ("HeNormal", "HeNormal"),
        ("normal", "RandomNormal"),
        ("uniform", "RandomUniform"),
        ("one", "Ones"),
        ("IdentityInitializer", "Identity"),
    ],
)
def test_names(name: str, cls: str) -> None:
    assert type(initializers.get(name)) is getattr(initializers, cls)
    assert type(keras.initializers.get(name)).__name__ == cls


def test_get() -> None:
    assert initializers.get(None) is None
    array = np.arange(6, dtype="float64").reshape(2, 3)
    made = initializers.get(array)((2, 3), dtype="float32")
    assert str(made.dtype) == "float32"
    assert_close(made, array)
    with pytest.raises(ValueError, match=r"shape \(2, 3\).*shape \(3, 2\)"):
        initializers.get(array)((3, 2))
    with pytest.raises(ValueError, match="Did you mean 'glorot_uniform'"):
        initializers.get("glorot_unifrom")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: initializers.VarianceScaling(scale=0.0), "`scale` must be a positive"),
        (lambda: initializers.VarianceScaling(mode="fan"), "`mode` must be one of"),
        (lambda: initializers.VarianceScaling(distribution="x"), "`distribution` must be one"),
        (lambda: initializers.Identity()((2, 2, 2)), "rank 2"),
        (lambda: initializers.Orthogonal()((2,)), "rank 2 or more"),
        (lambda: initializers.Initializer()((2,)), "must implement"),
    ],
)
def test_errors(make, message: str) -> None:
    with pytest.raises((ValueError, NotImplementedError), match=message):
        make()


def test_fans() -> None:
    assert initializers.compute_fans(()) == (1, 1)
    assert initializers.compute_fans((5,)) == (5, 5)
    assert initializers.compute_fans((3, 5, 7)) == (15, 21)
    assert initializers.compute_fans((3, 5, 7), [0], [1, 2]) == (3, 35)
