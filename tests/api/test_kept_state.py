"""A step keeps what it knows of its state while no variable changes, and no longer."""

from __future__ import annotations

import threading
import weakref

import numpy as np

import kgraph
from kgraph import ops
from kgraph.ops._step import Step
from kgraph.runtime.state import State, states


def scaled() -> tuple[kgraph.Variable, Step]:
    w = kgraph.Variable(np.ones((3, 2), "float32"))
    return w, Step(lambda x: ops.matmul(x, w))


X = np.ones((1, 3), "float32")


def test_every_change_is_seen() -> None:
    w, step = scaled()
    grow = Step(lambda x: w.assign(w * x))
    for factor, change in (
        (1, lambda: None),
        (2, lambda: w.assign(np.full((3, 2), 2, "float32"))),
        (3, lambda: w.assign_add(np.ones((3, 2), "float32"))),
        (6, lambda: grow(np.full((3, 2), 2, "float32"))),
        (12, lambda: grow(np.full((3, 2), 2, "float32"))),
    ):
        change()
        for _ in range(2):
            assert (step(X) == 3 * factor).all()


def test_a_state_is_the_same_list_until_a_variable_changes() -> None:
    w, step = scaled()
    step(X)
    (first,) = states.known.values()
    assert isinstance(first, State)
    step(X)
    assert list(states.known.values()) == [first]
    kgraph.Variable(0.0).assign(1.0)  # of whomever
    assert not states.known
    step(X)
    (second,) = states.known.values()
    assert second is not first
    assert second.version == first.version
    assert second[0] is w._value


def test_replaced_arrays_are_let_go() -> None:
    w, step = scaled()
    step(X)
    old = weakref.ref(w._value)
    w.assign(np.zeros((3, 2), "float32"))
    assert old() is None
    assert not step(X).any()


def test_a_step_is_let_go() -> None:
    _, step = scaled()
    step(X)
    gone = weakref.ref(step)
    del step
    assert gone() is None
    assert not states.known


def test_changes_by_another_thread() -> None:
    w, step = scaled()

    def change() -> None:
        for i in range(1, 300):
            w.assign(np.full((3, 2), i, "float32"))

    thread = threading.Thread(target=change)
    thread.start()
    seen = [float(step(X)[0, 0]) for _ in range(300)]
    thread.join()
    assert seen == sorted(seen)
    assert (step(X) == 3 * 299).all()


def test_arguments_are_looked_at_in_every_call() -> None:
    """What an earlier call knew of them is for dense ones of the same dtype and shape."""
    w, step = scaled()
    w.assign(np.arange(6, dtype="float32").reshape(3, 2))
    x = np.random.default_rng(0).random((4, 3), "float32")
    expected = x @ np.arange(6, dtype="float32").reshape(3, 2)
    shifted = np.zeros(4 * 3 * 4 + 1, np.uint8)[1:].view("float32").reshape(4, 3)
    shifted[:] = x
    given = [x, x.T.copy().T, np.repeat(x, 2, 1)[:, ::2], x.astype(">f4"), shifted, x[::-1][::-1]]
    frozen = x.copy()
    frozen.flags.writeable = False
    for _ in range(2):
        for array in (*given, frozen, x.tolist()):
            np.testing.assert_allclose(step(array), expected, rtol=1e-6)
        for rows in (0, 1, 3):
            np.testing.assert_allclose(step(x[:rows]), expected[:rows], rtol=1e-6)
