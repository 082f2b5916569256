"""Programs on the reference backend: the driver, state, and results that are nobody else's."""

import importlib.util
import re
import threading

import numpy as np
import pytest

from kgraph import runtime
from kgraph.codegen import Options
from kgraph.ir import Array, Builder, Function, IRError, Literal, TensorType, symbol
from kgraph.runtime import BackendError

REFERENCE = Options(backend="reference")
B = symbol("batch")


def step() -> Function:
    """(w: f32[3], x: f32[batch,3]) -> (-w, -x, x, x, 1.5)"""
    b = Builder()
    w = b.param("w", TensorType((3,), "float32"))
    x = b.param("x", TensorType((B, 3), "float32"))
    return b.function(b.negate(w), b.negate(x), x, x, b.constant(Literal.of(np.float32(1.5))))


def arguments(batch: int = 2) -> tuple[Array, Array]:
    return np.arange(3, dtype=np.float32), np.ones((batch, 3), np.float32)


def test_a_call() -> None:
    program = runtime.compile(step(), options=REFERENCE, name="step")
    w, x = arguments()
    results = program(w, x)
    assert isinstance(results, tuple)
    np.testing.assert_array_equal(results[0], -w)
    np.testing.assert_array_equal(results[1], -x)
    assert program.signature.names == ("w", "x")
    assert program.signature.symbols == ("batch",)


def test_results_share_memory_with_nothing() -> None:
    program = runtime.compile(step(), options=REFERENCE)
    w, x = arguments()
    results = program(w, x)
    for result in results:
        result += 100
    np.testing.assert_array_equal(x, np.ones((2, 3)))
    np.testing.assert_array_equal(results[3], results[2])
    again = program(w, x)
    assert again[4] == 1.5
    np.testing.assert_array_equal(again[2], x)


@pytest.mark.parametrize(
    ("given", "error", "says"),
    [
        ((np.zeros(3, np.float32),), ValueError,
         "the program step takes 2 arguments (of w, x); got 1"),
        ((np.zeros(4, np.float32), np.zeros((2, 3), np.float32)), ValueError,
         "the argument w must be f32[3]; got the shape [4]: dim 0 must be 3"),
        ((np.zeros(3, np.float32), np.zeros((2, 3), np.int64)), TypeError,
         "the argument x must be f32[batch,3]; got the dtype int64"),
        ((np.zeros(3, np.float32), np.zeros(3, np.float32)), ValueError,
         "the argument x must be f32[batch,3]; got the shape [3]"),
    ],
)  # fmt: skip
def test_wrong_arguments(given: tuple[Array, ...], error: type[Exception], says: str) -> None:
    program = runtime.compile(step(), options=REFERENCE, name="step")
    with pytest.raises(error, match=re.escape(says)):
        program(*given)


def test_any_batch_without_compiling_again() -> None:
    program = runtime.compile(step(), options=REFERENCE)
    for batch in [*range(100), 3, 0]:
        assert program(*arguments(batch))[1].shape == (batch, 3)


def test_state_goes_in_and_comes_out() -> None:
    program = runtime.compile(step(), state=1, donate={0: 0}, options=REFERENCE)
    w, x = arguments()
    state = w.copy()
    for expected in (-w, w, -w):
        state = program.run([state], [x])[0]
        np.testing.assert_array_equal(state, expected)
    with pytest.raises(ValueError, match=re.escape("takes 1 state arrays (of w, x); got 0")):
        program.run([], [x])
    with pytest.raises(ValueError, match=re.escape("takes 1 inputs (of w, x); got 2")):
        program.run([w], [x, x])


@pytest.mark.parametrize(
    ("state", "donate", "says"),
    [
        (3, {}, "state must be between 0 and the 2 parameters; got 3"),
        (1, {0: 1}, "donate must map one of 5 results to one of 1 state parameters; got 0: 1"),
        (1, {7: 0}, "got 7: 0"),
        (
            1,
            {1: 0},
            "result 1 replaces the state w and must have its type f32[3]; got f32[batch,3]",
        ),
        (2, {2: 1, 3: 1}, "two results replace one state parameter"),
    ],
)
def test_donation_that_does_not_fit(state: int, donate: dict[int, int], says: str) -> None:
    with pytest.raises(IRError, match=re.escape(says)):
        runtime.compile(step(), state=state, donate=donate, options=REFERENCE)


def test_equal_functions_are_compiled_once(monkeypatch: pytest.MonkeyPatch) -> None:
    from kgraph.codegen import reference

    made: list[Function] = []
    original = reference.compile

    def counted(fn: Function, **rest: object) -> object:
        made.append(fn)
        return original(fn, **rest)  # type: ignore[arg-type]

    monkeypatch.setattr(reference, "compile", counted)
    for _ in range(3):
        runtime.compile(step(), options=REFERENCE)
    assert len(made) == 1
    runtime.compile(step(), state=1, options=REFERENCE)
    assert len(made) == 2
    runtime.clear_memory_cache()
    runtime.compile(step(), options=REFERENCE)
    assert len(made) == 3


def test_calls_from_several_threads() -> None:
    program = runtime.compile(step(), options=REFERENCE)
    wrong: list[int] = []

    def work(batch: int) -> None:
        shapes = [program(*arguments(batch))[1].shape for _ in range(50)]
        wrong.extend(batch for shape in shapes if shape != (batch, 3))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_missing_jax_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(BackendError, match=re.escape("pip install 'kgraph[jax]'")):
        runtime.compile(step(), options=Options(backend="jax"))
