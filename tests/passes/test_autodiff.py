"""Gradients: of programs against JAX, of control flow against finite differences, and ties."""

from __future__ import annotations

from collections.abc import Callable

import jax
import numpy as np
import pytest
from jax import lax

from kgraph.codegen.jax import lowering
from kgraph.ir import (
    Array,
    Builder,
    Function,
    Location,
    NotDifferentiableError,
    TensorType,
    Value,
    bind,
    evaluate,
    symbol,
    verify,
)
from kgraph.passes.autodiff import gradients
from kgraph.passes.base import run_passes
from kgraph.passes.dce import without_dead_ops
from kgraph.passes.decompose import Decompose
from kgraph.passes.pipeline import simplification
from tests.programs import MAKERS, Program

F64 = "float64"
SCALAR = TensorType((), F64)
VECTOR = TensorType((3,), F64)
MATRIX = TensorType((4, 3), F64)
batch = symbol("batch")


def region(types: list[TensorType], body: Callable[..., object]) -> Function:
    b = Builder()
    results = body(b, *[b.param(f"p{i}", t) for i, t in enumerate(types)])
    return b.function(*(results if isinstance(results, tuple) else (results,)))


def with_gradients(fn: Function, wrt: list[int], order: int = 1) -> Function:
    """Loss and gradients of a scalar function; of order 2, those of a sum of their squares."""
    b = Builder()
    params = [b.param(label, p.type) for label, p in zip(fn.param_names, fn.params, strict=True)]
    (loss,) = b.inline(fn, params)
    outputs = [loss]
    for _ in range(order):
        found = gradients(b, loss, [params[i] for i in wrt])
        outputs = [loss, *found]
        loss = total(b, *found)
    made = b.function(*outputs)
    verify(made)
    return made


def total(b: Builder, *values: Value) -> Value:
    """A sum of squares, with a factor for each value."""
    found = b.constant(0.0, F64)
    for i, v in enumerate(values):
        square = b.multiply(v, b.multiply(v, b.splat(1 + i / 4, v.type)))
        found = b.add(found, b.reduce(square, "sum", tuple(range(v.type.rank))))
    return found


def assert_slopes(fn: Function, args: list[Array], wrt: list[int], step: float = 1e-5) -> None:
    """Gradients along a direction are central differences, of first and of second order."""
    random = np.random.default_rng(1)
    ways = {i: random.standard_normal(args[i].shape) for i in wrt}
    for order in (1, 2):
        made = with_gradients(fn, wrt, order)
        loss, *found = evaluate(made, args)
        ahead, behind = (
            evaluate(made, [a + s * ways[i] if i in ways else a for i, a in enumerate(args)])[0]
            for s in (step, -step)
        )
        want = (ahead - behind) / (2 * step)
        got = sum(np.sum(g * w) for g, w in zip(found, ways.values(), strict=True))
        assert got == pytest.approx(want, rel=1e-6, abs=1e-7), order
        simple = run_passes(made, simplification(), check=True)
        for a, b in zip(evaluate(simple, args), [loss, *found], strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


def numbers(*shapes: tuple[int, ...]) -> list[Array]:
    random = np.random.default_rng(0)
    return [np.asarray(random.uniform(0.3, 1.2, shape)) for shape in shapes]


# ---- whole programs ----


def loss_of(program: Program) -> Function:
    return without_dead_ops(
        Function(program.fn.params, program.fn.ops, program.fn.results[:1], program.name)
    )


@pytest.mark.parametrize("make", MAKERS, ids=lambda make: str(make.__name__))
def test_gradients_of_programs_are_those_of_jax(make: Callable[[str], Program]) -> None:
    program = make(F64)
    fn = loss_of(program)
    wrt = [i for i, p in enumerate(fn.params[: program.state]) if p.dtype == F64]
    args = program.arguments(3)
    found = evaluate(with_gradients(fn, wrt), args)
    bound = Decompose(keep=tuple(lowering.lower)).run(bind(fn, {"batch": 3}))
    with jax.enable_x64(True):
        value, grads = jax.value_and_grad(lambda *a: lowering.run(bound, a)[0], wrt)(*args)
        for a, b in zip(found, (value, *grads), strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ["lstm", "attention"])
def test_second_order_through_programs(name: str) -> None:
    program = next(make for make in MAKERS if make.__name__ == name)(F64)
    assert_slopes(loss_of(program), program.arguments(2), [0, 1, 2], 1e-4)


# ---- control flow ----


def test_if() -> None:
    types = [SCALAR, VECTOR]

    def build(b: Builder, p: Value, x: Value, v: Value) -> Value:
        def then(b: Builder, x: Value, v: Value) -> tuple[Value, Value]:
            return b.multiply(x, x), b.multiply(v, b.broadcast(x, (3,)))

        def orelse(b: Builder, x: Value, v: Value) -> tuple[Value, Value]:
            return b.sine(x), v  # a branch may return a capture, and not depend on another

        return total(b, *b.if_(p, (x, v), region(types, then), region(types, orelse)))

    fn = region([TensorType((), "bool"), *types], build)
    for taken in (True, False):
        assert_slopes(fn, [np.asarray(taken), *numbers((), (3,))], [1, 2])


def test_if_with_one_capture_twice_and_no_gradient_for_a_result() -> None:
    def build(b: Builder, p: Value, x: Value) -> Value:
        def branch(b: Builder, x: Value, y: Value) -> tuple[Value, Value]:
            return b.multiply(x, b.sine(y)), b.floor(x)

        same = region([SCALAR, SCALAR], branch)
        first, _ = b.if_(p, (x, x), same, same)
        return total(b, first)

    assert_slopes(
        region([TensorType((), "bool"), SCALAR], build), [np.asarray(True), *numbers(())], [1]
    )


@pytest.mark.parametrize("index", [0, 1, 5])
def test_case(index: int) -> None:
    bodies = (
        lambda b, x: b.sine(x),
        lambda b, x: b.multiply(x, x),
        lambda b, x: b.splat(2, x.type),
    )

    def build(b: Builder, i: Value, x: Value) -> Value:
        return total(b, b.case(i, (x,), tuple(region([VECTOR], f) for f in bodies)))

    fn = region([TensorType((), "int32"), VECTOR], build)
    assert_slopes(fn, [np.asarray(index, np.int32), *numbers((3,))], [1])


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse: bool) -> None:
    """Carries of floats and of integers, rows, captures, one of them not read."""
    count = TensorType((), "int32")

    def step(b: Builder, c: Value, n: Value, x: Value, w: Value, unread: Value) -> object:
        scale = b.cast(n, F64)
        new = b.tanh(b.add(b.multiply(c, w), b.multiply(x, b.broadcast(scale, (3,)))))
        return new, b.add(n, b.constant(1, "int32")), b.multiply(new, c)

    def build(b: Builder, c: Value, xs: Value, w: Value, unread: Value) -> Value:
        body = region([VECTOR, count, VECTOR, VECTOR, VECTOR], step)
        zero = b.constant(0, "int32")
        last, _, rows = b.scan((c, zero), (xs,), (w, unread), 4, reverse, body)
        return total(b, last, rows)

    fn = region([VECTOR, MATRIX, VECTOR, VECTOR], build)
    assert_slopes(fn, numbers((3,), (4, 3), (3,), (3,)), [0, 1, 2, 3])


def test_scan_whose_length_is_a_symbol() -> None:
    rows = TensorType((batch, 3), F64)

    def build(b: Builder, xs: Value, w: Value) -> Value:
        def step(b: Builder, c: Value, x: Value, w: Value) -> Value:
            return b.add(b.multiply(c, w), x)

        body = region([VECTOR, VECTOR, VECTOR], step)
        last = b.scan((b.splat(1, VECTOR),), (xs,), (w,), batch, False, body)
        return total(b, last)

    fn = region([rows, VECTOR], build)
    for length in (0, 1, 5):
        assert_slopes(fn, numbers((length, 3), (3,)), [0, 1])


def test_scan_in_a_scan_and_branch() -> None:
    def inner(b: Builder, c: Value, x: Value) -> Value:
        return b.sine(b.add(c, x))

    def step(b: Builder, c: Value, x: Value) -> tuple[Value, Value]:
        nested = b.scan(
            (b.constant(0.5, F64),), (x,), (), 3, False, region([SCALAR, SCALAR], inner)
        )
        sign = b.compare(nested, b.constant(0.0, F64), "GT")
        branches = (
            region([SCALAR], lambda b, x: b.multiply(x, x)),
            region([SCALAR], lambda b, x: x),
        )
        bent = b.if_(sign, (nested,), *branches)
        return b.multiply(c, bent), nested

    def build(b: Builder, xs: Value) -> Value:
        body = region([SCALAR, VECTOR], step)
        return total(b, *b.scan((b.constant(1.5, F64),), (xs,), (), 4, True, body))

    assert_slopes(region([MATRIX], build), numbers((4, 3)), [0])


def test_scan_with_a_carry_beside_the_gradient() -> None:
    """What has no gradient may stand in a scan, as long as no gradient has to pass it."""

    def step(b: Builder, c: Value, odd: Value, x: Value) -> tuple[Value, Value]:
        loop = b.while_(
            (odd,),
            (),
            region([SCALAR], lambda b, v: b.compare(v, b.constant(3.0, F64), "LT")),
            region([SCALAR], lambda b, v: b.add(v, b.constant(1.0, F64))),
        )
        return b.multiply(c, b.add(x, loop)), loop

    def build(b: Builder, xs: Value) -> Value:
        one = b.constant(1.0, F64)
        last, _ = b.scan((one, one), (xs,), (), 3, False, region([SCALAR, SCALAR, SCALAR], step))
        return total(b, last)

    assert_slopes(region([VECTOR], build), numbers((3,)), [0])


def test_custom_gradient() -> None:
    def build(b: Builder, x: Value) -> Value:
        forward = region([SCALAR], lambda b, x: (b.multiply(x, x), b.floor(x)))
        backward = region(
            [SCALAR] * 3, lambda b, x, g, h: b.multiply(b.multiply(g, x), b.constant(10.0, F64))
        )
        square, _ = b.custom_vjp((x,), forward, backward)
        return square

    fn = region([SCALAR], build)
    x = np.asarray(3.0)
    assert evaluate(with_gradients(fn, [0]), [x]) == [9.0, 30.0]
    # the gradient of the squared gradient: of (10 x)^2
    assert evaluate(with_gradients(fn, [0], 2), [x]) == [900.0, 600.0]


def test_stop_gradient_and_independence() -> None:
    def build(b: Builder, x: Value, y: Value) -> Value:
        return b.multiply(b.stop_gradient(x), b.multiply(x, x))

    made = with_gradients(region([SCALAR, SCALAR], build), [0, 1, 0])
    assert evaluate(made, [np.asarray(2.0), np.asarray(1.0)])[1:] == [8.0, 0.0, 8.0]


def test_with_respect_to_what_is_in_the_middle() -> None:
    b = Builder()
    x = b.param("x", SCALAR)
    y = b.sine(x)
    loss = b.multiply(y, b.multiply(y, x))
    fn = b.function(*gradients(b, loss, [x, y]))
    at = np.asarray(0.7)
    gx, gy = evaluate(fn, [at])
    assert gy == pytest.approx(2 * np.sin(at) * at)
    assert gx == pytest.approx(np.sin(at) ** 2 + gy * np.cos(at))


# ---- errors ----


def test_while_has_no_gradient_and_says_what_has() -> None:
    b = Builder()
    x = b.param("x", SCALAR)
    with b.at(Location("encoder/loop", "model.py", 12)):
        y = b.while_(
            (x,),
            (),
            region([SCALAR], lambda b, v: b.compare(v, b.constant(3.0, F64), "LT")),
            region([SCALAR], lambda b, v: b.multiply(v, v)),
        )
    with pytest.raises(NotDifferentiableError, match=r"use ops\.scan.*encoder/loop"):
        gradients(b, y, [x])


def test_a_loss_is_a_float_scalar() -> None:
    b = Builder()
    x, n = b.param("x", VECTOR), b.param("n", TensorType((), "int32"))
    with pytest.raises(NotDifferentiableError, match=r"scalar of a float dtype; got f64\[3\]"):
        gradients(b, x, [x])
    with pytest.raises(NotDifferentiableError, match=r"with respect to values .*; got i32\[\]"):
        gradients(b, b.reduce(x, "sum", (0,)), [n])


# ---- ties and kinks ----

TIES: dict[str, Callable[..., Value]] = {
    "abs": lambda b, x, y: b.abs(x),
    "sign": lambda b, x, y: b.sign(x),
    "maximum": lambda b, x, y: b.maximum(x, y),
    "minimum": lambda b, x, y: b.minimum(x, y),
    "relu": lambda b, x, y: b.maximum(x, b.splat(0, x.type)),
    "sqrt": lambda b, x, y: b.sqrt(x),
    "cbrt": lambda b, x, y: b.cbrt(x),
    "power": lambda b, x, y: b.power(b.add(b.abs(x), b.splat(1, x.type)), y),
    "divide": lambda b, x, y: b.divide(x, y),
    "log": lambda b, x, y: b.log(x),
    "floor": lambda b, x, y: b.floor(x),
    "atan2": lambda b, x, y: b.atan2(x, y),
    "tanh": lambda b, x, y: b.tanh(b.multiply(x, b.splat(1e3, x.type))),
    "logistic": lambda b, x, y: b.logistic(b.multiply(x, b.splat(1e3, x.type))),
    "reduce max": lambda b, x, y: b.reduce(x, "max", (0,)),
    "reduce min": lambda b, x, y: b.reduce(x, "min", (0,)),
    "reduce product": lambda b, x, y: b.reduce(x, "product", (0,)),
    "select": lambda b, x, y: b.select(b.compare(x, y, "LT"), b.sine(x), y),
    "pool": lambda b, x, y: b.reduce_window(x, "max", (3,), (1,), ((1, 1),), (1,), (1,)),
    "sort": lambda b, x, y: b.sort((x,), 0, 1, False),
    "top_k": lambda b, x, y: b.top_k(x, 4)[0],
}  # fmt: skip


@pytest.mark.parametrize("name", TIES)
def test_ties_are_those_of_jax(name: str) -> None:
    points = np.array([0.0, -0.0, 0.0, 1.0, 1.0, -2.0, 2.0, 0.5, 1.0])
    others = np.array([0.0, 0.0, 1.0, 1.0, 2.0, -2.0, 0.5, 0.5, 0.0])
    kind = TensorType(points.shape, F64)
    build = TIES[name]

    def weighted(b: Builder, x: Value, y: Value) -> Value:
        v = build(b, x, y)
        if not v.type.rank:
            return v
        weights = b.cast(b.iota(v.shape, 0, "int32"), F64)
        return b.reduce(b.multiply(v, weights), "sum", (0,))

    fn = region([kind, kind], weighted)
    found = evaluate(with_gradients(fn, [0, 1]), [points, others])[1:]
    with jax.enable_x64(True):
        want = jax.grad(lambda *a: lowering.run(fn, a)[0], (0, 1))(points, others)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=0)


def test_the_bounds_of_clamp() -> None:
    """`lax.clamp`, where bounds have the shape of x: the gradient at a bound is nobody's."""
    x = np.array([-1.0, 0.0, 0.5, 1.0, 2.0])
    low, high = np.zeros(5), np.ones(5)
    kind = TensorType((5,), F64)
    fn = region([kind] * 3, lambda b, *v: b.reduce(b.clamp(*v), "sum", (0,)))
    found = evaluate(with_gradients(fn, [0, 1, 2]), [low, x, high])[1:]
    with jax.enable_x64(True):
        want = jax.grad(lambda *a: lax.clamp(*a).sum(), (0, 1, 2))(low, x, high)
    for a, b in zip(found, want, strict=True):
        np.testing.assert_array_equal(a, b)
