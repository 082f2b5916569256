"""`fit`, `evaluate` and `predict` give the numbers, keys and orders that Keras gives."""

from typing import Any

import numpy as np
import pytest

import kgraph
from tests.api.twins import data, history_of, twins

pytestmark = pytest.mark.usefixtures("on_reference")


def net(k: Any, **compile_arguments: Any) -> Any:
    """Five features, three classes."""
    model = k.Sequential(
        [
            k.layers.Input((5,)),
            k.layers.Dense(4, activation="tanh", name="hidden"),
            k.layers.Dense(3, activation="softmax", name="head"),
        ]
    )
    arguments = {
        "optimizer": "sgd",
        "loss": "sparse_categorical_crossentropy",
        "metrics": ["accuracy"],
        **compile_arguments,
    }
    model.compile(**arguments)
    return model


def two_heads(k: Any, **compile_arguments: Any) -> Any:
    """One input, an output of three classes and one number."""
    x = k.layers.Input((5,), name="x")
    hidden = k.layers.Dense(4, activation="relu", name="hidden")(x)
    kind = k.layers.Dense(3, activation="softmax", name="kind")(hidden)
    size = k.layers.Dense(1, name="size")(hidden)
    model = k.Model(x, [kind, size])
    arguments = {
        "optimizer": "sgd",
        "loss": ["sparse_categorical_crossentropy", "mse"],
        **compile_arguments,
    }
    model.compile(**arguments)
    return model


def assert_same_history(ours: dict[str, Any], theirs: dict[str, Any], rtol: float = 1e-5) -> None:
    assert list(ours) == list(theirs)
    for key in ours:
        np.testing.assert_allclose(ours[key], theirs[key], rtol=rtol, atol=1e-6, err_msg=key)


def assert_fits_alike(build: Any, *args: Any, **kwargs: Any) -> None:
    """Same history, same weights afterwards."""
    ours, theirs = twins(build)
    assert_same_history(history_of(ours, *args, **kwargs), history_of(theirs, *args, **kwargs))
    for a, b in zip(ours.get_weights(), theirs.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "rmsprop", "adamw"])
def test_fit_as_keras(optimizer):
    x, y = data()
    build = lambda k: net(k, optimizer=optimizer)  # noqa: E731
    assert_fits_alike(build, x, y, batch_size=8, epochs=3)


@pytest.mark.parametrize(
    "arguments",
    [
        {"validation_split": 0.3},
        {"validation_split": 0.3, "validation_freq": 2},
        {"validation_data": data(9)},
        {"validation_data": data(9), "validation_batch_size": 4, "validation_freq": [1, 3]},
        {"validation_data": data(9), "validation_batch_size": 2, "validation_steps": 2},
        {"sample_weight": np.linspace(0.1, 2, 22, dtype="float32")},
        {"class_weight": {0: 0.5, 1: 2.0, 2: 1.0}},
        {"sample_weight": np.linspace(0.1, 2, 22, dtype="float32"), "validation_split": 0.3},
        {"initial_epoch": 1},
        {"steps_per_epoch": 2, "epochs": 1},
        {"steps_per_epoch": 1, "epochs": 3},
        {"batch_size": None, "steps_per_epoch": 2},
        {"batch_size": None, "validation_data": data(9), "validation_steps": 3},
        {"batch_size": 30},
        {"batch_size": 1},
        {"shuffle": False, "verbose": 0},
    ],
    ids=lambda a: ",".join(a),
)
def test_fit_arguments(arguments):
    x, y = data()
    assert_fits_alike(net, x, y, **{"batch_size": 8, "epochs": 3, **arguments})


@pytest.mark.parametrize(
    "arguments",
    [
        {"metrics": ["accuracy", "sparse_categorical_crossentropy"]},
        {"metrics": None},
        {"metrics": ["acc"], "weighted_metrics": ["accuracy", "sparse_top_k_categorical_accuracy"]},
        {"metrics": ["accuracy"], "weighted_metrics": ["accuracy"]},
        {"loss_weights": 0.5},
        {"loss_weights": [0.25]},
        {"loss": ["sparse_categorical_crossentropy"], "metrics": [["accuracy"]]},
    ],
    ids=str,
)
def test_compile_arguments(arguments):
    x, y = data()
    weight = np.linspace(0.1, 2, 22, dtype="float32")
    build = lambda k: net(k, **arguments)  # noqa: E731
    ours, theirs = twins(build)
    kwargs = {"batch_size": 8, "epochs": 2, "sample_weight": weight}
    assert_same_history(history_of(ours, x, y, **kwargs), history_of(theirs, x, y, **kwargs))
    if arguments.get("weighted_metrics") != ["accuracy"]:  # Keras lists one name twice
        assert_evaluates_alike(ours, theirs, x, y)


def assert_evaluates_alike(ours: Any, theirs: Any, *args: Any, **kwargs: Any) -> None:
    mine = ours.evaluate(*args, verbose=0, batch_size=8, **kwargs)
    their = theirs.evaluate(*args, verbose=0, batch_size=8, **kwargs)
    np.testing.assert_allclose(mine, their, rtol=1e-5, atol=1e-6)
    assert isinstance(mine, list) == isinstance(their, list)
    mine = ours.evaluate(*args, verbose=0, batch_size=8, return_dict=True, **kwargs)
    their = theirs.evaluate(*args, verbose=0, batch_size=8, return_dict=True, **kwargs)
    assert list(mine) == list(their)
    assert_same_history(mine, their)


TWO = (data()[1], data()[0][:, :1])


@pytest.mark.parametrize(
    ("arguments", "y"),
    [
        ({}, list(TWO)),
        ({"metrics": [["accuracy"], ["mae"]]}, list(TWO)),
        ({"metrics": {"size": ["mae", "mse"]}}, list(TWO)),
        ({"metrics": {"size": "mae", "kind": "acc"}, "weighted_metrics": {"kind": "acc"}}, TWO),
        ({"loss_weights": [0.3, 2.0]}, list(TWO)),
        ({"loss_weights": {"size": 2.0, "kind": 0.5}}, list(TWO)),
        (
            {"loss": {"kind": "sparse_categorical_crossentropy", "size": "mae"}},
            {"kind": TWO[0], "size": TWO[1]},
        ),
        ({"loss": ["sparse_categorical_crossentropy", None]}, list(TWO)),
    ],
    ids=lambda a: ",".join(a) if isinstance(a, dict) else "",
)
def test_several_outputs(arguments, y):
    x, _ = data()
    build = lambda k: two_heads(k, **arguments)  # noqa: E731
    assert_fits_alike(build, x, y, batch_size=8, epochs=2)
    assert_evaluates_alike(*twins(build), x, y)


def test_sample_weights_per_output():
    x, _ = data()
    weights = [np.linspace(0, 1, 22, dtype="float32"), np.linspace(1, 0.5, 22, dtype="float32")]
    assert_fits_alike(two_heads, x, list(TWO), sample_weight=weights, batch_size=8)


def test_dicts_in_and_out():
    def build(k):
        a, b = k.layers.Input((2,), name="a"), k.layers.Input((3,), name="b")
        both = k.layers.Concatenate()([a, b])
        model = k.Model({"a": a, "b": b}, {"p": k.layers.Dense(2, name="dp")(both)})
        model.compile("sgd", loss={"p": "mse"}, metrics={"p": ["mae"]})
        return model

    random = np.random.default_rng(0)
    x = {n: random.standard_normal((9, i)).astype("float32") for n, i in (("b", 3), ("a", 2))}
    y = {"p": np.ones((9, 2), "float32")}
    assert_fits_alike(build, x, y, batch_size=4, epochs=2)
    ours, theirs = twins(build)
    assert_evaluates_alike(ours, theirs, x, y)
    mine, their = ours.predict(x, verbose=0), theirs.predict(x, verbose=0)
    assert list(mine) == list(their) == ["p"]
    np.testing.assert_allclose(mine["p"], their["p"], rtol=1e-5, atol=1e-6)


def test_list_of_inputs():
    def build(k):
        a, b = k.layers.Input((2,)), k.layers.Input((2,))
        model = k.Model([a, b], k.layers.Dense(1)(k.layers.Add()([a, b])))
        model.compile("sgd", "mse")
        return model

    x = [np.ones((5, 2), "float32"), np.arange(10, dtype="float32").reshape(5, 2)]
    assert_fits_alike(build, x, np.ones((5, 1), "float32"), batch_size=2, epochs=2)


def test_data_that_run_out_stop_the_epoch():
    x, y = data()
    ours, theirs = twins(net)
    kwargs = {"batch_size": 8, "epochs": 3, "steps_per_epoch": 2}
    with pytest.warns(UserWarning, match="ran out"):
        mine = history_of(ours, x, y, **kwargs)
    with pytest.warns(UserWarning, match="ran out"):
        their = history_of(theirs, x, y, **kwargs)
    assert_same_history(mine, their)


def test_predict_keeps_order_and_structure():
    ours, theirs = twins(two_heads)
    x, _ = data()
    for a, b in zip(
        ours.predict(x, batch_size=5, verbose=0),
        theirs.predict(x, batch_size=5, verbose=0),
        strict=True,
    ):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    few = ours.predict(x, batch_size=5, steps=2, verbose=0)
    assert [len(part) for part in few] == [10, 10]


def test_single_batches_as_keras():
    ours, theirs = twins(lambda k: net(k, optimizer="adam"))
    x, y = data()
    for start in (0, 7, 14):
        batch = x[start : start + 7], y[start : start + 7]
        np.testing.assert_allclose(
            ours.train_on_batch(*batch), theirs.train_on_batch(*batch), rtol=1e-5
        )
    weight = np.linspace(0, 1, 22, dtype="float32")
    for model_result in zip(
        ours.test_on_batch(x, y, sample_weight=weight),
        theirs.test_on_batch(x, y, sample_weight=weight),
        strict=True,
    ):
        np.testing.assert_allclose(*model_result, rtol=1e-5)
    classes = {0: 2.0, 1: 0.5}
    mine = ours.train_on_batch(x, y, class_weight=classes, return_dict=True)
    their = theirs.train_on_batch(x, y, class_weight=classes, return_dict=True)
    assert list(mine) == list(their)
    assert_same_history(mine, their)
    np.testing.assert_allclose(
        ours.predict_on_batch(x), theirs.predict_on_batch(x), rtol=1e-4, atol=1e-6
    )


def test_predict_weights_predict_train_predict():
    model = net(kgraph)
    x, y = data()
    first = model.predict(x, verbose=0)
    old = [np.array(w) for w in model.get_weights()]
    model.set_weights([w * 2 for w in old])
    assert not np.allclose(model.predict(x, verbose=0), first)
    model.set_weights(old)
    np.testing.assert_array_equal(model.predict(x, verbose=0), first)
    model.fit(x, y, verbose=0)
    assert not np.allclose(model.predict(x, verbose=0), first)
    np.testing.assert_allclose(model(x), model.predict(x, verbose=0), rtol=1e-6)


def test_run_eagerly_gives_the_same():
    x, y = data()
    compiled, eager = net(kgraph), net(kgraph, run_eagerly=True)
    eager.set_weights(compiled.get_weights())
    assert_same_history(
        history_of(compiled, x, y, batch_size=8, epochs=2),
        history_of(eager, x, y, batch_size=8, epochs=2),
    )


def test_run_eagerly_shows_numbers_to_python():
    seen = []

    class Seeing(kgraph.layers.Layer):
        def compute_output_shape(self, shape):
            return shape

        def call(self, x):
            seen.append(float(np.asarray(x).sum()))
            return x

    model = kgraph.Sequential([kgraph.layers.Input((2,)), Seeing(), kgraph.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    seen.clear()
    model.fit(np.ones((4, 2)), np.ones((4, 1)), batch_size=2, verbose=0)
    assert seen == [4.0, 4.0]


def test_steps_per_execution():
    x, y = data()
    ends = []
    watch = kgraph.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: ends.append(batch)
    )
    one, many = net(kgraph), net(kgraph, steps_per_execution=2)
    many.set_weights(one.get_weights())
    a = history_of(one, x, y, batch_size=5, epochs=2)
    b = history_of(many, x, y, batch_size=5, epochs=2, callbacks=[watch])
    assert_same_history(a, b)
    assert ends == [1, 3, 4, 1, 3, 4]


def test_a_train_step_of_ones_own():
    def build(k):
        class Own(k.Sequential):
            def train_step(self, data):
                calls.append(data)
                return {**super().train_step(data), "extra": k.ops.sum(data[1])}

        model = Own([k.layers.Input((5,)), k.layers.Dense(3, activation="softmax")])
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    calls: list[Any] = []
    x, y = data()
    history = build(kgraph).fit(x, y, batch_size=11, shuffle=False, verbose=0).history
    assert list(history) == ["extra", "loss"]
    assert history["extra"] == [float(y[11:].sum())]
    assert len(calls) == 1  # traced once for all batches


def test_frozen_layers_stay():
    def build(k):
        model = net(k, metrics=None)
        model.get_layer("hidden").trainable = False
        model.compile("sgd", "sparse_categorical_crossentropy")
        return model

    x, y = data()
    assert_fits_alike(build, x, y, batch_size=8, epochs=2)
    model = build(kgraph)
    hidden = [np.array(w) for w in model.get_layer("hidden").get_weights()]
    head = [np.array(w) for w in model.get_layer("head").get_weights()]
    model.fit(x, y, verbose=0)
    for a, b in zip(hidden, model.get_layer("hidden").get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(head[0], model.get_layer("head").get_weights()[0])


def test_thawed_layers_train_after_compile():
    model = net(kgraph)
    x, y = data()
    model.get_layer("hidden").trainable = False
    model.fit(x, y, verbose=0)
    before = np.array(model.get_layer("hidden").get_weights()[0])
    model.get_layer("hidden").trainable = True
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(x, y, verbose=0)
    assert not np.array_equal(before, model.get_layer("hidden").get_weights()[0])


def test_losses_of_layers_count():
    def build(k):
        model = k.Sequential(
            [
                k.layers.Input((5,)),
                k.layers.Dense(4, kernel_regularizer="l2", activity_regularizer="l1"),
                k.layers.Dense(3, activation="softmax"),
            ]
        )
        model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    x, y = data()
    assert_fits_alike(build, x, y, batch_size=8, epochs=2)
    assert_evaluates_alike(*twins(build), x, y)


def test_batch_normalisation_trains_as_keras():
    def build(k):
        model = k.Sequential(
            [k.layers.Input((5,)), k.layers.BatchNormalization(momentum=0.7), k.layers.Dense(1)]
        )
        model.compile("adam", "mse")
        return model

    x, _ = data()
    assert_fits_alike(build, x, x[:, :1], batch_size=8, epochs=3)


def test_ctrl_c_keeps_the_last_step():
    x, y = data()
    model, other = net(kgraph), net(kgraph)
    other.set_weights(model.get_weights())

    class Stop(kgraph.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if batch == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model.fit(x, y, batch_size=4, shuffle=False, verbose=0, callbacks=[Stop()])
    other.fit(x[:8], y[:8], batch_size=4, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    model.fit(x, y, verbose=0)
    assert np.isfinite(model.evaluate(x, y, verbose=0)[0])


def test_nan_passes_through():
    x, y = data()
    x[3, 2] = np.nan
    ours, theirs = twins(net)
    kwargs = {"batch_size": 8, "epochs": 1}
    mine, their = history_of(ours, x, y, **kwargs), history_of(theirs, x, y, **kwargs)
    assert np.isnan(mine["loss"]) == np.isnan(their["loss"])
    assert np.isnan(mine["loss"][0])
    np.testing.assert_array_equal(np.isnan(ours.get_weights()[0]), True)


def test_metrics_names_and_history_object():
    model = net(kgraph)
    x, y = data()
    history = model.fit(x, y, epochs=2, verbose=0)
    assert history is model.history
    assert history.epoch == [0, 1]
    assert history.model is model
    assert next(m.name for m in model.metrics) == "loss"
    assert all(isinstance(value, float) for value in history.history["loss"])


def test_shuffle_is_seeded_and_covers_everything():
    x = np.arange(10, dtype="float32")[:, None]
    seen: list[float] = []

    class Seeing(kgraph.layers.Layer):
        def compute_output_shape(self, shape):
            return shape

        def call(self, value):
            seen.extend(np.asarray(value)[:, 0].tolist())
            return value

    model = kgraph.Sequential([kgraph.layers.Input((1,)), Seeing(), kgraph.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    runs = []
    for _ in range(2):
        kgraph.utils.set_random_seed(7)
        seen.clear()
        model.fit(x, x, batch_size=3, epochs=1, verbose=0)
        runs.append(list(seen))
    assert runs[0] == runs[1]
    assert runs[0] != sorted(runs[0])
    assert sorted(runs[0]) == list(range(10))
