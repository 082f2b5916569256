"""`.keras` files between kgraph and Keras: same bits, predictions, training."""

from typing import Any

import numpy as np
import pytest

import kgraph
from tests.saving.models import CASES, sample

pytestmark = pytest.mark.usefixtures("on_reference")


def targets(model: Any, x: Any) -> Any:
    found = [np.ones(y.shape, "float32") for y in outputs(model, x)]
    return found if len(found) > 1 else found[0]


def outputs(model: Any, x: Any) -> list[Any]:
    found = model.predict(x, verbose=0)
    return list(found) if isinstance(found, list | tuple) else [found]


def assert_same_weights(a: Any, b: Any) -> None:
    assert len(a.weights) == len(b.weights)
    for mine, theirs in zip(a.weights, b.weights, strict=True):
        x, y = np.asarray(mine.numpy()), np.asarray(theirs.numpy())
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        assert x.tobytes() == y.tobytes(), mine.path


def assert_same_predictions(a: Any, b: Any, x: Any) -> None:
    for mine, theirs in zip(outputs(a, x), outputs(b, x), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-6)


def trained(k: Any, build: Any) -> tuple[Any, Any, Any]:
    """A model as it is in the midst of training, its inputs and targets."""
    model = build(k)
    model.compile(k.optimizers.Adam(0.01), "mse")
    model.optimizer.build(model.trainable_variables)
    random = np.random.default_rng(0)
    for v in [*model.weights, *model.optimizer.variables]:
        if "int" not in str(v.dtype) and "rate" not in v.path:
            v.assign(random.uniform(0.1, 0.9, v.shape).astype("float32"))
    x = sample(model)
    return model, x, targets(model, x) if k is kgraph else None


@pytest.mark.parametrize("build", CASES, ids=lambda b: b.__name__)
def test_ours_in_keras(build, tmp_path):
    import keras

    ours, x, _ = trained(kgraph, build)
    ours.save(tmp_path / "ours.keras")
    theirs = keras.saving.load_model(tmp_path / "ours.keras")
    assert_same_weights(ours, theirs)
    assert_same_predictions(ours, theirs, x)
    assert_optimizers_agree(ours, theirs)


@pytest.mark.parametrize("build", CASES, ids=lambda b: b.__name__)
def test_theirs_in_kgraph(build, tmp_path):
    import keras

    theirs, x, _ = trained(keras, build)
    theirs.save(tmp_path / "theirs.keras")
    ours = kgraph.saving.load_model(tmp_path / "theirs.keras")
    assert_same_weights(ours, theirs)
    assert_optimizers_agree(ours, theirs)
    theirs.save_weights(tmp_path / "theirs.weights.h5")
    again = build(kgraph)
    again.load_weights(tmp_path / "theirs.weights.h5")
    # the test above has shown that a model of ours predicts as theirs with the same weights
    assert_same_predictions(ours, again, x)
    assert_same_weights(again, theirs)
    again.save_weights(tmp_path / "ours.weights.h5")
    theirs.load_weights(tmp_path / "ours.weights.h5")
    assert_same_weights(again, theirs)


def assert_optimizers_agree(ours: Any, theirs: Any) -> None:
    mine, their = ours.optimizer.variables, theirs.optimizer.variables
    assert len(mine) == len(their)
    for a, b in zip(mine, their, strict=True):
        assert np.asarray(a.numpy()).tobytes() == np.asarray(b.numpy()).tobytes(), a.path


@pytest.mark.parametrize("build", CASES[1:3], ids=lambda b: b.__name__)
def test_training_goes_on_as_if_never_saved(build, tmp_path):
    import keras

    ours, x, y = trained(kgraph, build)
    ours.save(tmp_path / "m.keras")
    again = kgraph.saving.load_model(tmp_path / "m.keras")
    theirs = keras.saving.load_model(tmp_path / "m.keras")
    theirs.jit_compile = False
    for _ in range(2):
        expected = ours.train_on_batch(x, y)
        np.testing.assert_array_equal(again.train_on_batch(x, y), expected)
        np.testing.assert_allclose(
            np.ravel(theirs.train_on_batch(x, y))[0], np.ravel(expected)[0], rtol=1e-5
        )
    for a, b in zip(ours.get_weights(), again.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def scaled(k: Any) -> Any:
    @k.saving.register_keras_serializable(package="both", name="Scaled")
    class Scaled(k.layers.Layer):
        def __init__(self, factor: float = 1.0, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.factor = factor

        def build(self, shape: Any) -> None:
            self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

        def call(self, x: Any) -> Any:
            return x * self.scale * self.factor

        def get_config(self) -> dict[str, Any]:
            return {**super().get_config(), "factor": self.factor}

    return k.Sequential([k.layers.Input((3,)), Scaled(2.5, name="own"), k.layers.Dense(2)])


def test_a_class_of_ones_own(tmp_path):
    import keras

    ours, theirs = scaled(kgraph), scaled(keras)
    x = np.ones((2, 3), "float32")
    ours.layers[0].set_weights([np.array([1, 2, 3], "float32")])
    ours.save(tmp_path / "ours.keras")
    loaded = keras.saving.load_model(tmp_path / "ours.keras")
    assert loaded.layers[0].factor == 2.5
    assert_same_weights(ours, loaded)
    assert_same_predictions(ours, loaded, x)
    theirs.save(tmp_path / "theirs.keras")
    loaded = kgraph.saving.load_model(tmp_path / "theirs.keras")
    assert loaded.layers[0].factor == 2.5
    assert_same_weights(loaded, theirs)
    assert_same_predictions(loaded, theirs, x)


def test_a_model_that_was_not_compiled(tmp_path):
    model = scaled(kgraph)
    model.save(tmp_path / "m.keras")
    again = kgraph.saving.load_model(tmp_path / "m.keras")
    assert not again.compiled
    assert_same_weights(model, again)


def test_compile_false_leaves_the_optimizer(tmp_path):
    model, x, _ = trained(kgraph, CASES[0])
    model.save(tmp_path / "m.keras")
    again = kgraph.saving.load_model(tmp_path / "m.keras", compile=False)
    assert again.optimizer is None
    assert_same_predictions(model, again, x)


def test_subclassed_weights(tmp_path):
    def build(k):
        class Net(k.Model):
            def __init__(self):
                super().__init__()
                self.first = k.layers.Dense(3)
                self.more = [k.layers.Dense(2), k.layers.Dense(2)]

            def call(self, x):
                x = self.first(x)
                for layer in self.more:
                    x = layer(x)
                return x

        return Net()

    import keras

    x = np.ones((2, 4), "float32")
    ours, theirs = build(kgraph), build(keras)
    ours(x)
    theirs(x)
    ours.save_weights(tmp_path / "a.weights.h5")
    theirs.load_weights(tmp_path / "a.weights.h5")
    assert_same_predictions(ours, theirs, x)
