"""The base of layers: building, weights, losses, masks, names, dtypes, errors."""

from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from kgraph import layers, ops
from kgraph.utils.masking import get_keras_mask
from tests.api.oracle import arguments, assert_close

X = np.random.default_rng(0).standard_normal((4, 3)).astype("float32")


def scaled(k: Any) -> Any:
    """A layer of the user's, for either library."""

    class Scaled(k.layers.Layer):  # type: ignore[misc]  # one of two libraries
        def __init__(self, units: int = 2, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.units = units
            self.inner = [k.layers.Dense(units, name="one"), k.layers.Dense(units, name="two")]

        def build(self, input_shape: Any) -> None:
            self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
            self.count = self.add_weight(initializer="zeros", trainable=False, name="count")
            for layer in self.inner:
                layer.build(input_shape)

        def call(self, inputs: Any, training: bool = False) -> Any:
            x = inputs * self.scale
            if training:
                self.count.assign(self.count + 1)
            self.add_loss(k.ops.sum(x))
            return self.inner[0](x) + self.inner[1](x)

    return Scaled(name="s")


def test_constructor_and_methods() -> None:
    assert arguments(layers.Layer.__init__) == arguments(keras.layers.Layer.__init__)
    names = ["build_from_config", "get_build_config", "count_params", "set_weights", "get_weights"]
    for name in [*names, "load_own_variables", "save_own_variables", "add_loss"]:
        assert arguments(getattr(layers.Layer, name)) == arguments(
            getattr(keras.layers.Layer, name)
        )


def test_own_layer() -> None:
    ours, theirs = scaled(kgraph), scaled(keras)
    y = ours(X)
    theirs(X)
    assert [(w.path, tuple(w.shape)) for w in ours.weights] == [
        (w.path, tuple(w.shape)) for w in theirs.weights
    ]
    theirs.set_weights(ours.get_weights())
    assert_close(y, theirs(X), rtol=1e-5)
    assert_close(ours.losses[0], theirs.losses[0], rtol=1e-5)
    ours(X, training=True)
    ours(X, training=True)
    assert float(ours.count.numpy()) == 2.0
    assert ours.get_config()["units"] == theirs.get_config()["units"] == 2
    assert ours.path == theirs.path == "s"
    assert ours.count_params() == theirs.count_params()


def test_names() -> None:
    kgraph.utils.naming.clear_session()
    found = [layers.Dense(1).name, layers.Dense(1).name, layers.MaxPooling2D().name]
    assert found == ["dense", "dense_1", "max_pooling2d"]
    with pytest.raises(ValueError, match="/"):
        layers.Dense(1, name="a/b")


def test_paths_within_models() -> None:
    class Block(layers.Layer):
        def __init__(self, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.dense = layers.Dense(2, name="dense")

        def call(self, x: Any) -> Any:
            return self.dense(x)

    model = kgraph.Sequential([Block(name="b1"), Block(name="b2")], name="m")
    model(X)
    assert [w.path for w in model.weights] == [
        f"m/{b}/dense/{w}" for b in ("b1", "b2") for w in ("kernel", "bias")
    ]


def test_one_program_per_signature() -> None:
    traced = []

    class Noted(layers.Layer):
        def call(self, x: Any, training: bool = False) -> Any:
            traced.append(training)
            return x + 1.0

    layer = Noted()
    for n in (4, 3, 2):
        assert_close(layer(X[:n]), X[:n] + 1)
    layer(X, training=True)
    layer(X, training=False)
    assert traced == [False, True]


def test_regularizers_are_losses() -> None:
    found = []
    for k in (kgraph, keras):
        layer = k.layers.Dense(2, kernel_regularizer="l2", activity_regularizer="l1")
        layer.build((None, 3))
        layer.set_weights([np.ones((3, 2), "float32"), np.zeros(2, "float32")])
        layer(X)
        losses = [float(np.asarray(loss)) for loss in layer.losses]
        layer.trainable = False
        found.append((losses, len(layer.losses)))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert found[0][1] == found[1][1]


def test_masks() -> None:
    embedding = layers.Embedding(5, 3, mask_zero=True)
    x = embedding(np.array([[1, 0], [2, 3]], "int32"))
    assert_close(get_keras_mask(x), np.array([[True, False], [True, True]]))
    for layer in (layers.Dropout(0.5), layers.Dense(2), layers.Activation("relu")):
        assert_close(get_keras_mask(layer(x)), np.array([[True, False], [True, True]]))
    with pytest.warns(UserWarning, match="does not support masks"):
        assert get_keras_mask(layers.Flatten()(x)) is None


def test_mixed_precision() -> None:
    for policy in ("mixed_bfloat16", "mixed_float16"):
        layer = layers.Dense(2, dtype=policy)
        y = layer(X)
        assert str(y.dtype) == policy.removeprefix("mixed_")
        assert layer.kernel.dtype == "float32"
        assert layer.dtype_policy.name == policy
        assert layer.get_config()["dtype"]["config"] == {"name": policy}
        oracle = keras.layers.Dense(2, dtype=policy)
        oracle.build((None, 3))
        oracle.set_weights(layer.get_weights())
        assert_close(np.asarray(y, "float32"), np.asarray(oracle(X), "float32"), rtol=2e-2)
    assert layers.Dense(2, dtype="float64")(X).dtype == np.float64
    with pytest.raises(ValueError, match="policy"):
        layers.Dense(2, dtype="float31")


def test_stateless_call() -> None:
    layer = scaled(kgraph)
    layer(X)
    trainable = [np.zeros(v.shape, "float32") for v in layer.trainable_variables]
    state = [np.array(5, "float32")]
    y, new = layer.stateless_call(trainable, state, X, training=True)
    assert_close(y, np.zeros((4, 2), "float32"))
    assert float(new[0]) == 6.0
    assert float(layer.count.numpy()) == 0.0


def test_set_weights() -> None:
    layer = layers.Dense(2)
    layer(X)
    before = layer.get_weights()
    with pytest.raises(ValueError, match="expects 2"):
        layer.set_weights(before[:1])
    with pytest.raises(ValueError, match=r"kernel.*\(3, 2\).*\(2, 3\)"):
        layer.set_weights([before[0].T, before[1]])
    with pytest.raises(ValueError, match="shape"):
        layer.set_weights([before[0] + 1, np.zeros(3)])
    assert_close(layer.kernel, before[0])


def test_locked_when_built() -> None:
    layer = scaled(kgraph)
    layer(X)
    with pytest.raises(ValueError, match="is built"):
        layer.more = layers.Dense(2)
    layer.note = "anything else"


class Nonsense(layers.Layer):
    def __init__(self, result: Any) -> None:
        super().__init__(name="odd")
        self.result = result

    def call(self, x: Any) -> Any:
        return self.result


@pytest.mark.parametrize("result", [None, "text", 3, {"a": object()}])
def test_nonsense(result: Any) -> None:
    with pytest.raises(TypeError, match=r"'odd' \(Nonsense\) must return tensors"):
        Nonsense(result)(X)
    with pytest.raises(TypeError, match=r"'odd' \(Nonsense\) must return tensors"):
        Nonsense(result)(kgraph.Input((3,)))


def test_error_inside_names_the_layers() -> None:
    class Bad(layers.Layer):
        def call(self, x: Any) -> Any:
            return ops.reshape(x, (7, 7))

    class Outer(layers.Layer):
        def __init__(self) -> None:
            super().__init__(name="outer")
            self.bad = Bad(name="bad")

        def call(self, x: Any) -> Any:
            return self.bad(x)

    with pytest.raises(Exception) as caught:  # noqa: PT011  # which one is the op's business
        Outer()(X)
    notes = "\n".join(caught.value.__notes__)
    assert "'bad'" in notes
    assert "'outer'" in notes


def test_bad_calls() -> None:
    layer = layers.Dense(2, name="d")
    with pytest.raises(ValueError, match="by position"):
        layer("text")
    with pytest.raises(ValueError, match=r'"d".*min_ndim=2'):
        layer(np.ones(3, "float32"))
    layer(X)
    with pytest.raises(ValueError, match=r'"d".*axis -1.*size 3, found 5'):
        layer(np.ones((2, 5), "float32"))
    with pytest.raises(TypeError, match=r"'d'.*does not take"):
        layer(X, colour="red")
    with pytest.raises(ValueError, match="last axis"):
        layers.Dense(2)(kgraph.Input((None,)))
    with pytest.raises(NotImplementedError, match="call"):
        layers.Layer()(X)
    with pytest.raises(ValueError, match="Unrecognized"):
        layers.Dense(2, colour="red")


def test_config_needs_plain_arguments() -> None:
    class Odd(layers.Layer):
        def __init__(self, thing: Any, **kwargs: Any) -> None:
            super().__init__(**kwargs)
            self.thing = thing

        def call(self, x: Any) -> Any:
            return x

    assert Odd.from_config(Odd(3).get_config()).thing == 3
    with pytest.raises(NotImplementedError, match="get_config"):
        Odd(object()).get_config()


def test_arrays_are_not_kept() -> None:
    x = X.copy()
    layer = layers.Identity()
    y = layer(x)
    y[:] = 0
    assert_close(x, X)
