"""Whole models at work: several at once from several threads, interrupted, for a long time."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
from typing import Any

import numpy as np
import pytest

import kgraph
from kgraph import layers, runtime


@pytest.fixture(autouse=True)
def three_threads() -> Any:
    runtime.set_threads(3)
    yield
    runtime.set_threads(None)


def convnet() -> Any:
    model = kgraph.Sequential(
        [
            layers.Input((9, 9, 2)),
            layers.Conv2D(4, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(3, activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy")
    return model


def mlp() -> Any:
    model = kgraph.Sequential(
        [layers.Input((20,)), layers.Dense(33, activation="tanh"), layers.Dense(3)]
    )
    model.compile("adam", "mse")
    return model


def data(model: Any, batch: int) -> tuple[Any, Any]:
    rng = np.random.default_rng(batch)
    x = rng.random((batch, *model.input_shape[1:]), "float32")
    images = len(model.input_shape) == 4
    return x, rng.integers(0, 3, batch) if images else rng.random((batch, 3), "float32")


def test_several_programs_from_several_threads() -> None:
    """Each thread trains and asks a model of its own, as it would alone, bit for bit."""
    makers = [convnet, mlp, convnet, mlp]

    def run(model: Any, found: list[bytes]) -> None:
        for batch in (40, 7, 40, 1):
            x, y = data(model, batch)
            model.train_on_batch(x, y)
            found.append(model.predict_on_batch(x).tobytes())

    models = [make() for make in makers]
    weights = [model.get_weights() for model in models]
    alone: list[list[bytes]] = []
    for model in models:
        alone.append([])
        run(model, alone[-1])
    models = [make() for make in makers]
    for model, start in zip(models, weights, strict=True):
        model.set_weights(start)
    together: list[list[bytes]] = [[] for _ in models]
    threads = [
        threading.Thread(target=run, args=pair) for pair in zip(models, together, strict=True)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_one_program_from_several_threads() -> None:
    model = mlp()
    batches = [data(model, n)[0] for n in (1, 5, 64, 200)]
    expected = [model.predict_on_batch(x).tobytes() for x in batches]
    wrong: list[int] = []

    def run(i: int) -> None:
        for _ in range(20):
            wrong.extend([i] * (model.predict_on_batch(batches[i]).tobytes() != expected[i]))

    threads = [threading.Thread(target=run, args=(i,)) for i in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_an_interrupt_ends_fit_within_two_steps() -> None:
    """And the weights are those of a whole step."""
    model = convnet()
    x, y = data(model, 8)
    model.train_on_batch(x, y)

    class Interrupt(kgraph.callbacks.Callback):
        """Ctrl-C in the middle of a step."""

        steps_after = 0
        sent = False

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            if batch == 5:
                self.sent = True
                threading.Timer(0.0, os.kill, (os.getpid(), signal.SIGINT)).start()

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.steps_after += self.sent
            if self.sent:
                time.sleep(0.05)  # the other thread may not have had a CPU yet

    watch = Interrupt()
    many = np.repeat(x, 100, 0), np.repeat(y, 100, 0)
    # jax, where another test has loaded it, is told of each collection by a Python function, and
    # what a signal raises in there is lost.
    gc.disable()
    try:
        with pytest.raises(KeyboardInterrupt):
            model.fit(*many, batch_size=8, epochs=50, verbose=0, callbacks=[watch])
    finally:
        gc.enable()
    assert watch.steps_after <= 2
    assert all(np.isfinite(w).all() for w in model.get_weights())
    model.train_on_batch(x, y)  # and it goes on


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="no /proc")
def test_memory_is_flat_over_many_steps() -> None:
    model = convnet()
    batches = [data(model, n) for n in (64, 64, 13)]

    def steps(count: int) -> None:
        for i in range(count):
            x, y = batches[i % 3]
            model.train_on_batch(x, y)
            model.predict_on_batch(x)

    steps(100)
    before = resident()
    steps(1000)
    # a leaked batch or result a step would be at least 10 MB
    assert resident() - before < 3 << 20
