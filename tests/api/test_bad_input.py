"""Bad input is told in one clear message: which layer or argument, what was expected, what came."""

from typing import Any

import numpy as np
import pytest

import kgraph
from kgraph import layers
from tests.api.twins import data

pytestmark = pytest.mark.usefixtures("on_reference")

ERRORS = (ValueError, TypeError, kgraph.ir.KGraphError)


def net(**arguments: Any) -> Any:
    model = kgraph.Sequential(
        [layers.Input((5,), name="x"), layers.Dense(4, name="hidden"), layers.Dense(3, "softmax")],
        name="net",
    )
    model.compile(**{"optimizer": "sgd", "loss": "sparse_categorical_crossentropy", **arguments})
    return model


def says(call: Any, *words: str) -> str:
    """The message of the error, which must hold all words."""
    with pytest.raises(ERRORS) as found:
        call()
    text = "\n".join([str(found.value), *getattr(found.value, "__notes__", ())])
    for word in words:
        assert word in text, text
    return text


X, Y = data()


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
def test_wrong_shapes_of_inputs(method):
    says(lambda: getattr(net(), method)(X[:, :4], Y), "5", "4")


@pytest.mark.parametrize("method", ["predict", "predict_on_batch"])
def test_wrong_shapes_for_predictions(method):
    says(lambda: getattr(net(), method)(X[:, :4]), "5", "4")


def test_wrong_ranks_of_inputs():
    says(lambda: net().predict(X[None], verbose=0), "5")
    says(
        lambda: kgraph.Sequential([layers.Conv2D(2, 3, name="conv")])(np.zeros((2, 5))),
        "conv",
        "ndim=4",
        "ndim=2",
    )


def test_wrong_shapes_of_targets():
    says(lambda: net(loss="mse").fit(X, X[:, :4], verbose=0), "4", "3")
    says(lambda: net(loss="categorical_crossentropy").fit(X, Y, verbose=0), "3")
    says(lambda: net(loss="mse").fit(X, X, verbose=0), "mean_squared_error", "(batch, 5)")


def test_lengths_that_differ():
    says(lambda: net().fit(X, Y[:-1], verbose=0), "x: [(22, 5)]", "y: [(21,)]")
    says(lambda: net().fit(X, Y, sample_weight=np.ones(3), verbose=0), "sample_weight: [(3,)]")


def test_wrong_dtypes():
    says(lambda: net().fit(np.array([["a"] * 5]), Y[:1], verbose=0), "numbers", "<U1")
    says(lambda: net().predict(np.array([[object()] * 5]), verbose=0), "numbers", "object")
    says(lambda: net().predict(np.array([[None] * 5]), verbose=0), "numbers")


def two_inputs() -> Any:
    a, b = layers.Input((2,), name="a"), layers.Input((2,), name="b")
    model = kgraph.Model([a, b], layers.Add()([a, b]), name="two")
    model.compile("sgd", "mse")
    return model


def test_missing_and_extra_inputs():
    z = np.zeros((3, 2), "float32")
    says(lambda: two_inputs().predict(z, verbose=0), "two", "2")
    says(lambda: two_inputs().predict([z, z, z], verbose=0), "two", "2", "3")
    says(lambda: two_inputs().predict({"a": z}, verbose=0), "b")
    says(lambda: two_inputs().fit([z, z], None, verbose=0), "loss")
    says(lambda: net().predict({"x": X, "other": X}, verbose=0), "net", "'x'", "'other'")
    with pytest.warns(UserWarning, match=r"two.*\['c'\] are not used"):
        two_inputs().predict({"a": z, "b": z, "c": z}, verbose=0)


def test_missing_and_extra_targets():
    def build() -> Any:
        x = layers.Input((2,))
        model = kgraph.Model(x, [layers.Dense(1, name="p")(x), layers.Dense(1, name="q")(x)])
        model.compile("sgd", {"p": "mse", "q": "mse"})
        return model

    z, t = np.zeros((3, 2), "float32"), np.zeros((3, 1), "float32")
    says(lambda: build().fit(z, t, verbose=0), "`y`", "2 outputs", "1")
    says(lambda: build().fit(z, [t, t, t], verbose=0), "`y`", "2 outputs", "3")
    says(lambda: build().fit(z, {"p": t, "r": t}, verbose=0), "`y`", "'r'", "'q'")
    says(lambda: build().fit(z, {"p": t}, verbose=0), "no target")


@pytest.mark.parametrize("method", ["fit", "evaluate", "train_on_batch", "test_on_batch"])
@pytest.mark.parametrize("eagerly", [False, True])
def test_labels_out_of_range(method, eagerly):
    model = net(metrics=["accuracy"], run_eagerly=eagerly)
    before = [np.array(w) for w in model.get_weights()]
    for label in (3, -1):
        labels = np.where(np.arange(len(Y)) == 4, label, Y)
        says(lambda y=labels: getattr(model, method)(X, y), "`y`", "0 and 2", f"got {label} (1 of")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    getattr(model, method)(X, Y)


def test_labels_out_of_range_that_do_not_count():
    sparse = kgraph.losses.SparseCategoricalCrossentropy(ignore_class=-1)
    assert np.isfinite(net(loss=sparse).train_on_batch(X, np.where(Y == 2, -1, Y)))
    says(lambda: net(loss=sparse).train_on_batch(X, np.where(Y == 2, -2, Y)), "-2")
    labels, weights = np.where(Y == 2, 9, Y), (Y != 2).astype("float32")
    assert np.isfinite(net().train_on_batch(X, labels, sample_weight=weights))
    says(lambda: net().train_on_batch(X, labels, sample_weight=weights + 1), "9")
    assert np.isnan(net().train_on_batch(X * np.nan, Y))


def test_labels_out_of_range_name_the_output():
    x = layers.Input((5,))
    outputs = [layers.Dense(3, "softmax", name=name)(x) for name in ("p", "q")]
    model = kgraph.Model(x, outputs)
    model.compile("sgd", ["sparse_categorical_crossentropy", "sparse_categorical_crossentropy"])
    says(lambda: model.train_on_batch(X, [Y, Y + 1]), "'q'", "got 3")


def test_labels_out_of_range_alone_do_as_keras():
    import keras

    p = np.full((2, 3), 1 / 3, "float32")
    labels = np.array([1, 7], "int32")
    mine = np.asarray(kgraph.losses.sparse_categorical_crossentropy(labels, p))
    theirs = np.asarray(keras.losses.sparse_categorical_crossentropy(labels, p))
    np.testing.assert_allclose(mine, theirs, rtol=1e-6)


def test_unknown_names():
    says(lambda: net(loss="nonsense"), "nonsense")
    says(lambda: net(optimizer="nonsense"), "nonsense")
    says(lambda: net(metrics=["nonsense"]), "nonsense")
    says(lambda: layers.Dense(3, activation="nonsense"), "nonsense")
    says(lambda: layers.Dense(3, kernel_initializer="nonsense"), "nonsense")
    says(lambda: layers.Dense(3, kernel_regularizer="nonsense"), "nonsense")
    with pytest.raises(AttributeError, match="Dence"):
        _ = layers.Dence
    says(lambda: kgraph.config.set_backend("tpu"), "tpu", "llvm")
    says(lambda: net(backend="tpu"), "tpu", "llvm")


def test_an_unknown_backend_in_the_environment(monkeypatch):
    monkeypatch.setenv("KGRAPH_BACKEND", "tpu")
    says(lambda: net().predict(X, verbose=0), "tpu", "llvm")


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"class_name": "Dense"},
        {"class_name": "Nonsense", "config": {}, "module": "keras.layers"},
        {"class_name": "Dense", "config": {"units": "x"}, "module": "keras.layers"},
        {"class_name": "Dense", "config": {"units": 3, "surplus": 1}, "module": "keras.layers"},
        {"class_name": "Dense", "config": None, "module": "keras.layers"},
    ],
)
def test_mutated_configs(config):
    config = {"class_name": "Sequential", "module": "keras", "config": {"layers": [config]}}
    with pytest.raises(ERRORS):
        kgraph.saving.deserialize_keras_object(config)


def test_arguments_of_compile_and_fit():
    says(lambda: net(steps_per_execution=0), "steps_per_execution", "0")
    says(lambda: net(metrics=3).fit(X, Y, verbose=0), "metrics", "3")
    says(lambda: net(loss=["mse", "mse"]).fit(X, Y, verbose=0), "`loss`", "1", "2")
    says(lambda: net().fit(X, Y, validation_freq="x", validation_data=(X, Y), verbose=0), "freq")
    says(lambda: net().fit(X, Y, validation_data=(X,), verbose=0), "validation_data", "1 item")
    says(lambda: net().fit(X[:0], Y[:0], verbose=0), "no batch")
    says(lambda: net().fit(X, Y, batch_size=0, verbose=0), "batch_size", "0")
    says(lambda: net().fit(X, Y, batch_size=-3, verbose=0), "batch_size", "-3")
    says(lambda: net().fit(X, Y, epochs="3", verbose=0), "epochs", "'3'")
    says(lambda: net().fit(X, Y, class_weight=[1, 2, 3], verbose=0), "class_weight", "dict")
    weight = np.ones((len(X), 3))
    says(lambda: net().fit(X, Y, sample_weight=weight, verbose=0), "sample_weight", "(batch, 3)")


def test_arguments_of_layers_and_models():
    x = layers.Input((3, 4))
    says(lambda: layers.BatchNormalization(axis=5, name="norm")(x), "norm", "axis", "5")
    says(lambda: layers.LayerNormalization(axis=[1, 3], name="norm")(x), "norm", "axis", "3")
    says(lambda: kgraph.Model(np.ones(3), np.ones(3)), "KerasTensors", "ndarray")


def test_before_compile():
    model = kgraph.Sequential([layers.Input((5,)), layers.Dense(1)], name="raw")
    says(lambda: model.fit(X, Y, verbose=0), "compile()", "raw", "fit")
    says(lambda: model.evaluate(X, Y, verbose=0), "compile()")
    assert model.predict(X, verbose=0).shape == (22, 1)


def test_set_weights_that_do_not_fit():
    model = net()
    says(lambda: model.set_weights([np.zeros(3)]), "net", "4", "1")
    wrong = [np.zeros((5, 4)), np.zeros(4), np.zeros((4, 2)), np.zeros(2)]
    before = [np.array(w) for w in model.get_weights()]
    says(lambda: model.set_weights(wrong), "(4, 3)", "(4, 2)")
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


class Own(layers.Layer):
    """Returns what it was told to."""

    def __init__(self, result: Any) -> None:
        super().__init__(name="own")
        self.result = result

    def call(self, x: Any) -> Any:
        return self.result(x) if callable(self.result) else self.result


@pytest.mark.parametrize(
    "result",
    [None, "text", object(), lambda x: [x, "text"], lambda x: print],
    ids=["nothing", "text", "object", "text beside a tensor", "function"],
)
def test_a_layer_that_returns_nonsense(result):
    def build() -> None:
        model = kgraph.Sequential([layers.Input((3,)), Own(result), layers.Dense(2)])
        model.predict(np.zeros((2, 3), "float32"), verbose=0)

    says(build, "own")


def test_a_layer_that_returns_another_shape_than_it_said():
    class Lying(layers.Layer):
        def compute_output_shape(self, shape: Any) -> Any:
            return (shape[0], 7)

        def call(self, x: Any) -> Any:
            return x

    model = kgraph.Sequential([layers.Input((3,)), Lying(name="lying"), layers.Dense(2, name="d")])
    says(lambda: model.predict(np.zeros((2, 3), "float32"), verbose=0), "d", "7", "3")


def test_control_flow_on_a_symbolic_value():
    class Branching(layers.Layer):
        def call(self, x: Any) -> Any:
            return x if kgraph.ops.sum(x) > 0 else -x

    def build() -> Any:
        return kgraph.Sequential([layers.Input((3,)), Branching(name="branching")])

    says(build, "branching", "ops.cond", "ops.while_loop", "ops.scan")


def test_a_tensor_that_escaped():
    kept = []

    class Leaking(layers.Layer):
        def call(self, x: Any) -> Any:
            kept.append(x * 2)
            return x

    kgraph.Sequential([layers.Input((3,)), Leaking(name="leaking")]).predict(
        np.zeros((2, 3), "float32"), verbose=0
    )
    for use in (lambda: kept[-1] + 1, lambda: np.asarray(kept[-1]), lambda: float(kept[-1])):
        says(use, "leaking", "after its trace had ended", "test_bad_input.py")


def test_the_body_of_a_loop_that_returns_nonsense():
    def doubled(x: Any) -> Any:
        return kgraph.ops.while_loop(lambda a: kgraph.ops.sum(a) < 9, lambda a: a * 2, (x,))

    says(lambda: kgraph.jit(doubled)(X), "while_loop", "1 value", "Tensor")


def test_a_train_step_that_returns_nonsense():
    class Odd(kgraph.Sequential):
        def train_step(self, data: Any) -> Any:
            return 3

    model = Odd([layers.Input((5,)), layers.Dense(1)], name="odd")
    model.compile("sgd", "mse")
    says(lambda: model.fit(X, X[:, :1], verbose=0), "train_step", "dict", "3")
