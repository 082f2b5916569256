"""The seed program's network: one step and many agree on every backend, and with Keras."""

from typing import Any

import numpy as np
import pytest

import kgraph
from tests.api.twins import copy_weights

BACKENDS = ("reference", "llvm", "jax")
STEP_NORM, TEN_STEPS, FLOAT64 = 1e-5, 1e-4, 1e-9
RATE = 1e-3


def convnet(k: Any, channels: int, dropout: float, dtype: str = "float32") -> Any:
    """The seed's layers; its own has 64 and 128 channels, and drops half."""
    few, many = channels, 2 * channels
    kernel = {"kernel_size": (3, 3), "activation": "relu", "dtype": dtype}
    return k.Sequential(
        [
            k.layers.Input(shape=(28, 28, 1), dtype=dtype),
            k.layers.Conv2D(few, **kernel),
            k.layers.Conv2D(few, **kernel),
            k.layers.MaxPooling2D(pool_size=(2, 2), dtype=dtype),
            k.layers.Conv2D(many, **kernel),
            k.layers.Conv2D(many, **kernel),
            k.layers.GlobalAveragePooling2D(dtype=dtype),
            k.layers.Dropout(dropout, seed=5, dtype=dtype),
            k.layers.Dense(10, activation="softmax", dtype=dtype),
        ]
    )


def digits(samples: int, dtype: str = "float32") -> tuple[Any, Any]:
    (x, y), _ = kgraph.datasets.mnist.load_embedded()
    return (x[:samples, ..., None] / 255).astype(dtype), y[:samples].astype("int32")


def weights(channels: int, dtype: str = "float32") -> list[Any]:
    """The same weights in every run, of the size that training begins with."""
    random = np.random.default_rng(4)
    shapes = [w.shape for w in convnet(kgraph, channels, 0.0, dtype).weights]
    found = []
    for shape in shapes:
        limit = np.sqrt(6 / (np.prod(shape[:-1]) + shape[-1])) if len(shape) > 1 else 0.02
        found.append(random.uniform(-limit, limit, shape).astype(dtype))
    return found


def run(backend: str, channels: int, steps: int, batch: int, dropout: float, dtype: str) -> Any:
    """The losses, and the weights after the first step, of training with plain descent."""
    model = convnet(kgraph, channels, dropout, dtype)
    model.set_weights(weights(channels, dtype))
    model.compile(
        kgraph.optimizers.SGD(RATE), kgraph.losses.SparseCategoricalCrossentropy(), backend=backend
    )
    return train(model, steps, batch, dtype)


def train(model: Any, steps: int, batch: int, dtype: str) -> Any:
    x, y = digits(steps * batch, dtype)
    losses, first = [], None
    for i in range(steps):
        rows = slice(i * batch, (i + 1) * batch)
        losses.append(float(model.train_on_batch(x[rows], y[rows])))
        if first is None:
            first = [np.array(w, "float64") for w in model.get_weights()]
    return np.array(losses), first


def gradients(first: list[Any], channels: int) -> list[Any]:
    """What the first step took from the weights, by the rate."""
    pairs = zip(weights(channels), first, strict=True)
    return [(before.astype("float64") - after) / RATE for before, after in pairs]


def exact_gradients(backend: str, channels: int, batch: int, dropout: float) -> tuple[float, Any]:
    """The loss and the gradients of one step, computed as a program of their own."""
    model = convnet(kgraph, channels, dropout)
    model.set_weights(weights(channels))
    x, y = digits(batch)

    def function(a: Any, b: Any) -> Any:
        loss = kgraph.ops.mean(
            kgraph.losses.sparse_categorical_crossentropy(b, model(a, training=True))
        )
        wrt = [v.value for v in model.trainable_variables]
        return loss, kgraph.ops.gradients(loss, wrt)

    loss, found = kgraph.ops.Step(function, name="gradients", backend=backend)(x, y)
    return float(loss), [np.asarray(g) for g in found]


def keras_gradients(channels: int, batch: int) -> tuple[float, Any]:
    import jax
    import keras

    model = convnet(keras, channels, 0.0)
    model.set_weights(weights(channels))
    x, y = digits(batch)
    state = [v.value for v in model.trainable_variables]

    def loss(values: Any) -> Any:
        predicted, _ = model.stateless_call(values, model.non_trainable_variables, x, training=True)
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(y, predicted))

    value, found = jax.jit(jax.value_and_grad(loss))(state)
    return float(value), [np.asarray(g) for g in found]


def assert_near(found: Any, expected: Any, bound: float, label: str = "") -> None:
    """Norm-wise: the length of the difference against that of what is expected."""
    found, expected = np.asarray(found, "float64"), np.asarray(expected, "float64")
    distance = np.linalg.norm(found - expected) / max(np.linalg.norm(expected), 1e-12)
    assert distance <= bound, f"{label}: {distance:.3g} > {bound}"


def check_first_step(channels: int, batch: int) -> None:
    for dropout in (0.5, 0.0):
        loss, expected = exact_gradients("reference", channels, batch, dropout)
        others = (
            {b: exact_gradients(b, channels, batch, dropout) for b in BACKENDS[1:]}
            if dropout
            else {"keras": keras_gradients(channels, batch)}
        )
        for name, (other, found) in others.items():
            assert abs(other - loss) <= STEP_NORM * abs(loss), name
            for i, (a, b) in enumerate(zip(found, expected, strict=True)):
                assert_near(a, b, STEP_NORM, f"{name}, dropout {dropout}, weight {i}")


def check_losses(channels: int, steps: int, batch: int, bound: float) -> None:
    expected, _ = run("reference", channels, steps, batch, 0.5, "float32")
    assert len(set(expected)) == steps
    for backend in BACKENDS[1:]:
        found, _ = run(backend, channels, steps, batch, 0.5, "float32")
        np.testing.assert_allclose(found, expected, rtol=bound, err_msg=backend)


def test_first_step():
    check_first_step(channels=4, batch=8)


def test_ten_steps():
    check_losses(channels=4, steps=10, batch=8, bound=TEN_STEPS)


def test_ten_steps_as_keras():
    import keras

    expected, _ = run("llvm", 4, 10, 8, 0.0, "float32")
    theirs = convnet(keras, 4, 0.0)
    theirs.set_weights(weights(4))
    theirs.compile(keras.optimizers.SGD(RATE), keras.losses.SparseCategoricalCrossentropy())
    found, _ = train(theirs, 10, 8, "float32")
    np.testing.assert_allclose(found, expected, rtol=TEN_STEPS)


def test_a_step_takes_the_gradient():
    _, first = run("llvm", 4, 1, 8, 0.0, "float32")
    _, expected = exact_gradients("reference", 4, 8, 0.0)
    for a, b in zip(gradients(first, 4), expected, strict=True):
        assert_near(a, b, 1e-2)  # a difference of float32 weights keeps few digits


@pytest.fixture
def wide(monkeypatch):
    """Everything in float64, jax's arrays too."""
    import jax

    jax.config.update("jax_enable_x64", True)
    kgraph.config.set_floatx("float64")
    yield
    kgraph.config.set_floatx("float32")
    jax.config.update("jax_enable_x64", False)


def check_float64(channels: int) -> None:
    expected, _ = run("reference", channels, 20, 16, 0.5, "float64")
    for backend in BACKENDS[1:]:
        found, _ = run(backend, channels, 20, 16, 0.5, "float64")
        np.testing.assert_allclose(found, expected, rtol=FLOAT64, err_msg=backend)


@pytest.mark.usefixtures("wide")
def test_twenty_steps_in_float64():
    check_float64(channels=2)


def test_dropout_draws_the_masks_of_keras():
    import keras

    x = np.ones((4, 50), "float32")
    mine = np.asarray(kgraph.layers.Dropout(0.5, seed=5)(x, training=True))
    theirs = np.asarray(keras.layers.Dropout(0.5, seed=5)(x, training=True))
    np.testing.assert_array_equal(mine, theirs)


def test_predictions_agree_after_copying():
    import keras

    ours, theirs = convnet(kgraph, 4, 0.5), convnet(keras, 4, 0.5)
    copy_weights(ours, theirs)
    x, _ = digits(6)
    np.testing.assert_allclose(
        ours.predict(x, verbose=0), theirs.predict(x, verbose=0), rtol=1e-5, atol=1e-7
    )


@pytest.mark.slow
def test_first_step_of_the_seed_itself():
    check_first_step(channels=64, batch=16)


@pytest.mark.slow
def test_ten_steps_of_the_seed_itself():
    check_losses(channels=64, steps=10, batch=16, bound=TEN_STEPS)


@pytest.mark.slow
def test_fifty_steps_of_the_seed_itself():
    check_losses(channels=64, steps=50, batch=16, bound=1e-2)


@pytest.mark.slow
@pytest.mark.usefixtures("wide")
def test_float64_of_the_seed_itself():
    check_float64(channels=64)
