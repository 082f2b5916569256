"""Whole functions as programs: donated state, parameters as results, threads, other targets."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pytest

from kgraph.codegen import Options
from kgraph.codegen.llvm import compile as compile_llvm
from kgraph.codegen.llvm.image import lower
from kgraph.codegen.llvm.lower.body import plan_body
from kgraph.codegen.llvm.target import GENERIC, HASWELL, NEON, SKYLAKE512
from kgraph.ir import Array, Builder, Function, TensorType, Value, evaluate, symbol
from kgraph.passes.autodiff import gradients
from kgraph.passes.base import run_passes
from kgraph.passes.pipeline import llvm_pipeline
from kgraph.runtime import set_threads
from kgraph.runtime.compile import compile
from tests.codegen.llvm.lowered import assert_like, native, run

batch = symbol("batch")
OPTIONS = Options(backend="llvm", verify=True, poison=True)


def _param(b: Builder, label: str, *shape: object, dtype: str = "float32") -> Value:
    return b.param(label, TensorType(tuple(shape), dtype))  # type: ignore[arg-type]  # sizes


def _dense(b: Builder, x: Value, w: Value, bias: Value) -> Value:
    y = b.dot_general(x, w, (), (), (1,), (0,))
    found: Value = b.add(y, b.broadcast_in_dim(bias, y.shape, (1,)))
    return found


def _step(rate: float = 0.1) -> Function:
    """One step of gradient descent of a small network, in place."""
    b = Builder()
    shapes = [(30, 40), (40,), (40, 5), (5,)]
    weights = [_param(b, f"w{i}", *s) for i, s in enumerate(shapes)]
    x, y = _param(b, "x", batch, 30), _param(b, "y", batch, 5)
    hidden = _dense(b, x, weights[0], weights[1])
    hidden = b.maximum(hidden, b.splat(0.0, hidden.type))
    error = b.subtract(_dense(b, hidden, weights[2], weights[3]), y)
    loss = b.reduce(b.multiply(error, error), "sum", (0, 1))
    steps = [b.multiply(g, b.splat(rate / 50, g.type)) for g in gradients(b, loss, weights)]
    new = [b.subtract(w, step) for w, step in zip(weights, steps, strict=True)]
    return b.function(*new, loss)


def _inputs(n: int) -> tuple[list[Array], list[Array]]:
    random = np.random.default_rng(0)
    shapes = [(30, 40), (40,), (40, 5), (5,)]
    state = [(random.standard_normal(s) * 0.2).astype("f4") for s in shapes]
    return state, [random.standard_normal((n, k)).astype("f4") for k in (30, 5)]


def test_a_training_step_in_place_and_not() -> None:
    fn = _step()
    program = compile(fn, state=4, donate={i: i for i in range(4)}, options=OPTIONS)
    for n in (1, 7, 300):
        state, inputs = _inputs(n)
        want = evaluate(fn, [*state, *inputs])
        assert_like(program(*state, *inputs), want, 1e-5)
        own = [np.array(a) for a in state]
        got = program.run(own, inputs)
        assert all(a is o for a, o in zip(got, own, strict=False)), "updated in place"
        assert_like(got, want, 1e-5)


@pytest.mark.parametrize("momentum", [False, True])
def test_updates_behind_a_product_are_made_in_place(momentum: bool) -> None:
    """Also where the sums over the batch, which are the first factor, come in several parts."""
    b = Builder()
    w, v = (_param(b, label, 40, 48) for label in ("w", "v"))
    x, y = _param(b, "x", batch, 40), _param(b, "y", batch, 48)
    g = b.dot_general(x, y, (), (), (0,), (0,))
    speed = b.add(b.multiply(v, b.splat(0.9, v.type)), g) if momentum else g
    new = b.subtract(w, b.multiply(speed, b.splat(0.01, w.type)))
    fn = b.function(new, speed) if momentum else b.function(new, v)
    scheduled = run_passes(fn, llvm_pipeline())
    donated = {0: 0, 1: 1}
    assert not [
        i for _, i in plan_body(scheduled, SKYLAKE512, donated).copies if i == 0 or momentum
    ]
    program = compile(fn, state=2, donate=donated, options=OPTIONS)
    random = np.random.default_rng(0)
    for n in (1, 7, 1300):
        state = [random.standard_normal((40, 48)).astype("f4") for _ in "wv"]
        inputs = [random.standard_normal((n, k)).astype("f4") for k in (40, 48)]
        want = evaluate(fn, [*state, *inputs])
        assert_like(program(*state, *inputs), want, 1e-5)
        assert_like(program.run(state, inputs), want, 1e-5)


@pytest.mark.parametrize(
    ("taps", "algorithm"), [(1, "direct"), (3, "direct"), (3, "winograd_4_adjoint")]
)
def test_updates_behind_the_gradient_of_a_kernel_are_made_in_place(
    taps: int, algorithm: str
) -> None:
    b = Builder()
    w, v = (_param(b, label, taps, taps, 16, 24) for label in ("w", "v"))
    x, dy = _param(b, "x", batch, 8, 8, 16), _param(b, "dy", batch, 8, 8, 24)
    once, same = ((1, 1), (1, 1)), ((taps // 2,) * 2,) * 2
    g = b.convolution(
        x, dy, "f01b_i01o->01bf", (1, 1), same, *once, (False, False), 1, 1, algorithm
    )  # fmt: skip
    speed = b.add(b.multiply(v, b.splat(0.9, v.type)), g)
    fn = b.function(b.subtract(w, b.multiply(speed, b.splat(0.01, w.type))), speed)
    donated = {0: 0, 1: 1}
    assert not plan_body(run_passes(fn, llvm_pipeline()), SKYLAKE512, donated).copies
    program = compile(fn, state=2, donate=donated, options=OPTIONS)
    random = np.random.default_rng(0)
    for n in (1, 90):
        state, inputs = (
            [
                random.standard_normal([d if isinstance(d, int) else n for d in p.shape]).astype(
                    "f4"
                )
                for p in params
            ]
            for params in (fn.params[:2], fn.params[2:])
        )
        want = evaluate(fn, [*state, *inputs])
        assert_like(program(*state, *inputs), want, 2e-5)
        assert_like(program.run(state, inputs), want, 2e-5)


def test_bits_do_not_depend_on_threads() -> None:
    program = compile(_step(), options=OPTIONS)
    state, inputs = _inputs(3000)
    found = []
    try:
        for threads in (1, 2, 5):
            set_threads(threads)
            found.append([a.tobytes() for a in program(*state, *inputs)])
    finally:
        set_threads(None)
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("donate", [{}, {0: 0, 1: 1}, {0: 1, 1: 0}])
def test_results_that_are_parameters(donate: Mapping[int, int]) -> None:
    """State that is exchanged, kept, given twice or seen through another shape."""
    b = Builder()
    x, y = _param(b, "x", 3, batch), _param(b, "y", 3, batch)
    fn = b.function(y, x, b.reshape(x, (batch, 3)), x, b.add(x, y))
    program = compile(fn, state=2, donate=donate, options=OPTIONS)
    random = np.random.default_rng(0)
    arrays = [random.standard_normal((3, 40)).astype("f4") for _ in range(2)]
    want = evaluate(fn, arrays)
    assert_like(program(*arrays), want, 0)
    assert_like(program.run([np.array(a) for a in arrays], []), want, 0)


def test_constants_as_results_and_operands() -> None:
    b = Builder()
    table = b.constant(np.arange(12.0).reshape(3, 4), "float32")
    x = _param(b, "x", 3, 4)
    fn = b.function(table, b.add(x, table), b.reshape(table, (12,)), table, b.constant(3, "int8"))
    arrays = [np.ones((3, 4), "f4")]
    assert_like(run(native(fn), fn, arrays), evaluate(fn, arrays), 0)


def test_a_function_without_ops_or_parameters() -> None:
    b = Builder()
    fn = b.function(b.iota((5,), 0, "int32"))
    assert run(native(fn), fn, [])[0].tolist() == [0, 1, 2, 3, 4]
    b = Builder()
    assert run(native(b.function()), b.function(), []) == ()


@pytest.mark.parametrize("target", [GENERIC, HASWELL, SKYLAKE512, NEON], ids=lambda t: t.name)
def test_every_target_gets_valid_text_that_does_not_change(target) -> None:  # type: ignore[no-untyped-def]
    llvm = pytest.importorskip("llvmlite.binding")
    scheduled = run_passes(_step(), llvm_pipeline())
    text = lower(scheduled, target).text
    assert text == lower(scheduled, target).text
    with llvm.parse_assembly(text) as module:
        module.verify()


@pytest.mark.parametrize("name", ["generic", "avx2"])
def test_narrower_targets_compute_the_same(name: str) -> None:
    fn = _step()
    state, inputs = _inputs(33)
    got = compile(fn, options=Options(target=name))(*state, *inputs)
    assert_like(got, evaluate(fn, [*state, *inputs]), 1e-5)


def test_weights_are_packed_once_per_version_of_the_state() -> None:
    b = Builder()
    w, bias = _param(b, "w", 30, 40), _param(b, "b", 40)
    v = _param(b, "v", 20, 2, 2)
    x = _param(b, "x", batch, 30)
    hidden = b.tanh(_dense(b, x, b.multiply(w, w), bias))
    fn = b.function(b.dot_general(hidden, b.reshape(v, (40, 2)), (), (), (1,), (0,)))
    image = compile_llvm(fn, state=3, donate={}, options=OPTIONS)
    assert image.prepare is not None
    assert len(image.params) == 4 + len(image.prepare.results)
    program = compile(fn, state=3, options=OPTIONS)
    random = np.random.default_rng(0)
    state = [random.standard_normal(p.shape).astype("f4") for p in fn.params[:3]]
    for n in (1, 2, 50):
        inputs = [random.standard_normal((n, 30)).astype("f4")]
        want = evaluate(fn, [*state, *inputs])
        assert_like(program(*state, *inputs), want)
        assert_like(program.run(state, inputs, version=1), want)
