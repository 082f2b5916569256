"""Batches from arrays, generators and datasets: every sample once, in order, and clear refusals."""

import threading
import time
from typing import Any

import numpy as np
import pytest

import kgraph
from kgraph.models.data_batches import make_source, train_validation_split, unpack
from kgraph.models.epochs import BatchGroups
from tests.api.twins import data, history_of

pytestmark = pytest.mark.usefixtures("on_reference")


class Blocks(kgraph.utils.PyDataset):
    """Batch i holds the number i; later batches are ready sooner."""

    def __init__(self, count: int = 6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.count, self.threads, self.ends = count, set(), 0

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Any:
        self.threads.add(threading.get_ident())
        time.sleep(0.002 * (self.count - index))
        return np.full((2, 1), index, "float32"), np.full((2, 1), -index, "float32")

    def on_epoch_end(self) -> None:
        self.ends += 1


def first_numbers(source: Any) -> list[float]:
    return [float(x.ravel()[0]) for x, _, _ in source.epoch()]


def test_arrays_in_order_with_a_partial_last_batch():
    source = make_source(np.arange(7.0), np.arange(7), batch_size=3)
    batches = list(source.epoch())
    assert source.num_batches == 3
    assert [x.tolist() for x, _, _ in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert [y.tolist() for _, y, _ in batches] == [[0, 1, 2], [3, 4, 5], [6]]
    assert all(x.dtype == "float32" for x, _, _ in batches)


def test_the_default_batch_has_32_samples():
    assert make_source(np.zeros(65)).num_batches == 3


def test_shuffle_keeps_x_and_y_together():
    source = make_source(np.arange(50.0), np.arange(50), batch_size=8, shuffle=True)
    seen = [(x.tolist(), y.tolist()) for x, y, _ in source.epoch()]
    assert all(x == y for x, y in seen)
    flat = [v for x, _ in seen for v in x]
    assert flat != sorted(flat)
    assert sorted(flat) == list(range(50))


def test_shuffle_of_whole_batches():
    source = make_source(np.arange(20.0), batch_size=4, shuffle="batch")
    blocks = [x.tolist() for x, _, _ in source.epoch()]
    assert all(b == list(range(int(b[0]), int(b[0]) + 4)) for b in blocks)
    assert sorted(b[0] for b in blocks) == [0, 4, 8, 12, 16]


def test_nested_structures():
    x = {"a": np.zeros((4, 2)), "b": [np.ones(4), (np.ones((4, 1)),)]}
    batch, y, weight = next(make_source(x, batch_size=3).epoch())
    assert batch["a"].shape == (3, 2)
    assert batch["b"][1][0].shape == (3, 1)
    assert y is None
    assert weight is None


def test_validation_split_takes_the_last_samples():
    first, last = train_validation_split((np.arange(10), None, np.ones(10)), 0.3)
    assert first[0].tolist() == list(range(7))
    assert last[0].tolist() == [7, 8, 9]
    assert first[1] is None
    assert len(last[2]) == 3


@pytest.mark.parametrize("workers", [1, 3])
def test_datasets_keep_their_order(workers):
    dataset = Blocks(workers=workers)
    assert first_numbers(make_source(dataset)) == [0, 1, 2, 3, 4, 5]
    assert len(dataset.threads) > 1 if workers > 1 else len(dataset.threads) == 1


def test_datasets_are_shuffled_by_batch():
    kgraph.utils.set_random_seed(2)
    found = first_numbers(make_source(Blocks(count=8), shuffle=True))
    assert found != sorted(found)
    assert sorted(found) == list(range(8))


def test_an_error_in_a_worker_reaches_the_reader():
    class Failing(Blocks):
        def __getitem__(self, index):
            if index == 3:
                raise RuntimeError("block 3 is lost")
            return super().__getitem__(index)

    with pytest.raises(RuntimeError, match="block 3 is lost"):
        first_numbers(make_source(Failing(workers=2)))


def test_workers_end_when_the_reader_stops():
    before = threading.active_count()
    batches = make_source(Blocks(count=50, workers=3, max_queue_size=2)).epoch()
    next(batches)
    batches.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert threading.active_count() <= before


def test_workers_do_not_run_far_ahead():
    asked = []

    class Counting(Blocks):
        def __getitem__(self, index):
            asked.append(index)
            return super().__getitem__(index)

    batches = make_source(Counting(count=50, workers=2, max_queue_size=3)).epoch()
    next(batches)
    time.sleep(0.3)
    assert len(asked) <= 8
    batches.close()


def test_endless_datasets_need_steps():
    class Endless(Blocks):
        @property
        def num_batches(self):
            return None

    source = make_source(Endless(count=20))
    assert source.num_batches is None
    groups = list(BatchGroups(source, 3).epoch(1))
    assert [index for index, _ in groups] == [0, 1, 2]


def test_generators_go_on_where_they_stopped():
    groups = BatchGroups(make_source((np.full(2, i), np.zeros(2)) for i in range(6)), 2)
    assert [int(b[0][0][0]) for _, b in groups.epoch(1)] == [0, 1]
    assert [int(b[0][0][0]) for _, b in groups.epoch(1)] == [2, 3]


def test_groups():
    groups = list(BatchGroups(make_source(np.zeros(11), batch_size=2), None).epoch(4))
    assert [(index, len(batches)) for index, batches in groups] == [(0, 4), (4, 2)]


def test_batches_as_tuples():
    assert unpack(1) == (1, None, None)
    assert unpack((1, 2)) == (1, 2, None)
    assert unpack([1, 2]) == ([1, 2], None, None)
    with pytest.raises(ValueError, match="got a tuple of 4 items"):
        unpack((1, 2, 3, 4))


def model() -> Any:
    found = kgraph.Sequential([kgraph.layers.Input((1,)), kgraph.layers.Dense(1)])
    found.compile("sgd", "mse")
    return found


def test_fit_evaluate_predict_with_a_dataset():
    net, dataset = model(), Blocks(workers=2)
    assert len(history_of(net, dataset, epochs=3, validation_data=Blocks())["val_loss"]) == 3
    assert dataset.ends == 3
    assert np.isfinite(net.evaluate(dataset, verbose=0))
    assert net.predict(dataset, verbose=0).shape == (12, 1)


def test_fit_with_generators():
    x = np.linspace(0, 1, 24, dtype="float32").reshape(24, 1)

    def batches(repeat):
        for _ in range(repeat):
            for i in range(0, 24, 8):
                yield x[i : i + 8], 2 * x[i : i + 8]

    a, b, c = model(), model(), model()
    b.set_weights(a.get_weights())
    c.set_weights(a.get_weights())
    by_arrays = history_of(a, x, 2 * x, batch_size=8, epochs=2)
    by_generator = history_of(b, batches(2), epochs=2, steps_per_epoch=3)
    np.testing.assert_array_equal(by_arrays["loss"], by_generator["loss"])
    with pytest.warns(UserWarning, match="gave no batch"):
        once = history_of(c, batches(1), epochs=5)
    assert once["loss"] == by_arrays["loss"][:1]
    assert a.predict((x[i : i + 8] for i in (0, 8)), verbose=0).shape == (16, 1)
    assert np.isfinite(a.evaluate(batches(1), verbose=0))


def test_weights_in_the_batches_of_a_generator():
    x, _ = data(8, 1)
    weight = np.linspace(0, 1, 8, dtype="float32")
    a, b = model(), model()
    b.set_weights(a.get_weights())
    by_arrays = history_of(a, x, x, sample_weight=weight)
    assert by_arrays == history_of(b, iter([(x, x, weight)]))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"x": np.zeros(3), "y": np.zeros(4)}, "one number of samples"),
        ({"x": np.float32(1)}, "batch dimension"),
        ({"x": np.array(["a"])}, "arrays of numbers"),
        ({"x": Blocks(), "y": np.zeros(1)}, "`y` must be None"),
        ({"x": Blocks(), "batch_size": 4}, "`batch_size` must be None"),
        ({"x": iter([]), "class_weight": {0: 1.0}}, "`class_weight` is not supported"),
        ({"x": np.zeros(3), "class_weight": {0: 1.0}}, "`class_weight` needs"),
        (
            {
                "x": np.zeros(2),
                "y": np.zeros(2),
                "sample_weight": np.ones(2),
                "class_weight": {0: 1},
            },
            "not both",
        ),
        ({"x": None}, "at least one array"),
    ],
    ids=lambda a: ",".join(a) if isinstance(a, dict) else "",
)
def test_refusals(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_source(**arguments)


@pytest.mark.parametrize("fraction", [-0.1, 1.0, 1.5])
def test_bad_validation_split(fraction):
    with pytest.raises(ValueError, match="validation_split"):
        model().fit(np.zeros((4, 1)), np.zeros((4, 1)), validation_split=fraction, verbose=0)


def test_a_split_that_leaves_nothing():
    with pytest.raises(ValueError, match="one side would be empty"):
        model().fit(np.zeros((1, 1)), np.zeros((1, 1)), validation_split=0.5, verbose=0)
