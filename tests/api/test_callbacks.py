"""Callbacks: when they are called, and what they decide."""

from typing import Any

import numpy as np
import pytest

import kgraph
from kgraph import callbacks
from tests.api.twins import data, history_of, twins

pytestmark = pytest.mark.usefixtures("on_reference")


def net(k: Any = kgraph) -> Any:
    model = k.Sequential([k.layers.Input((5,)), k.layers.Dense(3, activation="softmax")])
    model.compile(k.optimizers.SGD(0.5), "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def recorder(base: Any) -> Any:
    """A callback that writes down each call, and the names of the logs."""

    class Recorder(base):
        def __init__(self) -> None:
            super().__init__()
            self.calls: list[Any] = []

        def __getattribute__(self, name: str) -> Any:
            if name.startswith("on_") and name not in ("on_batch_begin", "on_batch_end"):
                calls = self.calls

                def record(*args: Any, **kwargs: Any) -> None:
                    logs = kwargs.get("logs") or (args[-1] if args else None) or {}
                    names = sorted(logs) if isinstance(logs, dict) else []
                    calls.append((name, args[0] if len(args) == 2 else None, names))

                return record
            return super().__getattribute__(name)

    return Recorder()


def test_the_calls_of_a_fit_are_keras_s():
    import keras

    x, y = data(10)
    mine, theirs = recorder(PlainCallback), recorder(keras.callbacks.Callback)
    for model, callback in zip(twins(net), (mine, theirs), strict=True):
        model.fit(
            x, y, batch_size=4, epochs=2, validation_split=0.4, callbacks=[callback], verbose=0
        )
        model.evaluate(x, y, batch_size=5, callbacks=[callback], verbose=0)
        model.predict(x, batch_size=5, callbacks=[callback], verbose=0)
    hooks = [name for name, _, _ in mine.calls]
    assert hooks == [name for name, _, _ in theirs.calls]
    ends = [(n, e, logs) for n, e, logs in mine.calls if n in ("on_epoch_end", "on_train_end")]
    assert ends == [c for c in theirs.calls if c[0] in ("on_epoch_end", "on_train_end")]


class PlainCallback(callbacks.Callback):
    """Overrides the hooks of batches, so that they are called."""

    def on_train_batch_begin(self, batch, logs=None):
        pass

    on_train_batch_end = on_test_batch_begin = on_test_batch_end = on_train_batch_begin
    on_predict_batch_begin = on_predict_batch_end = on_train_batch_begin


def run_early(values: list[float], **arguments: Any) -> tuple[int, Any]:
    """How many epochs run when the watched value goes as given; ours and Keras's must agree."""
    import keras

    stopped = []
    for module in (callbacks, keras.callbacks):
        callback = module.EarlyStopping(monitor="v", **arguments)
        fake = FakeModel()
        callback.set_model(fake)
        callback.on_train_begin()
        epochs = 0
        for epoch, value in enumerate(values):
            fake.weights = [np.array(float(epoch))]
            callback.on_epoch_end(epoch, {"v": value})
            epochs += 1
            if fake.stop_training:
                break
        callback.on_train_end()
        stopped.append((epochs, float(fake.weights[0]), callback.stopped_epoch))
    assert stopped[0] == stopped[1]
    return stopped[0][:2]


class FakeModel:
    """As much of a model as callbacks look at."""

    def __init__(self) -> None:
        self.stop_training = False
        self.weights: list[Any] = []

    def get_weights(self) -> list[Any]:
        return [np.array(w) for w in self.weights]

    def set_weights(self, weights: list[Any]) -> None:
        self.weights = weights


@pytest.mark.parametrize(
    ("values", "arguments"),
    [
        ([3, 2, 1, 2, 3, 4], {"mode": "min"}),
        ([3, 2, 1, 2, 3, 4], {"mode": "min", "patience": 2}),
        ([1, 2, 3, 2, 1], {"mode": "max", "patience": 1}),
        ([3, 2, 1, 2, 3, 4], {"mode": "min", "patience": 2, "restore_best_weights": True}),
        ([1, 0.95, 0.9, 0.2], {"mode": "min", "min_delta": 0.2, "patience": 1}),
        ([5, 4, 3, 2], {"mode": "min", "baseline": 1.0, "patience": 2}),
        ([5, 6, 7, 8, 9], {"mode": "min", "start_from_epoch": 2}),
        ([5, 4, 3], {"mode": "min", "restore_best_weights": True}),
        ([float("nan")] * 4, {"mode": "min", "patience": 2, "restore_best_weights": True}),
        ([1, 1, 1], {"mode": "min", "patience": 0}),
    ],
)
def test_early_stopping_as_keras(values, arguments):
    run_early(values, **arguments)


def test_early_stopping_in_fit():
    x, y = data()
    stop = callbacks.EarlyStopping(monitor="loss", min_delta=10, patience=1)
    assert len(history_of(net(), x, y, epochs=9, callbacks=[stop])["loss"]) == 2


def test_a_missing_value_warns():
    x, y = data()
    with pytest.warns(UserWarning, match="no 'val_loss' in the logs, which have accuracy, loss"):
        net().fit(x, y, verbose=0, callbacks=[callbacks.EarlyStopping()])


@pytest.mark.parametrize(
    "arguments",
    [
        {"patience": 1},
        {"patience": 0, "factor": 0.5},
        {"patience": 1, "cooldown": 2},
        {"patience": 1, "min_lr": 0.3, "factor": 0.5},
        {"patience": 1, "min_delta": 5.0},
    ],
    ids=str,
)
def test_reduce_on_plateau_as_keras(arguments):
    import keras

    rates = []
    for module, k in ((callbacks, kgraph), (keras.callbacks, keras)):
        model = net(k)
        callback = module.ReduceLROnPlateau(monitor="v", mode="min", **arguments)
        callback.set_model(model)
        callback.on_train_begin()
        found = []
        for epoch, value in enumerate([5, 4, 4, 4, 4, 3, 3, 3, 3, 3]):
            logs = {"v": float(value)}
            callback.on_epoch_end(epoch, logs)
            found.append((logs["learning_rate"], float(np.asarray(model.optimizer.learning_rate))))
        rates.append(found)
    np.testing.assert_allclose(rates[0], rates[1], rtol=1e-6)


def test_schedules_of_epochs():
    x, y = data()
    two = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = history_of(net(), x, y, epochs=3, callbacks=[two])
    assert history["learning_rate"] == [0.25, 0.125, 0.0625]
    one = callbacks.LearningRateScheduler(lambda epoch: 0.1 * (epoch + 1))
    history = history_of(net(), x, y, epochs=2, callbacks=[one])
    np.testing.assert_allclose(history["learning_rate"], [0.1, 0.2], rtol=1e-6)


def test_a_schedule_that_fails_inside_says_so():
    def schedule(epoch, rate):
        return "a" + 1

    x, y = data()
    with pytest.raises(TypeError, match="concatenate"):
        net().fit(x, y, verbose=0, callbacks=[callbacks.LearningRateScheduler(schedule)])


def test_the_rate_of_a_scheduler_is_used():
    x, y = data()
    still = callbacks.LearningRateScheduler(lambda epoch: 0.0)
    model = net()
    before = [np.array(w) for w in model.get_weights()]
    model.fit(x, y, verbose=0, callbacks=[still])
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_checkpoints_of_each_epoch(tmp_path):
    x, y = data()
    path = tmp_path / "made" / "at_{epoch:02d}_{loss:.2f}.keras"
    model = net()
    history = history_of(model, x, y, epochs=2, callbacks=[callbacks.ModelCheckpoint(path)])
    names = [f"at_{i + 1:02d}_{history['loss'][i]:.2f}.keras" for i in range(2)]
    assert sorted(p.name for p in path.parent.iterdir()) == sorted(names)
    again = kgraph.saving.load_model(path.parent / names[1])
    np.testing.assert_array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))


def test_checkpoints_of_the_best_only(tmp_path):
    fake = SavingModel()
    callback = callbacks.ModelCheckpoint(
        str(tmp_path / "{epoch}.keras"), monitor="val_acc", save_best_only=True
    )
    callback.set_model(fake)
    for epoch, value in enumerate([0.1, 0.3, 0.2, 0.4]):
        callback.on_epoch_begin(epoch)
        callback.on_epoch_end(epoch, {"val_acc": value})
    assert fake.saved == ["1.keras", "2.keras", "4.keras"]


def test_checkpoints_by_batches(tmp_path):
    fake = SavingModel()
    callback = callbacks.ModelCheckpoint(
        str(tmp_path / "{epoch}_{batch}.weights.h5"), save_weights_only=True, save_freq=3
    )
    callback.set_model(fake)
    for epoch in range(2):
        callback.on_epoch_begin(epoch)
        for batch in range(4):
            callback.on_train_batch_end(batch, {"loss": 1.0})
    assert fake.saved == ["1_3.weights.h5", "2_2.weights.h5"]


class SavingModel(FakeModel):
    """Remembers the names of the files."""

    def __init__(self) -> None:
        super().__init__()
        self.saved: list[str] = []

    def save(self, path: Any, overwrite: bool) -> None:
        assert overwrite
        self.saved.append(str(path).rpartition("/")[2])

    save_weights = save


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: callbacks.ModelCheckpoint("a.h5"), ValueError, r"end in `\.keras`"),
        (
            lambda: callbacks.ModelCheckpoint("a.keras", save_weights_only=True),
            ValueError,
            r"`\.weights\.h5`",
        ),
        (lambda: callbacks.ModelCheckpoint("a.keras", save_freq="day"), ValueError, "save_freq"),
        (lambda: callbacks.ReduceLROnPlateau(factor=1.0), ValueError, "factor"),
        (lambda: callbacks.LambdaCallback(on_lunch=print), TypeError, "on_lunch"),
        (lambda: callbacks.CallbackList([3]), TypeError, "Callback"),
    ],
)
def test_refusals(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_name_that_the_logs_do_not_have(tmp_path):
    x, y = data()
    checkpoint = callbacks.ModelCheckpoint(str(tmp_path / "{nothing}.keras"))
    with pytest.raises(KeyError, match="asks for"):
        net().fit(x, y, verbose=0, callbacks=[checkpoint])


def test_a_direction_that_the_name_does_not_tell():
    stop = callbacks.EarlyStopping(monitor="v")
    stop.set_model(FakeModel())
    stop.on_train_begin()
    stop.on_epoch_end(0, {"v": 1.0})
    with pytest.raises(ValueError, match=r"EarlyStopping.*'v'.*mode='min'"):
        stop.on_epoch_end(1, {"v": 1.0})


def test_terminate_on_nan(capsys):
    x, y = data()
    x[:] = np.nan
    history = history_of(
        net(), x, y, epochs=4, batch_size=4, callbacks=[callbacks.TerminateOnNaN()]
    )
    assert len(history["loss"]) == 1
    assert "Batch 0: the loss is nan" in capsys.readouterr().out


def test_csv_logger(tmp_path):
    x, y = data()
    path = tmp_path / "log.csv"
    model = net()
    history = history_of(model, x, y, epochs=2, callbacks=[callbacks.CSVLogger(path)])
    model.fit(x, y, verbose=0, callbacks=[callbacks.CSVLogger(path, append=True)])
    lines = path.read_text().splitlines()
    assert lines[0] == "epoch,accuracy,loss"
    assert len(lines) == 4
    assert float(lines[1].split(",")[2]) == history["loss"][0]


def test_lambda_callback_and_stop_training():
    x, y = data()
    seen = []
    model = net()

    def stop(epoch, logs):
        seen.append((epoch, sorted(logs)))
        model.stop_training = True

    model.fit(x, y, epochs=5, verbose=0, callbacks=[callbacks.LambdaCallback(on_epoch_end=stop)])
    assert seen == [(0, ["accuracy", "loss"])]


def test_stop_training_within_an_epoch_as_keras():
    x, y = data()
    found = []
    for model in twins(net):
        import keras

        module = kgraph if model.__module__.startswith("kgraph") else keras
        stop = module.callbacks.LambdaCallback(
            on_train_batch_end=lambda batch, logs, model=model: setattr(
                model, "stop_training", batch == 1
            )
        )
        found.append(history_of(model, x, y, batch_size=4, epochs=3, callbacks=[stop]))
    assert list(found[0]) == list(found[1])
    np.testing.assert_allclose(found[0]["loss"], found[1]["loss"], rtol=1e-5)


@pytest.mark.parametrize("name", ["kgraph", "keras"])
def test_the_metric_says_what_is_better(name):
    k = pytest.importorskip(name)

    class Score(k.metrics.Metric):
        """Grows with every batch."""

        _direction = "up"

        def __init__(self) -> None:
            super().__init__(name="score")
            self.total = self.add_variable((), "zeros", name="total")

        def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:
            self.total.assign_add(1.0)

        def result(self) -> Any:
            return self.total * 1.0

        def reset_state(self) -> None:
            pass

    x, y = data()
    model = k.Sequential([k.layers.Input((5,)), k.layers.Dense(1)])
    model.compile("sgd", "mse", metrics=[Score()])
    stop = k.callbacks.EarlyStopping(monitor="score", patience=1)
    assert len(model.fit(x, y, epochs=4, verbose=0, callbacks=[stop]).epoch) == 4
