"""A thousand calls use no more memory than the first; threads and signals do not change a bit."""

import gc
import resource
import signal
from typing import Any

import numpy as np
import pytest

import kgraph
from tests.api.twins import data

ALLOWED = 3000  # KiB; the first kernel (5 KiB), kept by each call, would be more


def net() -> Any:
    model = kgraph.Sequential(
        [
            kgraph.layers.Input((5,)),
            kgraph.layers.Dense(256, activation="relu"),
            kgraph.layers.Dropout(0.5, seed=1),
            kgraph.layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def resident() -> int:
    """KiB that the process holds now."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() // 1024


CALLS = {
    "predict": lambda model, x, y: model.predict(x, verbose=0),
    "train_on_batch": lambda model, x, y: model.train_on_batch(x, y),
    "model(x)": lambda model, x, y: model(x),
}


@pytest.mark.parametrize("name", CALLS)
def test_memory_is_flat(name):
    model, (x, y) = net(), data()
    for _ in range(100):
        CALLS[name](model, x, y)
    gc.collect()
    before = resident()
    for _ in range(1000):
        CALLS[name](model, x, y)
    gc.collect()
    assert resident() - before < ALLOWED


def test_memory_is_flat_over_batch_sizes():
    """A new batch size compiles nothing and keeps nothing."""
    model = net()
    x, y = data(400)
    for n in range(1, 60):
        model.train_on_batch(x[:n], y[:n])
    gc.collect()
    before = resident()
    for n in range(60, 400):
        model.train_on_batch(x[:n], y[:n])
    gc.collect()
    assert resident() - before < ALLOWED


def test_threads_do_not_change_a_bit():
    x, y = data(70)
    first = net()
    start = [np.array(w) for w in first.get_weights()]
    found = []
    threads = kgraph.config.thread_count()
    try:
        for count in (1, 2, 3):
            kgraph.config.set_threads(count)
            model = net()
            model.set_weights(start)
            losses = model.fit(x, y, batch_size=32, epochs=2, shuffle=False, verbose=0).history
            found.append((losses, [np.array(w) for w in model.get_weights()]))
    finally:
        kgraph.config.set_threads(threads)
    for losses, weights in found[1:]:
        assert losses == found[0][0]
        for a, b in zip(weights, found[0][1], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_signal_at_any_instant_leaves_a_whole_step():
    def build() -> Any:
        kgraph.utils.set_random_seed(5)
        model = kgraph.Sequential(
            [kgraph.layers.Input((4,)), kgraph.layers.Dense(6), kgraph.layers.Dense(2)]
        )
        model.compile(kgraph.optimizers.Adam(1e-3), "mse")
        model.train_on_batch(x, y)
        return model

    def state(model: Any) -> list[Any]:
        return [np.array(v) for v in (*model.weights, *model.optimizer.variables)]

    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    random = np.random.default_rng(1)
    x, y = random.random((3, 4), "float32"), random.random((3, 2), "float32")
    model, twin = build(), build()
    steps = int(twin.optimizer.iterations)
    handler = signal.signal(signal.SIGALRM, stop)
    try:
        for _ in range(25):
            try:
                signal.setitimer(signal.ITIMER_REAL, random.uniform(2e-4, 4e-3))
                while True:
                    model.train_on_batch(x, y)
            except KeyboardInterrupt:
                pass
            while steps < int(model.optimizer.iterations):
                twin.train_on_batch(x, y)
                steps += 1
            for a, b in zip(state(model), state(twin), strict=True):
                np.testing.assert_array_equal(a, b)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
