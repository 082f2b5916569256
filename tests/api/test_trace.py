"""Tracing: graphs, sizes as values, and what a tensor refuses."""

from typing import Any

import numpy as np
import pytest

import kgraph
from kgraph import ir, ops
from kgraph.ops import KerasTensor, TraceError, Variable

X = np.arange(6, dtype="float32").reshape(2, 3)


def test_graph() -> None:
    fn = kgraph.trace(lambda x: ops.exp(x) + 1, "f32[batch,3]")
    ir.verify(fn)
    assert ir.to_text(fn).splitlines()[1:] == [
        "  %0: f32[batch,3] = exponential %x0",
        "  %1: f32[] = constant value=f32(1.0)",
        "  %2: f32[batch,3] = broadcast_in_dim %1, shape=(batch, 3), dims=()",
        "  %3: f32[batch,3] = add %0, %2",
        "  return %3",
    ]


def test_a_long_chain() -> None:
    def chain(x: Any) -> Any:
        for _ in range(10_000):
            x = -x * 2
        return x

    assert len(kgraph.trace(chain, "f32[batch]").ops) > 20_000


def test_specs() -> None:
    args = ({"a": KerasTensor((None, None, 2))}, [np.zeros(3, "int8"), "f64[n]"])
    fn = kgraph.trace(lambda x, y: (x["a"], y), *args)
    assert [str(p.type) for p in fn.params] == ["f32[batch,size0_1,2]", "i8[3]", "f64[n]"]
    assert len(fn.results) == 3


def test_variables_are_state() -> None:
    v, w = Variable(1.0, name="v"), Variable(2.0, name="w")

    def f(x: Any) -> Any:
        y = v + x
        v.assign(y)
        w.assign(v * 2)
        return y

    fn = kgraph.trace(f, "f32[]")
    assert fn.param_names == ("v", "w", "x0")
    assert [float(a) for a in ir.evaluate(fn, [np.float32(n) for n in (1, 2, 5)])] == [6, 6, 12]
    assert float(v) == 1


def test_sizes_are_values() -> None:
    def f(x: Any) -> Any:
        n = ops.shape(x)[0]
        return ops.arange(n) + n, ops.zeros((n * 2, 2)), ops.reshape(x, (n * 3,)), x * n

    fn = kgraph.trace(f, "f32[batch,3]")
    found = ir.evaluate(fn, [X])
    assert found[0].tolist() == [2, 3]
    assert [a.shape for a in found] == [(2,), (4, 2), (6,), (2, 3)]
    assert str(fn.results[1].type) == "f32[2*batch,2]"


def test_concrete_arguments_run_at_once_in_a_trace() -> None:
    def f(x: Any) -> Any:
        table = ops.cumsum(np.ones(3, "float32"))
        assert isinstance(table, np.ndarray)
        return x * table

    assert ir.evaluate(kgraph.trace(f, "f32[2,3]"), [X])[0].tolist() == [[0, 2, 6], [3, 8, 15]]


def test_a_uniform_array_is_no_large_constant() -> None:
    fn = kgraph.trace(lambda x: x + np.full((3000, 3), 2.0, "float32"), "f32[3000,3]")
    assert len(ir.to_text(fn)) < 500


def test_sizes_that_must_agree_are_checked_at_the_entry() -> None:
    fn = kgraph.trace(lambda x, y: x + y, "f32[a,3]", "f32[b,3]")
    assert [op.name for op in fn.ops] == ["assume_shape", "add"]
    with pytest.raises(ValueError, match=r"must be .*the shapes|cannot be broadcast"):
        kgraph.trace(lambda x, y: x + y, "f32[4]", "f32[5]")


def test_locations() -> None:
    def f(x: Any) -> Any:
        with ops.layer_scope("model"), ops.layer_scope("dense"):
            return ops.tanh(x)

    (op,) = kgraph.trace(f, "f32[]").ops
    assert op.location.path == "model/dense"
    assert op.location.file == __file__
    assert op.location.line == f.__code__.co_firstlineno + 2


CONTROL_FLOW = {
    "if": lambda x: 1 if x[0, 0] > 0 else 2,
    "int": lambda x: int(x[0, 0]),
    "float": lambda x: float(x[0, 0]),
    "range": lambda x: range(x[0, 0]),
    "iterate": lambda x: list(x),
    "numpy": lambda x: np.sum(x),
}


@pytest.mark.parametrize("kind", CONTROL_FLOW)
def test_control_flow_on_a_tensor(kind: str) -> None:
    with pytest.raises(TraceError, match=r"ops\.cond.*ops\.while_loop.*ops\.scan"):
        kgraph.trace(CONTROL_FLOW[kind], "f32[batch,3]")


def test_static_rows_can_be_unpacked() -> None:
    def f(x: Any) -> Any:
        first, second = x
        return first - second

    assert ir.evaluate(kgraph.trace(f, "f32[2,3]"), [X])[0].tolist() == [-3, -3, -3]


def test_escaped_tensors() -> None:
    kept: list[Any] = []
    kgraph.trace(lambda x: kept.append(x) or x, "f32[3]")
    for use in (
        lambda: kept[0] + 1,
        lambda: ops.sum(kept[0]),
        lambda: ops.convert_to_tensor(kept[0]),
    ):
        with pytest.raises(TraceError, match="after its trace had ended"):
            use()
    with pytest.raises(TraceError, match="after its trace had ended"):
        kgraph.trace(lambda x: x + kept[0], "f32[3]")
    with pytest.raises(TraceError, match="'v' was given a tensor"):
        Variable(0.0, name="v").assign(kept[0])


def test_a_mask_as_an_index() -> None:
    assert ops.get_item(X, X > 2).tolist() == [3, 4, 5]
    with pytest.raises(TraceError, match=r"ops\.where"):
        kgraph.trace(lambda x: x[x > 2], "f32[batch,3]")


KEYS: list[Any] = [
    0, -1, slice(None), slice(1, None), slice(None, -1), slice(None, None, -1),
    slice(None, None, 2),
    slice(2, 0, -1), None, ..., (0, 1), (slice(None), -1), (..., 0), (None, ..., None),
    (1, slice(0, 2)),
    (slice(None), None, 0), np.array([1, 0, 1]), (slice(None), np.array([[0, 2]])), [0, 1],
    (np.array([0, 1]), np.array([1, 2])), (0, slice(None), np.array([3, 1])),
]  # fmt: skip


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_as_numpy(key: Any) -> None:
    x = np.arange(24, dtype="float32").reshape(2, 3, 4)
    wanted = x[key]
    np.testing.assert_array_equal(ops.get_item(x, key), wanted)
    for spec in ("f32[2,3,4]", "f32[batch,3,4]", "f32[a,b,c]"):
        try:
            fn = kgraph.trace(lambda x: x[key], spec)
        except ir.SizeNeededError:
            assert spec != "f32[2,3,4]"
            continue
        np.testing.assert_array_equal(ir.evaluate(fn, [x])[0], wanted)


def test_bad_indices() -> None:
    for key in (5, (0, 0, 0), "a", True, 1.5):
        with pytest.raises((IndexError, TypeError)):
            kgraph.trace(lambda x, key=key: x[key], "f32[2,3]")


def test_numbers_are_weak_and_64_bit_arrays_of_numpy_too() -> None:
    x = np.ones(2, "float16")
    assert (ops.add(x, 1.5)).dtype == np.float16
    assert ops.add(np.ones(2, "float32"), np.ones(2)).dtype == np.float32
    assert ops.add(np.ones(2, "int32"), np.arange(2)).dtype == np.int32
    assert ops.add(np.ones(2), np.ones(2)).dtype == np.float64
    fn = kgraph.trace(lambda a, b: a + b * np.ones(2), "f64[2]", "f32[2]")
    assert str(fn.results[0].type) == "f64[2]"


def test_result_type_is_that_of_keras() -> None:
    import keras

    kinds = [*ir.DTYPES, int, float]
    wide = {"int64": "int32", "uint64": "uint32", "float64": "float32"}
    for a in kinds:
        for b in kinds:
            found = ops.result_type(a, b)
            assert wide.get(found, found) == keras.backend.result_type(a, b), (a, b)


@pytest.mark.slow
def test_a_chain_of_20_000_ops_runs_with_its_gradient():
    def chain(x):
        for _ in range(10_000):
            x = ops.sin(x) * 1.01
        return ops.sum(x)

    x = np.linspace(0.1, 1, 6, dtype="float64").reshape(2, 3)
    value, slope = kgraph.jit(kgraph.value_and_grad(chain), backend="llvm")(x)
    y, expected = x, np.ones_like(x)
    for _ in range(10_000):
        expected, y = expected * np.cos(y) * 1.01, np.sin(y) * 1.01
    np.testing.assert_allclose(value, y.sum(), rtol=1e-9)
    np.testing.assert_allclose(slope, expected, rtol=1e-6)
