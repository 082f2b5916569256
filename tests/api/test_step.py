"""Steps: signatures, sizes, state, failures, running eagerly."""

import threading
import time
from typing import Any

import numpy as np
import pytest

import kgraph
from kgraph import ops, random
from kgraph.ops import Step, Variable
from kgraph.runtime import ArgumentError


def ones(*shape: int, dtype: str = "float32") -> Any:
    return np.ones(shape, dtype)


def programs(step: Step) -> int:
    return len({id(found) for found in step._compiled.values()})


def test_one_program_for_all_batches() -> None:
    step = Step(lambda x, y: ops.sum(x) + ops.mean(y))
    for n in (1, 4, 7, 1, 128):
        assert step(ones(n, 3), ones(n)) == 3 * n + 1
    assert programs(step) == 1


def test_what_makes_another_program() -> None:
    step = Step(lambda x, factor: x * factor)
    step(ones(2, 3), 2)
    for args in [
        (ones(2, 4), 2), (ones(2, 3, dtype="int32"), 2), (ones(2), 2), (ones(2, 3), 3),
        (ones(2, 3), 2.0), (ones(2, 3), True), (ones(2, 3), ones(2, 3)), (ones(2, 3), ones(3)),
        (ones(2, 3), ones(1, 3)),
    ]:  # fmt: skip
        before = programs(step)
        np.testing.assert_array_equal(step(*args), args[0] * args[1])
        assert programs(step) == before + 1
    step(ones(9, 3), ones(9, 3))
    step(ones(9, 3), ones(1, 3))
    assert programs(step) == before + 1


def test_arguments_like_earlier_ones() -> None:
    """They are recognised by dtypes and shapes, and still looked at."""
    converted = []
    step = Step(lambda x, y: x if y is None else x * y, convert=lambda a: converted.append(a) or a)
    x = np.arange(12, dtype="float32").reshape(3, 4)
    for _ in range(3):
        np.testing.assert_array_equal(step(x, None), x)
    assert len(converted) == 2  # of the first call
    turned = np.asfortranarray(x)
    big = x.astype(">f4")
    for other in (turned, x[::-1], big, x.astype("float64"), x[:2]):
        np.testing.assert_array_equal(step(other, None), other)
        np.testing.assert_array_equal(step(other, other), other * other)
    for n in range(200):
        assert step(ones(n, 4), None).shape == (n, 4)
    assert len(step._known) <= 64


def test_what_convert_changes_is_converted_each_time() -> None:
    step = Step(lambda x: x, convert=lambda a: a.astype("float32"))
    for _ in range(3):
        assert step(np.ones(3)).dtype == "float32"


def test_another_leading_size_is_a_symbol_of_its_own() -> None:
    step = Step(lambda x, table: ops.take(table, x, 0))
    for n, m in ((2, 5), (3, 7), (4, 2)):
        assert step(np.zeros(n, "int32"), ones(m, 3)).shape == (n, 3)
    assert programs(step) == 1


def test_static_and_chosen_sizes() -> None:
    static = Step(lambda x: x, symbolic_batch=False)
    static(ones(2))
    static(ones(3))
    assert programs(static) == 2
    chosen = Step(lambda x: ops.sum(x, 1), symbolic=lambda i, shape: ["batch", "time"])
    for shape in ((2, 3), (4, 5)):
        assert chosen(ones(*shape)).shape == shape[:1]
    assert programs(chosen) == 1


def test_a_size_that_varies_becomes_a_symbol() -> None:
    step = Step(lambda x, y: ops.sum(ops.cumsum(x, 2), 1) + ops.shape(y)[1])
    shapes = [(2, 5, 3), (4, 7, 3), (3, 9, 3), (3, 1, 3), (8, 1, 3), (2, 5, 3), (2, 0, 3)]
    made = []
    for n, m, k in shapes:
        x = np.arange(n * m * k, dtype="float32").reshape(n, m, k)
        np.testing.assert_allclose(step(x, ones(n, m)), x.cumsum(2).sum(1) + m)
        made.append(programs(step))
    assert made == [1, 2, 2, 3, 3, 3, 4]  # 5, any, any, 1, 1, 5, 0
    assert not step.specializations


def test_sizes_that_vary_together_and_apart() -> None:
    step = Step(lambda x, y: ops.concatenate([x, y], 1) if x.shape == y.shape else ops.mean(y, 1))
    made = []
    for n, m in ((5, 5), (7, 7), (8, 8), (8, 9), (3, 4), (9, 9)):
        x, y = ones(2, n), ones(2, m)
        assert step(x, y).shape == ((2, 2 * n) if n == m else (2,))
        made.append(programs(step))
    assert made == [1, 2, 2, 3, 3, 3]


def test_kernels_that_are_made_for_a_size_get_it() -> None:
    kernel = ones(3, 3, 1, 2)
    step = Step(lambda x: ops.max_pool(ops.conv(x, kernel), 2))
    for n, m in ((8, 9), (10, 9), (10, 12), (6, 7)):
        assert step(ones(2, n, m, 1)).shape == (2, (n - 2) // 2, (m - 2) // 2, 2)
    assert {s.symbol: s.size for s in step.specializations} == {"size0": 10, "size1": 12}
    assert all("window" in s.reason for s in step.specializations)
    # traced from types alone there is no number to ask for
    kgraph.trace(lambda x: ops.conv(x, kernel), "f32[batch,h,w,1]")


def test_code_that_takes_numbers_only_gets_them() -> None:
    def half(x: Any) -> Any:
        if not isinstance(x.shape[1], int):
            raise ValueError("no number")
        return x[:, : x.shape[1] // 2]

    step = Step(half)
    for n in (4, 6, 8):
        assert step(ones(2, n)).shape == (2, n // 2)
    assert [s.reason for s in step.specializations] == ["no number"]


def test_a_wrong_size_does_not_make_it_a_symbol() -> None:
    step = Step(lambda x: ops.matmul(x, np.ones((3, 2), "float32")))
    step(ones(2, 3))
    for _ in range(2):
        with pytest.raises(ValueError, match="summed over"):
            step(ones(2, 4))
    assert not step.specializations
    assert step(ones(5, 3)).shape == (5, 2)


def test_a_size_that_python_needs() -> None:
    step = Step(lambda x: ops.stack([x[0]] * x.shape[0]))
    for n in (2, 3, 2):
        assert step(ones(n, 2)).shape == (n, 2)
    assert programs(step) == 2
    first = step.specializations[0]
    assert (first.symbol, first.size) == ("batch", 2)
    assert first.place.startswith(__file__)
    assert "batch" in str(first)
    titles = [made.program.name for made in step._compiled.values()]
    assert titles[1] == f"<lambda> [batch=3 for {first.place}]"


def test_sizes_that_do_not_fit() -> None:
    step = Step(lambda x, y: x + y)
    with pytest.raises(ArgumentError, match="must be"):
        step(ones(2, 3), ones(4, 3))
    step(ones(2, 3), ones(2, 3))


def test_structures_and_statics() -> None:
    def f(x: Any, flags: Any) -> Any:
        return {"y": x["a"] * 2 if flags[0] else x["a"], "z": [x["b"], flags[1]]}

    step = Step(f)
    found = step({"a": ones(2), "b": ones(2, 1)}, (True, "name"))
    assert found["y"].tolist() == [2, 2]
    assert found["z"][1] == "name"
    with pytest.raises(TypeError, match="hashable"):
        step({"a": ones(2), "b": ones(2)}, (True, {1, 2}))


def test_odd_arrays() -> None:
    step = Step(lambda x: x * 2)
    wanted = np.arange(12, dtype="float32").reshape(3, 4) * 2
    base = np.arange(12, dtype="float32").reshape(3, 4)
    read_only = base.copy()
    read_only.flags.writeable = False
    for array in (base, np.asfortranarray(base), base[::-1][::-1], read_only, base.astype(">f4")):
        np.testing.assert_array_equal(step(array), wanted)
        np.testing.assert_array_equal(base * 2, wanted)


def test_state() -> None:
    v, w = Variable(ones(3), name="v"), Variable(0, name="count")

    def train(x: Any) -> Any:
        old = v.value
        v.assign(v + ops.sum(x, 0))
        w.assign_add(1)
        return old, v

    step = Step(train)
    old, new = step(ones(2, 3))
    assert (old.tolist(), new.tolist()) == ([1, 1, 1], [3, 3, 3])
    step(ones(5, 3))
    assert (v.numpy().tolist(), int(w)) == ([8, 8, 8], 2)
    assert new.tolist() == [3, 3, 3]
    v.assign(np.zeros(3))
    step(ones(1, 3))
    assert v.numpy().tolist() == [1, 1, 1]


def test_swap() -> None:
    a, b = Variable(ones(2000)), Variable(ones(2000) * 2)

    def swap() -> None:
        x, y = a.value, b.value
        a.assign(y)
        b.assign(x)

    step = Step(swap)
    for _ in range(3):
        assert step() is None
    assert (a.numpy()[0], b.numpy()[0]) == (2, 1)


def test_results_are_the_callers() -> None:
    v = Variable(ones(3000))
    step = Step(lambda x: (v.assign(v + x), x, v))
    x = ones(3000)
    first = step(x)
    first[0][:] = 7
    first[1][:] = 7
    assert (x[0], v.numpy()[0], first[2][0]) == (1, 2, 2)
    kept = v.value
    step(x)
    assert (kept[0], v.numpy()[0]) == (2, 3)


def test_arrays_that_a_function_returns_are_fresh_each_time() -> None:
    table = ones(3)
    step = Step(lambda x: (x, table))
    for _ in range(2):
        found = step(ones(2))[1]
        assert found.tolist() == [1, 1, 1]
        if found.flags.writeable:
            found[:] = 5
    assert table.tolist() == [1, 1, 1]


def test_a_failed_step_changes_nothing() -> None:
    v = Variable(1.0)

    def f(x: Any) -> Any:
        v.assign(5.0)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        Step(f)(ones(2))
    assert float(v) == 1
    assert ops.current_trace() is None
    step = Step(lambda x, y: v.assign(ops.sum(x + y)))
    with pytest.raises(ArgumentError):
        step(ones(2), ones(3))
    assert float(v) == 1


def test_a_step_in_a_trace_is_inlined() -> None:
    v = Variable(1.0)
    inner = Step(lambda x: v.assign_add(1) * x)
    outer = Step(lambda x: inner(x) + inner(x))
    assert outer(np.float32(10)) == 50
    assert programs(inner) == 0


@pytest.mark.parametrize("eagerly", [False, True])
def test_training(eagerly: bool) -> None:
    w = Variable(np.zeros((3, 1), "float32"))
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    y = x @ np.array([[1.0], [-2.0], [0.5]], "float32")

    def train(x: Any, y: Any) -> Any:
        loss = ops.mean(ops.square(ops.matmul(x, w) - y))
        (slope,) = ops.gradients(loss, [w.value])
        w.assign_sub(0.1 * slope)
        return loss

    step = Step(train, run_eagerly=eagerly)
    losses = [float(step(x, y)) for _ in range(20)]
    assert losses[-1] < losses[0] / 20


def test_run_eagerly_sees_numbers() -> None:
    v, seen = Variable(0.0), []

    def f(x: Any) -> Any:
        if ops.sum(x) > 3:
            v.assign_add(ops.cond(x[0] > 0, lambda: 1.0, lambda: 2.0))
        seen.append((float(x[0]), x.numpy().tolist(), len(x)))
        return ops.gradients(ops.sum(x * x), [x])[0]

    step = Step(f, run_eagerly=True)
    assert step(ones(2)).tolist() == [2, 2]
    assert step(ones(4)).tolist() == [2, 2, 2, 2]
    assert seen == [(1, [1, 1], 2), (1, [1, 1, 1, 1], 4)]
    assert float(v) == 1


def test_random_state_goes_on() -> None:
    seed = random.SeedGenerator(3)
    step = Step(lambda x: random.uniform(ops.shape(x), seed=seed))
    first, second = step(ones(4)), step(ones(4))
    other = random.SeedGenerator(3)
    np.testing.assert_array_equal(first, random.uniform((4,), seed=other))
    np.testing.assert_array_equal(second, random.uniform((4,), seed=other))


def test_threads() -> None:
    v = Variable(ones(3))
    step = Step(lambda x: ops.sum(x * v))
    found: list[Any] = []

    def run() -> None:
        found.extend(float(step(ones(n, 3))) == 3 * n for n in range(1, 30))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(found) == 4 * 29
    assert all(found)


class Instant:
    """Stands for a compiled program: what is measured is the step around it."""

    def __init__(self, results: Any) -> None:
        self.results = results

    def run(self, state: Any, inputs: Any, version: Any) -> Any:
        return self.results


def test_overhead() -> None:
    import dataclasses

    variables = [Variable(ones(4, 4)) for _ in range(30)]

    def f(x: Any, y: Any, w: Any) -> Any:
        for v in variables:
            v.assign(v * 1.0)
        return {"loss": ops.sum(x), "acc": ops.sum(y)}

    step, args = Step(f), (ones(8, 28, 28, 1), ones(8), None)
    step(*args)
    for key, made in step._compiled.items():
        results = made.program.run(
            [v._value for v in variables], [a for a in args if a is not None]
        )
        step._compiled[key] = dataclasses.replace(made, program=Instant(results))  # type: ignore[arg-type]  # a double
    times = []
    for _ in range(300):
        start = time.perf_counter()
        step(*args)
        times.append(time.perf_counter() - start)
    assert sorted(times)[len(times) // 4] < 60e-6
