"""Losses against Keras's: values, reductions, weights, masks, configs, errors."""

import json

import jax
import keras
import numpy as np
import pytest

import kgraph
from kgraph import losses
from kgraph.utils.masking import get_keras_mask, set_keras_mask
from tests.api.oracle import assert_close, assert_same_arguments, public_callables

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(6, 5)).astype("float32") * 2
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
LABELS = np.array([0, 4, 2, 2, 1, 3])
ONE_HOT = np.eye(5, dtype="float32")[LABELS]
BITS = (RNG.random((6, 5)) > 0.5).astype("float32")
UNIT = RNG.random((6, 5)).astype("float32")
REAL = RNG.normal(size=(6, 5)).astype("float32") * 2
IMAGES = (RNG.random((2, 4, 4, 3)) > 0.5).astype("float32"), RNG.random((2, 4, 4, 3), "float32")
EMBEDDINGS = LOGITS / np.linalg.norm(LOGITS, axis=-1, keepdims=True)

# Unnormalised, with exact zeros and ones: what renormalising and clipping are for.
RAW = UNIT * 3
RAW[0] = [1, 0, 0, 0, 0]
RAW[1] = [0, 0, 0, 0, 1]

CASES = [
    ("MeanSquaredError", {}, REAL, LOGITS),
    ("MeanAbsoluteError", {}, REAL, LOGITS),
    ("MeanAbsolutePercentageError", {}, REAL, LOGITS),
    ("MeanAbsolutePercentageError", {}, BITS, LOGITS),
    ("MeanSquaredLogarithmicError", {}, UNIT, RAW),
    ("Huber", {}, REAL, LOGITS),
    ("Huber", {"delta": 0.3}, REAL, LOGITS),
    ("LogCosh", {}, REAL, LOGITS),
    ("Hinge", {}, BITS, LOGITS),
    ("Hinge", {}, REAL, LOGITS),
    ("SquaredHinge", {}, BITS, LOGITS),
    ("SquaredHinge", {}, np.sign(REAL), LOGITS),
    ("CategoricalHinge", {}, ONE_HOT, LOGITS),
    ("KLDivergence", {}, PROBABILITIES, RAW),
    ("Poisson", {}, BITS, RAW),
    ("CosineSimilarity", {}, REAL, LOGITS),
    ("CosineSimilarity", {"axis": 0}, REAL, LOGITS),
    ("BinaryCrossentropy", {}, BITS, UNIT),
    ("BinaryCrossentropy", {"label_smoothing": 0.2}, BITS, UNIT),
    ("BinaryCrossentropy", {"from_logits": True}, BITS, LOGITS * 9),
    ("BinaryCrossentropy", {}, np.rint(UNIT), np.rint(UNIT.T.reshape(6, 5))),
    ("BinaryFocalCrossentropy", {}, BITS, UNIT),
    ("BinaryFocalCrossentropy", {"apply_class_balancing": True, "gamma": 1.5}, BITS, UNIT),
    (
        "BinaryFocalCrossentropy",
        {"from_logits": True, "label_smoothing": 0.1, "alpha": 0.4},
        BITS,
        LOGITS,
    ),
    ("CategoricalCrossentropy", {}, ONE_HOT, PROBABILITIES),
    ("CategoricalCrossentropy", {}, ONE_HOT, RAW),
    ("CategoricalCrossentropy", {"label_smoothing": 0.2}, ONE_HOT, RAW),
    ("CategoricalCrossentropy", {"from_logits": True}, ONE_HOT, LOGITS * 9),
    ("CategoricalCrossentropy", {"axis": 0}, ONE_HOT, RAW + 0.1),
    ("CategoricalFocalCrossentropy", {}, ONE_HOT, RAW),
    ("CategoricalFocalCrossentropy", {"gamma": 3.0, "label_smoothing": 0.1}, ONE_HOT, RAW),
    ("CategoricalFocalCrossentropy", {"from_logits": True}, ONE_HOT, LOGITS),
    ("SparseCategoricalCrossentropy", {}, LABELS, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {}, LABELS[:, None], RAW),
    ("SparseCategoricalCrossentropy", {"from_logits": True}, LABELS, LOGITS * 9),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, LABELS, PROBABILITIES),
    ("SparseCategoricalCrossentropy", {"ignore_class": -1}, LABELS, PROBABILITIES),
    (
        "SparseCategoricalCrossentropy",
        {"ignore_class": 2, "from_logits": True},
        np.where(LABELS == 4, 2, LABELS),
        LOGITS,
    ),
    ("SparseCategoricalCrossentropy", {}, np.array([[1, 2], [0, 2]]), IMAGES[1][0][:2, :2]),
    ("CategoricalGeneralizedCrossEntropy", {}, LABELS, PROBABILITIES),
    ("CategoricalGeneralizedCrossEntropy", {"q": 0.9}, LABELS, PROBABILITIES),
    ("Dice", {}, *IMAGES),
    ("Dice", {"axis": (1, 2, 3)}, *IMAGES),
    ("Tversky", {}, *IMAGES),
    ("Tversky", {"alpha": 0.2, "beta": 0.9, "axis": (1, 2)}, *IMAGES),
    ("Circle", {}, np.array([0, 1, 0, 1, 2, 0]), EMBEDDINGS),
    ("Circle", {"gamma": 10.0, "remove_diagonal": False}, np.array([0, 1, 0, 1, 2, 0]), EMBEDDINGS),
    ("CTC", {}, np.array([[1, 2, 0], [3, 3, 0]]), RNG.normal(size=(2, 7, 5)).astype("float32")),
]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run op by op: what is tested here is what was traced."""
    monkeypatch.setenv("KGRAPH_BACKEND", "reference")


def make(case: tuple, **further: object) -> tuple:
    name, arguments, *_ = case
    return (
        getattr(losses, name)(**arguments, **further),
        getattr(keras.losses, name)(**arguments, **further),
    )


@pytest.mark.parametrize("name", public_callables(keras.losses))
def test_arguments(name: str) -> None:
    assert_same_arguments(losses, keras.losses, name)


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "sum", None])
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_values(case: tuple, reduction: str | None) -> None:
    ours, theirs = make(case, reduction=reduction)
    assert_close(ours(*case[2:]), theirs(*case[2:]), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_gradients_in_a_program(case: tuple, reference: None) -> None:
    """Traced, for any batch size: the values, and JAX's gradients of Keras's loss."""
    ours, theirs = make(case)

    def both(target, prediction):
        value = ours(target, prediction)
        return value, kgraph.ops.gradients(value, [prediction])[0]

    step = kgraph.ops.Step(both)
    oracle = jax.jit(jax.value_and_grad(lambda p, t: theirs(t, p)))
    for rows in (slice(None), slice(0, 2)):
        target, prediction = case[2][rows], case[3][rows]
        value, gradient = step(target, prediction)
        expected, expected_gradient = oracle(prediction, target)
        assert_close(value, expected, rtol=1e-5, atol=2e-6)
        assert_close(gradient, expected_gradient, rtol=2e-5, atol=3e-6)
    assert not step.specializations


@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean_with_sample_weight", "none"])
@pytest.mark.parametrize("case", [CASES[0], CASES[17], CASES[32], CASES[35]], ids=lambda c: c[0])
def test_sample_weights(case: tuple, reduction: str) -> None:
    ours, theirs = make(case, reduction=reduction)
    for weight in (
        np.array([1, 0, 2, 3, 0.5, 0.1], "float32"),
        np.array([[1], [0], [2], [3], [0], [1]], "int32"),
        2.0,
    ):
        assert_close(ours(*case[2:], sample_weight=weight), theirs(*case[2:], sample_weight=weight))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("reduction", ["sum_over_batch_size", "mean", "sum"])
def test_mask_of_predictions(reduction: str, weighted: bool) -> None:
    target, prediction = REAL.reshape(3, 2, 5), LOGITS.reshape(3, 2, 5).copy()
    mask = np.array([[True, False], [True, True], [False, False]])
    weight = np.array([[1.0, 2.0], [0.5, 3.0], [1.0, 1.0]], "float32") if weighted else None
    set_keras_mask(prediction, mask)
    ours = losses.MeanSquaredError(reduction=reduction)(target, prediction, weight)
    tensor = keras.ops.convert_to_tensor(prediction)
    tensor._keras_mask = keras.ops.convert_to_tensor(mask)
    theirs = keras.losses.MeanSquaredError(reduction=reduction)(target, tensor, weight)
    assert_close(ours, theirs)


def test_masks_of_arrays_end_with_the_array() -> None:
    array = np.zeros(3)
    set_keras_mask(array, np.ones(3, bool))
    assert get_keras_mask(array) is not None
    set_keras_mask(array, None)
    assert get_keras_mask(array) is None
    assert get_keras_mask(np.zeros(3)) is None


FUNCTIONS = [n for n in public_callables(keras.losses) if n[0].islower()]
FUNCTIONS = [n for n in FUNCTIONS if n not in ("deserialize", "get", "serialize")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    """The functional forms agree, one value per sample; names and configs as well."""
    by_function = {
        "kl_divergence": "KLDivergence",
        "ctc": "CTC",
        "categorical_generalized_cross_entropy": "CategoricalGeneralizedCrossEntropy",
    }
    cls = by_function.get(name, "".join(part.title() for part in name.split("_")))
    case = next(case for case in CASES if case[0] == cls)
    options = {"q": 0.5} if "generalized" in name else {}
    data = case[2:] if name == "ctc" else [keras.ops.convert_to_tensor(x) for x in case[2:]]
    ours = getattr(losses, name)(*case[2:], **options)
    assert_close(ours, getattr(keras.losses, name)(*data, **options), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize(
    "name", ["mse", "MAE", "bce", "kld", "msle", "mape", "hinge", "MeanSquaredError", "CTC", "dice"]
)
def test_names(name: str) -> None:
    ours, theirs = losses.get(name), keras.losses.get(name)
    assert getattr(ours, "__name__", type(ours).__name__) == getattr(
        theirs, "__name__", type(theirs).__name__
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_configs_go_both_ways(case: tuple) -> None:
    ours, theirs = make(case, reduction="sum", name="mine")
    assert ours.get_config() == theirs.get_config()
    # As in a file: a tuple becomes a list.
    written = json.loads(json.dumps(losses.serialize(ours)))
    assert written == json.loads(json.dumps(keras.losses.serialize(theirs)))
    back = losses.deserialize(keras.losses.serialize(theirs))
    assert type(back) is type(ours)
    assert back.get_config() == ours.get_config()
    again = keras.saving.deserialize_keras_object(written)
    assert json.dumps(again.get_config()) == json.dumps(theirs.get_config())
    assert losses.get(losses.serialize(ours)).name == "mine"


def test_functions_go_both_ways() -> None:
    ours, theirs = losses.mean_squared_error, keras.losses.mean_squared_error
    assert losses.deserialize(losses.serialize(ours)) is ours
    assert losses.deserialize(keras.losses.serialize(theirs)) is ours
    assert keras.losses.deserialize(losses.serialize(ours)) is theirs
    assert losses.deserialize("mean_squared_error") is ours
    wrapped = losses.LossFunctionWrapper(losses.huber, name="huber", delta=0.3)
    back = losses.LossFunctionWrapper.from_config(wrapped.get_config())
    assert_close(back(REAL, LOGITS), keras.losses.Huber(0.3)(REAL, LOGITS))


def test_own_loss() -> None:
    class Cubed(losses.Loss):
        def call(self, y_true, y_pred):
            return np.abs(y_true - y_pred) ** 3

    assert_close(Cubed()(REAL, LOGITS), np.mean(np.abs(REAL - LOGITS) ** 3))
    assert Cubed(name="c").name == "c"
    assert losses.Loss.from_config(Cubed(name="c").get_config()).name == "c"


def test_dtype() -> None:
    loss = losses.MeanSquaredError(dtype="float64")
    assert loss.dtype == "float64"
    assert str(loss(REAL, LOGITS).dtype) == "float64"
    assert losses.MeanSquaredError(dtype="mixed_float16").dtype == "float16"
    assert str(losses.MeanSquaredError()(REAL.astype("float64"), LOGITS).dtype) == "float32"


def test_nested_targets() -> None:
    function = losses.LossFunctionWrapper(
        lambda t, p: losses.mean_squared_error(t["a"], p["a"]), name="nested"
    )
    target, prediction = {"a": REAL[:, 0]}, {"a": LOGITS[:, :1]}
    assert_close(function(target, prediction), np.mean((REAL[:, :1] - LOGITS[:, :1]) ** 2))
    assert_close(losses.MeanSquaredError()([[0.0, 1.0]], [[1.0, 1.0]]), np.float32(0.5))


def test_empty_batch_is_zero() -> None:
    empty = np.zeros((0, 5), "float32")
    assert_close(
        losses.SparseCategoricalCrossentropy(reduction="sum")(LABELS[:0], empty), np.zeros(0)
    )
    assert_close(losses.Dice()(empty, empty), np.float32(1.0))


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: losses.get("mean_square_error"), "Did you mean 'mean_squared_error'"),
        (lambda: losses.get("zzzzzz"), "Known names: .*mse"),
        (lambda: losses.get(3.0), "type float"),
        (lambda: losses.MeanSquaredError(reduction="average"), "`reduction` of a loss must be"),
        (lambda: losses.categorical_crossentropy(ONE_HOT, RAW, False, 0.0, True), "`axis` of"),
        (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.0), "`q` must lie between"),
        (lambda: losses.ctc(LABELS, RAW), r"rank 2; got shape \(6,\)"),
        (lambda: losses.ctc(ONE_HOT, RAW), r"rank 3; got shape \(6, 5\)"),
        (lambda: losses.deserialize({"config": {}}), "needs the key 'class_name'"),
        (lambda: losses.Loss()(REAL, LOGITS), "must implement `call"),
    ],
)
def test_errors(make_it, message: str) -> None:
    with pytest.raises((ValueError, NotImplementedError), match=message):
        make_it()


def test_one_class_warns() -> None:
    with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
        losses.categorical_crossentropy(ONE_HOT[:, :1], RAW[:, :1])
