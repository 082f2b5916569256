"""Donation on jax: state is not held twice, what users hold stays valid, no step is lost."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kgraph
from kgraph import ops
from kgraph.ops import Step, Variable

BIG = 1 << 18


@pytest.fixture(autouse=True)
def _on_jax(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGRAPH_BACKEND", "jax")


def adding(*variables: Variable) -> Step:
    def add(x: Any) -> Any:
        for v in variables:
            v.assign_add(x)
        return ops.sum(variables[0].value[:2])

    return Step(add)


def test_old_arrays_are_deleted() -> None:
    v, w = Variable(np.zeros(BIG, "float32")), Variable(np.zeros(BIG, "float32"))
    step = adding(v, w)
    step(np.float32(1))
    for n in range(2, 5):
        old = [v._value, w._value]
        places = {a.unsafe_buffer_pointer() for a in old}
        assert step(np.float32(1)) == 2 * n
        assert all(a.is_deleted() for a in old)
        assert {a.unsafe_buffer_pointer() for a in (v._value, w._value)} == places
        big = [a for a in jax.live_arrays() if a.shape == (BIG,)]
        assert len(big) == 2


@pytest.mark.parametrize("size", [3, BIG])
def test_what_users_hold_stays_valid(size: int) -> None:
    v = Variable(np.zeros(size, "float32"))
    step = adding(v)
    held = [(0, v.value), (0, v.numpy())]
    for n in range(1, 4):
        step(np.float32(1))
        held += [(n, v.value), (n, v.numpy()), (n, np.asarray(v)), (n, ops.convert_to_tensor(v))]
    for n, array in held:
        np.testing.assert_array_equal(array, np.full(size, n, "float32"))


def test_what_users_gave_stays_valid() -> None:
    v = Variable(np.zeros(BIG, "float32"))
    replace = Step(lambda x: v.assign(x))
    give = jnp.arange(BIG, dtype="float32")
    shown = replace(give)
    adding(v)(np.float32(1))
    read = Step(lambda: v.value)()
    adding(v)(np.float32(1))
    for array, more in ((give, 0), (shown, 0), (read, 1), (v.value, 2)):
        np.testing.assert_array_equal(np.asarray(array), np.arange(BIG) + more)


def test_a_call_gives_nothing_away() -> None:
    v = Variable(np.zeros(4, "float32"))
    step = adding(v)
    step(np.float32(1))
    (found,) = step._compiled.values()
    mine = jnp.ones(4)
    for _ in range(2):
        assert np.asarray(found.program(mine, np.float32(2))[1]).tolist() == [3] * 4
    state = [mine]
    found.program.run(state, [np.float32(2)])
    assert mine.is_deleted()
    assert np.asarray(state[0]).tolist() == [3] * 4


def test_one_array_in_two_places() -> None:
    v, w = Variable(np.zeros(4, "float32")), Variable(np.zeros(4, "float32"))
    step = adding(v, w)
    step(np.float32(1))
    w._store(v._value)
    step(np.float32(1))
    assert v.value.tolist() == w.value.tolist() == [2] * 4


def test_a_program_that_does_not_fit_leaves_the_state() -> None:
    v = Variable(np.ones(10**7, "float32"))
    adding(v)(np.float32(1))

    def huge(x: Any) -> Any:
        v.assign_add(x)
        return v.value[:, None] * v.value[None]

    with pytest.raises(jax.errors.JaxRuntimeError, match="RESOURCE_EXHAUSTED"):
        Step(huge)(np.float32(1))
    assert v.value[:2].tolist() == [2, 2]


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_signal_at_any_instant_leaves_a_whole_step() -> None:
    stopped = False

    def stop(*_: Any) -> None:
        nonlocal stopped
        stopped = True  # Python swallows an error in a callback of its collector
        raise KeyboardInterrupt

    random = np.random.default_rng(1)
    variables = [Variable(np.zeros(5, "float32")) for _ in range(8)]
    step = adding(*variables)
    step(np.float32(1))
    last = 1.0
    handler = signal.signal(signal.SIGALRM, stop)
    try:
        for _ in range(40):
            try:
                stopped = False
                signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-4, 4e-3))
                while not stopped:
                    step(np.float32(1))
            except KeyboardInterrupt:
                pass
            values = {float(x) for v in variables for x in v.value}
            assert len(values) == 1
            assert min(values) >= last
            last = min(values)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)


def fit() -> list[Any]:
    kgraph.utils.set_random_seed(3)
    model = kgraph.Sequential(
        [
            kgraph.layers.Input((4,)),
            kgraph.layers.Dense(64, activation="relu"),
            kgraph.layers.BatchNormalization(),
            kgraph.layers.Dense(1),
        ]
    )
    model.compile("adam", "mse")
    x = np.random.default_rng(0).random((40, 4), "float32")
    model.fit(x, x.sum(1, keepdims=True), epochs=2, batch_size=16, verbose=0)
    model.evaluate(x, x.sum(1, keepdims=True), verbose=0)
    return [*model.get_weights(), model.predict(x, verbose=0)]


SEVERAL = """
import jax, numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from tests.codegen.jax.test_donation import adding, fit
from kgraph.ops import Variable
assert len(jax.devices()) == 8
v = Variable(np.zeros(16, "float32"))
step = adding(v)
step(np.float32(1))
spread = NamedSharding(Mesh(np.array(jax.devices()), ("x",)), PartitionSpec("x"))
v._store(jax.device_put(v._value, spread))
for n in range(2, 5):
    old = v._value
    step(np.float32(1))
    assert old.is_deleted() and len(v._value.sharding.device_set) == 8
    assert v.value.tolist() == [n] * 16
assert all(np.isfinite(a).all() for a in fit())
"""


@pytest.mark.slow
def test_several_devices() -> None:
    flags = "--xla_force_host_platform_device_count=8"
    more = {"KGRAPH_BACKEND": "jax", "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    command = [sys.executable, "-c", SEVERAL]
    done = subprocess.run(command, env={**os.environ, **more}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_training_is_that_without_donation(monkeypatch: pytest.MonkeyPatch) -> None:
    donated = fit()
    start = Step.__init__

    def without(self: Step, *args: Any, **kwargs: Any) -> None:
        start(self, *args, **{**kwargs, "donate": False})

    monkeypatch.setattr(Step, "__init__", without)
    for a, b in zip(donated, fit(), strict=True):
        np.testing.assert_array_equal(a, b)
