"""Metrics against Keras's: two batches, weights, masks, state, configs, errors."""

import warnings

import keras
import numpy as np
import pytest

import kgraph
from kgraph import metrics
from kgraph.utils.masking import set_keras_mask
from tests.api.oracle import assert_close, assert_same_arguments, numbers, public_callables

RNG = np.random.default_rng(0)
LOGITS = RNG.normal(size=(8, 5)).astype("float32") * 2
PROBABILITIES = np.exp(LOGITS) / np.exp(LOGITS).sum(-1, keepdims=True)
LABELS = np.array([0, 4, 2, 2, 1, 3, 0, 1])
ONE_HOT = np.eye(5, dtype="float32")[LABELS]
BITS = (RNG.random((8, 5)) > 0.5).astype("float32")
UNIT = RNG.random((8, 5)).astype("float32")
UNIT[0] = [0.0, 1.0, 0.5, 0.25, 0.75]
REAL = RNG.normal(size=(8, 5)).astype("float32") * 2
CLASSES = RNG.integers(0, 3, (8, 4))
OTHER_CLASSES = RNG.integers(-1, 4, (8, 4))
WEIGHT = np.array([1, 0, 2, 3, 0.5, 0.1, 1, 1], "float32")
EVEN = [0.0, 0.25, 0.5, 0.75, 1.0]

# Metric, arguments, targets, predictions, sample weights that it takes besides none.
CASES = [
    ("Mean", {}, REAL, None, WEIGHT),
    ("Sum", {}, REAL, None, WEIGHT),
    ("MeanSquaredError", {}, REAL, LOGITS, WEIGHT),
    ("RootMeanSquaredError", {}, REAL, LOGITS, WEIGHT),
    ("MeanAbsoluteError", {}, REAL, LOGITS, WEIGHT),
    ("MeanAbsolutePercentageError", {}, REAL, LOGITS, WEIGHT),
    ("MeanSquaredLogarithmicError", {}, UNIT, PROBABILITIES, WEIGHT),
    ("CosineSimilarity", {}, REAL, LOGITS, WEIGHT),
    ("CosineSimilarity", {"axis": 1}, REAL, LOGITS, WEIGHT),
    ("LogCoshError", {}, REAL, LOGITS, WEIGHT),
    ("R2Score", {}, REAL, LOGITS, WEIGHT),
    ("R2Score", {"class_aggregation": None}, REAL, LOGITS, WEIGHT),
    ("R2Score", {"class_aggregation": "variance_weighted_average"}, REAL, LOGITS, WEIGHT),
    ("R2Score", {"num_regressors": 3}, REAL, LOGITS, None),
    ("PearsonCorrelation", {}, REAL, LOGITS, WEIGHT),
    ("ConcordanceCorrelation", {}, REAL, LOGITS, WEIGHT),
    ("Accuracy", {}, LABELS, np.roll(LABELS, 1), WEIGHT),
    ("Accuracy", {}, LABELS[:, None], LABELS[::-1].copy(), WEIGHT),
    ("BinaryAccuracy", {}, BITS, UNIT, WEIGHT),
    ("BinaryAccuracy", {"threshold": 0.25}, BITS[:, 0], UNIT[:, :1], WEIGHT),
    ("CategoricalAccuracy", {}, ONE_HOT, LOGITS, WEIGHT),
    ("SparseCategoricalAccuracy", {}, LABELS, LOGITS, WEIGHT),
    ("SparseCategoricalAccuracy", {}, LABELS[:, None], LOGITS, WEIGHT),
    ("SparseCategoricalAccuracy", {}, CLASSES, RNG.random((8, 4, 3)), WEIGHT),
    ("TopKCategoricalAccuracy", {"k": 2}, ONE_HOT, LOGITS, WEIGHT),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, LABELS, LOGITS, WEIGHT),
    ("SparseTopKCategoricalAccuracy", {"k": 2}, CLASSES, RNG.random((8, 4, 3)), WEIGHT),
    (
        "SparseTopKCategoricalAccuracy",
        {"k": 3, "from_sorted_ids": True},
        LABELS,
        np.argsort(-LOGITS, axis=-1),
        WEIGHT,
    ),
    ("Hinge", {}, BITS, LOGITS, WEIGHT),
    ("SquaredHinge", {}, BITS, LOGITS, WEIGHT),
    ("CategoricalHinge", {}, ONE_HOT, LOGITS, WEIGHT),
    ("KLDivergence", {}, PROBABILITIES, UNIT, WEIGHT),
    ("Poisson", {}, BITS, UNIT, WEIGHT),
    ("BinaryCrossentropy", {}, BITS, UNIT, WEIGHT),
    ("BinaryCrossentropy", {"from_logits": True, "label_smoothing": 0.1}, BITS, LOGITS, WEIGHT),
    ("CategoricalCrossentropy", {}, ONE_HOT, UNIT, WEIGHT),
    ("CategoricalCrossentropy", {"from_logits": True}, ONE_HOT, LOGITS, WEIGHT),
    ("SparseCategoricalCrossentropy", {}, LABELS, PROBABILITIES, WEIGHT),
    ("SparseCategoricalCrossentropy", {"ignore_class": 2}, LABELS, PROBABILITIES, WEIGHT),
    ("TruePositives", {}, BITS, UNIT, WEIGHT),
    ("TrueNegatives", {"thresholds": [0.3, 0.7]}, BITS, UNIT, WEIGHT),
    ("FalsePositives", {"thresholds": EVEN}, BITS, UNIT, WEIGHT),
    ("FalseNegatives", {"thresholds": 0.25}, BITS, UNIT, WEIGHT),
    ("Precision", {}, BITS, UNIT, WEIGHT),
    ("Precision", {"thresholds": [0.3, 0.7]}, BITS, UNIT, WEIGHT),
    ("Precision", {"top_k": 2}, BITS, UNIT, WEIGHT),
    ("Precision", {"class_id": 1}, BITS, UNIT, WEIGHT),
    ("Recall", {}, BITS, UNIT, WEIGHT),
    ("Recall", {"thresholds": EVEN}, BITS, UNIT, WEIGHT),
    ("Recall", {"top_k": 3, "class_id": 2}, BITS, UNIT, WEIGHT),
    ("SensitivityAtSpecificity", {"specificity": 0.5}, BITS, UNIT, WEIGHT),
    ("SpecificityAtSensitivity", {"sensitivity": 0.5, "num_thresholds": 7}, BITS, UNIT, WEIGHT),
    ("PrecisionAtRecall", {"recall": 0.5, "class_id": 1}, BITS, UNIT, WEIGHT),
    ("RecallAtPrecision", {"precision": 0.6, "num_thresholds": 1}, BITS, UNIT, WEIGHT),
    ("AUC", {}, BITS, UNIT, WEIGHT),
    ("AUC", {"curve": "PR"}, BITS, UNIT, WEIGHT),
    ("AUC", {"curve": "PR", "summation_method": "majoring"}, BITS, UNIT, WEIGHT),
    ("AUC", {"curve": "PRGAIN", "summation_method": "minoring"}, BITS, UNIT, WEIGHT),
    ("AUC", {"thresholds": [0.6, 0.2, 0.4]}, BITS, UNIT, WEIGHT),
    ("AUC", {"from_logits": True, "num_thresholds": 20}, BITS, LOGITS, WEIGHT),
    ("AUC", {"label_weights": [1, 2, 3, 0, 1]}, BITS, UNIT, WEIGHT),
    ("AUC", {"multi_label": True, "num_labels": 5}, BITS, UNIT, WEIGHT),
    (
        "AUC",
        {"multi_label": True, "label_weights": [1, 2, 3, 0, 1], "curve": "PR"},
        BITS,
        UNIT,
        None,
    ),
    ("FBetaScore", {}, ONE_HOT, LOGITS, WEIGHT),
    ("FBetaScore", {"beta": 2.0, "average": "weighted", "threshold": 0.4}, BITS, UNIT, WEIGHT),
    ("F1Score", {"average": "micro"}, ONE_HOT, LOGITS, None),
    ("F1Score", {"average": "macro", "threshold": 0.5}, BITS, UNIT, WEIGHT),
    ("IoU", {"num_classes": 3, "target_class_ids": [0, 2]}, CLASSES, OTHER_CLASSES, None),
    (
        "IoU",
        {"num_classes": 3, "target_class_ids": [1], "ignore_class": 0},
        CLASSES,
        CLASSES[::-1],
        None,
    ),
    ("BinaryIoU", {"threshold": 0.4}, BITS, UNIT, None),
    ("MeanIoU", {"num_classes": 3, "dtype": "float32"}, CLASSES[:, 0], CLASSES[:, 1], WEIGHT),
    ("OneHotIoU", {"num_classes": 5, "target_class_ids": [0, 1]}, ONE_HOT, LOGITS, None),
    ("OneHotMeanIoU", {"num_classes": 5, "sparse_y_pred": True}, ONE_HOT, LABELS[::-1], None),
]


@pytest.fixture
def reference(monkeypatch: pytest.MonkeyPatch) -> None:
    """Programs run op by op: what is tested here is what was traced."""
    monkeypatch.setenv("KGRAPH_BACKEND", "reference")


def make(case: tuple) -> tuple:
    name, arguments, *_ = case
    return getattr(metrics, name)(**arguments), getattr(keras.metrics, name)(**arguments)


def identify(case: tuple) -> str:
    return f"{case[0]}-{case[1]}"


@pytest.mark.parametrize("name", public_callables(keras.metrics))
def test_arguments(name: str) -> None:
    assert_same_arguments(metrics, keras.metrics, name)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", CASES, ids=identify)
def test_values(case: tuple, weighted: bool) -> None:
    _, _, target, prediction, weight = case
    if weighted and weight is None:
        pytest.skip("takes no weights of this form")
    ours, theirs = make(case)
    assert len(ours.variables) == len(theirs.variables)
    for rows in (slice(0, 5), slice(5, 8)):
        data = [target[rows]] if prediction is None else [target[rows], prediction[rows]]
        options = {"sample_weight": weight[rows]} if weighted else {}
        if case[0] == "R2Score" and "num_regressors" in case[1]:
            data = [target, prediction]
        ours.update_state(*data, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.update_state(*data, **options)
    assert_close(ours.result(), theirs.result(), rtol=2e-5, atol=3e-6)
    assert [v.name for v in ours.variables] == [v.name for v in theirs.variables]
    assert [tuple(v.shape) for v in ours.variables] == [tuple(v.shape) for v in theirs.variables]
    for mine, oracle in zip(ours.variables, theirs.variables, strict=True):
        assert_close(mine, oracle, rtol=2e-5, atol=3e-6)
        assert str(mine.dtype) == str(oracle.dtype)
    ours.reset_state()
    assert all(not numbers(variable).any() for variable in ours.variables)


@pytest.mark.parametrize("case", CASES, ids=identify)
def test_one_program(case: tuple, reference: None) -> None:
    """Traced, for any batch size, a metric is what it is at once."""
    name, arguments, target, prediction, weight = case
    once, compiled = (getattr(metrics, name)(**arguments) for _ in range(2))

    def update(*data):
        compiled.update_state(*data)
        return compiled.result()

    step = kgraph.ops.Step(update)
    for rows in (slice(0, 5), slice(5, 8)):
        data = [x[rows] for x in (target, prediction, weight) if x is not None]
        result = step(*data)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert_close(result, once(*data), rtol=2e-6, atol=1e-6)
    assert not step.specializations
    for a, b in zip(compiled.variables, once.variables, strict=True):
        assert_close(a, b, rtol=2e-6, atol=1e-6)


@pytest.mark.parametrize("case", CASES, ids=identify)
def test_configs_go_both_ways(case: tuple) -> None:
    ours, theirs = make(case)
    ours.name = theirs.name = "mine"
    oracle = theirs.get_config()
    if oracle.get("label_weights") is not None:  # Keras leaves a tensor in the config
        oracle["label_weights"] = numbers(oracle["label_weights"]).tolist()
    assert ours.get_config() == oracle
    back = metrics.deserialize(keras.metrics.serialize(theirs))
    assert type(back) is type(ours)
    assert back.get_config() == ours.get_config()
    again = keras.metrics.deserialize(metrics.serialize(ours))
    assert type(again) is type(theirs)
    assert again.name == "mine"


@pytest.mark.parametrize("case", CASES, ids=identify)
def test_directions(case: tuple) -> None:
    ours, theirs = make(case)
    assert ours._direction == getattr(theirs, "_direction", None)


def test_weights_of_elements() -> None:
    weight = RNG.random((8, 4)).astype("float32")
    values = RNG.random((8, 4, 3)).astype("float32")
    for name in ("Mean", "Sum"):
        for given in (weight, weight[:, :1], values):
            ours, theirs = getattr(metrics, name)(), getattr(keras.metrics, name)()
            assert_close(ours(values, given), theirs(values, given))
    assert_close(metrics.Mean()(3.0), np.float32(3.0))
    assert_close(metrics.Mean().result(), np.float32(0.0))


def test_mask_of_predictions() -> None:
    prediction, mask = LOGITS[:, :1].copy(), LOGITS[:, 1] > 0
    set_keras_mask(prediction, mask)
    tensor = keras.ops.convert_to_tensor(prediction)
    tensor._keras_mask = keras.ops.convert_to_tensor(mask)
    for weight in (None, WEIGHT):
        ours, theirs = metrics.MeanSquaredError(), keras.metrics.MeanSquaredError()
        assert_close(ours(REAL[:, :1], prediction, weight), theirs(REAL[:, :1], tensor, weight))


def test_stateless_forms() -> None:
    metric = metrics.SparseCategoricalAccuracy()
    metric.update_state(LABELS, LOGITS)
    before = [numbers(v).copy() for v in metric.variables]
    values = metric.stateless_update_state([np.float32(1), np.float32(1)], LABELS, LOGITS)
    assert_close(values[1], np.float32(9))
    assert_close(metric.stateless_result(values), np.float32((1 + before[0]) / 9))
    assert_close(np.stack(metric.stateless_reset_state()), np.zeros(2))
    assert_close(np.stack([numbers(v) for v in metric.variables]), np.stack(before))
    with pytest.raises(ValueError, match="needs 2 values"):
        metric.stateless_result([1.0])


def test_own_metric() -> None:
    class Both(metrics.Metric):
        def __init__(self, name="both", **kwargs):
            super().__init__(name=name, **kwargs)
            self.largest = self.add_weight(name="largest")
            self.mean = metrics.Mean()

        def update_state(self, values, sample_weight=None):
            self.largest.assign(np.maximum(numbers(self.largest), values.max()))
            self.mean.update_state(values, sample_weight)

        def result(self):
            return {"largest": self.largest.value, "mean": self.mean.result()}

    metric = Both()
    result = metric(UNIT)
    assert_close(result["largest"], np.float32(UNIT.max()))
    assert_close(result["mean"], UNIT.mean())
    assert len(metric.variables) == 3
    assert metric.variables[0].path == "both/largest"
    metric.reset_state()
    assert not any(numbers(v).any() for v in metric.variables)


def test_mean_of_a_function() -> None:
    ours = metrics.MeanMetricWrapper(metrics.mean_squared_error, name="mse")
    theirs = keras.metrics.MeanMetricWrapper(keras.metrics.mean_squared_error, name="mse")
    assert_close(ours(REAL, LOGITS), theirs(REAL, LOGITS))
    assert ours._direction == "down"
    back = metrics.MeanMetricWrapper.from_config(ours.get_config())
    assert_close(back(REAL, LOGITS), theirs.result())
    assert metrics.MeanMetricWrapper(lambda t, p: t - p)._direction is None


@pytest.mark.parametrize(
    ("name", "cls"),
    [
        ("acc", "Accuracy"),
        ("accuracy", "Accuracy"),
        ("mse", "MeanSquaredError"),
        ("MAE", "MeanAbsoluteError"),
        ("bce", "BinaryCrossentropy"),
        ("sparse_categorical_accuracy", "SparseCategoricalAccuracy"),
        ("TopKCategoricalAccuracy", "TopKCategoricalAccuracy"),
        ("auc", "AUC"),
        ("f1_score", "F1Score"),
        ("mean_io_u", None),
    ],
)
def test_names(name: str, cls: str | None) -> None:
    if cls is None:
        with pytest.raises(TypeError):  # its number of classes is missing
            metrics.get(name)
    else:
        assert type(metrics.get(name)) is getattr(metrics, cls)


@pytest.mark.parametrize(
    ("make_it", "message"),
    [
        (lambda: metrics.get("acuracy"), "Did you mean .*'accuracy'"),
        (lambda: metrics.get(1), "type int"),
        (lambda: metrics.Precision(thresholds=[0.5, 1.5]), r"between 0 and 1; got \[1.5\]"),
        (lambda: metrics.Recall(class_id=1)(BITS[:, 0], UNIT[:, 0]), "`class_id` needs"),
        (lambda: metrics.AUC(num_thresholds=1), "2 or more"),
        (lambda: metrics.AUC(curve="roC"), "`curve` of AUC must be one of"),
        (lambda: metrics.AUC(summation_method="max"), "`summation_method` of AUC"),
        (lambda: metrics.AUC(num_labels=3), "goes with `multi_label=True`"),
        (lambda: metrics.AUC(multi_label=True)(BITS[0], UNIT[0]), r"\(batch, labels\)"),
        (lambda: metrics.AUC(multi_label=True).result(), "seen no batch"),
        (lambda: metrics.PrecisionAtRecall(1.5), "`recall` must lie between"),
        (lambda: metrics.RecallAtPrecision(0.5, num_thresholds=0), "1 or more"),
        (lambda: metrics.R2Score(class_aggregation="x"), "`class_aggregation`"),
        (lambda: metrics.R2Score(num_regressors=-1), "`num_regressors`"),
        (lambda: metrics.R2Score()(REAL[0], LOGITS[0]), r"\(batch, outputs\)"),
        (lambda: metrics.F1Score(average="x"), "`average` must be one of"),
        (lambda: metrics.FBetaScore(beta=2), "`beta` must be a positive float"),
        (lambda: metrics.F1Score(threshold=0.0), "`threshold` must be None or"),
        (lambda: metrics.F1Score()(REAL[0], LOGITS[0]), r"\(batch, classes\)"),
        (lambda: metrics.IoU(2, [2]), "must lie below num_classes=2"),
        (lambda: metrics.Metric().update_state(), "must implement `update_state`"),
    ],
)
def test_errors(make_it, message: str) -> None:
    with pytest.raises((ValueError, NotImplementedError), match=message):
        make_it()


def test_warnings() -> None:
    metric = metrics.MeanIoU(3)
    with pytest.warns(UserWarning, match="float weights are rounded"):
        metric.update_state(CLASSES[:, 0], CLASSES[:, 1], sample_weight=WEIGHT)
    score = metrics.R2Score(num_regressors=20)
    score.update_state(REAL[:, :1], LOGITS[:, :1])
    with pytest.warns(UserWarning, match="needs more than 21 samples; got 8"):
        score.result()
