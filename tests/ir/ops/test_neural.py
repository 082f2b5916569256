"""Softmax, moments, layer norm and attention against jax, and against what they decompose into."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
import pytest
from jax import numpy as jnp

from kgraph.ir import (
    Builder,
    Function,
    TensorType,
    dtype_name,
    evaluate,
    is_float,
    numpy_dtype,
    symbol,
    verify,
)
from kgraph.passes.autodiff import gradients
from kgraph.passes.decompose import Decompose
from tests.ir.ops.oracle import run

BATCH, TIME, SPAN = symbol("batch"), symbol("time"), symbol("span")
HIGHER = {"softmax", "log_softmax", "moments", "layer_norm", "attention"}
RANDOM = np.random.default_rng(0)
X = RANDOM.standard_normal((3, 4, 5))
Q, K, V = (RANDOM.standard_normal((2, n, 3, 5)) for n in (4, 6, 6))
MASK = RANDOM.random((2, 1, 4, 6)) < 0.5
MASK[0, 0, 1] = False  # a query that may look at nothing


def layer_norm(x: Any, scale: Any, bias: Any) -> Any:
    mean, variance = x.mean((1, 2), keepdims=True), x.var((1, 2), keepdims=True)
    return (x - mean) / jnp.sqrt(variance + 1e-3) * scale + bias


def attention(q: Any, k: Any, v: Any, *mask: Any, causal: bool = False) -> Any:
    scores = jnp.einsum("bthd,bshd->bhts", q, k) * 0.4
    for allowed in (*mask, *([np.tri(4, 6, dtype=bool)] if causal else [])):
        scores = jnp.where(allowed, scores, -1e30)
    return jnp.einsum("bhts,bshe->bthe", jax.nn.softmax(scores, -1), v)


# the op, jax's function, the arrays, and the shapes where they are symbolic
CASES: dict[str, tuple[Any, Any, list[Any], list[Any]]] = {
    "softmax": (lambda b, x: b.softmax(x, 1), lambda x: jax.nn.softmax(x, 1), [X], [(BATCH, 4, 5)]),
    "log_softmax": (
        lambda b, x: b.log_softmax(x, 2), jax.nn.log_softmax, [X], [(BATCH, TIME, 5)],
    ),
    "moments": (
        lambda b, x: b.moments(x, (0, 2)), lambda x: (x.mean((0, 2)), x.var((0, 2))), [X],
        [(BATCH, TIME, 5)],
    ),
    "layer_norm": (
        lambda b, *xs: b.layer_norm(*xs, (1, 2), 1e-3), layer_norm, [X, X[0] + 1, X[1]],
        [(BATCH, 4, 5), (4, 5), (4, 5)],
    ),
    "attention": (
        lambda b, q, k, v: b.attention(q, k, v, (), 0.4, False), attention, [Q, K, V],
        [(BATCH, TIME, 3, 5), (BATCH, SPAN, 3, 5), (BATCH, SPAN, 3, 5)],
    ),
    "attention-masked": (
        lambda b, q, k, v, *m: b.attention(q, k, v, m, 0.4, True),
        lambda *xs: attention(*xs, causal=True), [Q, K, V, MASK],
        [(BATCH, TIME, 3, 5), (BATCH, 6, 3, 5), (BATCH, 6, 3, 5), (BATCH, 1, TIME, 6)],
    ),
}  # fmt: skip


def two_gradients(name: str, dtype: str) -> Function:
    """The results, their gradients and the gradients of those."""
    build, _, arrays, shapes = CASES[name]
    b = Builder()
    xs = [
        b.param(f"x{i}", TensorType(shape, "bool" if a.dtype == bool else dtype))
        for i, (shape, a) in enumerate(zip(shapes, arrays, strict=True))
    ]
    wrt = [x for x in xs if is_float(x.dtype)]
    found = build(b, *xs)
    results = found if isinstance(found, tuple) else (found,)
    first = gradients(b, _cubes(b, results), wrt)
    second = gradients(b, _cubes(b, first), wrt)
    return b.function(*results, *first, *second)


def _cubes(b: Builder, values: Any) -> Any:
    total = None
    for v in values:
        cubes = b.add(b.multiply(v, b.multiply(v, v)), v)
        cubes = b.reduce(cubes, "sum", tuple(range(v.type.rank)))
        total = cubes if total is None else b.add(total, cubes)
    return total


@pytest.mark.parametrize("name", CASES)
def test_values_and_two_gradients_are_those_of_jax(name: str) -> None:
    _, function, arrays, _ = CASES[name]
    wrt = tuple(i for i, a in enumerate(arrays) if a.dtype != bool)

    def results(*xs: Any) -> tuple[Any, ...]:
        found = function(*xs)
        return found if isinstance(found, tuple) else (found,)

    with jax.enable_x64(True):
        once = jax.grad(lambda *xs: sum((y**3 + y).sum() for y in results(*xs)), wrt)
        twice = jax.grad(lambda *xs: sum((g**3 + g).sum() for g in once(*xs)), wrt)
        want = [*results(*arrays), *once(*arrays), *twice(*arrays)]
        found = evaluate(two_gradients(name, "float64"), arrays)
        for y, w in zip(found, want, strict=True):
            np.testing.assert_allclose(y, w, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", ["float64", "float32", "bfloat16"])
@pytest.mark.parametrize("name", CASES)
def test_decomposed_it_is_the_same(name: str, dtype: str) -> None:
    fn = two_gradients(name, dtype)
    basic = Decompose().run(fn)
    verify(basic)
    assert not HIGHER & {op.name for op in basic.ops}
    arrays = [
        a.astype(numpy_dtype(p.dtype)) for a, p in zip(CASES[name][2], fn.params, strict=True)
    ]
    tolerance = {"float64": 1e-11, "float32": 2e-4, "bfloat16": 4e-2}[dtype]
    for y, w in zip(evaluate(basic, arrays), evaluate(fn, arrays), strict=True):
        y, w = y.astype("float64"), w.astype("float64")
        assert np.abs(y - w).max() <= tolerance * max(1, np.abs(w).max())


def test_softmax_of_large_and_missing_numbers() -> None:
    x = np.array([[1000, 999, -1000], [-np.inf, 0, 0], [np.inf, 0, 0], [-np.inf] * 3], "float32")
    y, log = run(lambda b, v: (b.softmax(v, 1), b.log_softmax(v, 1)), x)
    np.testing.assert_allclose(y[:2], [[0.7310586, 0.26894143, 0], [0, 0.5, 0.5]], rtol=1e-6)
    assert np.isnan(y[2:]).any(1).all()
    np.testing.assert_allclose(log[0], [-0.3132617, -1.3132617, -2000.3132], rtol=1e-6)
    assert log[1, 0] == -np.inf


def test_moments_of_a_large_mean() -> None:
    x = (1e4 + RANDOM.standard_normal((64, 3))).astype("float32")
    mean, variance = run(lambda b, v: b.moments(v, (0,)), x)
    np.testing.assert_allclose(mean, x.astype("float64").mean(0), rtol=1e-7)
    np.testing.assert_allclose(variance, x.astype("float64").var(0), rtol=1e-6)
    assert dtype_name(mean.dtype) == "float32"


def test_attention_is_jax_own() -> None:
    build, _, arrays, _ = CASES["attention-masked"]
    q, k, v = [a.astype("float32") for a in arrays[:3]]
    own = jax.nn.dot_product_attention
    want = own(*map(jnp.asarray, (q, k, v)), mask=jnp.asarray(MASK), scale=0.4, is_causal=True)
    found = run(build, q, k, v, MASK)[0]
    np.testing.assert_allclose(found, want, rtol=1e-4, atol=1e-6)
