"""Reductions: nothing to reduce, NaN, ties, zeros among factors."""

from __future__ import annotations

from typing import Any

import jax
import ml_dtypes
import numpy as np
import pytest
from jax import numpy as jnp

from kgraph.ir import Builder, TensorType, evaluate, symbol
from kgraph.passes.autodiff import gradients
from tests.ir.ops.oracle import assert_same, gradients_of, jax_gradients_of, run, run_jax


def reduce(kind: str, *dims: int) -> Any:
    return lambda b, x: b.reduce(x, kind, dims)


def test_nothing_gives_the_identity() -> None:
    empty = np.zeros((0, 2), "float32")
    for kind, want in {"sum": 0, "product": 1, "max": -np.inf, "min": np.inf}.items():
        assert run(reduce(kind, 0), empty)[0].tolist() == [want, want]
    small = np.zeros((0,), "int8")
    kinds = "sum product max min and or".split()
    found = [int(run(reduce(kind, 0), small)[0]) for kind in kinds]
    assert found == [0, 1, -128, 127, -1, 0]


def test_nan_wins() -> None:
    x = np.array([[1, np.nan, 3], [np.nan, 9, np.nan]], "float32")
    for kind in ("max", "min"):
        assert np.isnan(run(reduce(kind, 1), x)[0]).all()
        index = run(lambda b, v, kind=kind: b.arg_reduce(v, kind, 1, "int32"), x)[0]
        assert index.tolist() == [1, 0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_a_long_sum_is_rounded_once(dtype: str) -> None:
    x = np.full(3000, 0.1).astype(getattr(ml_dtypes, dtype, dtype))
    want = x.astype("float64").sum().astype(x.dtype)
    assert_same(run(reduce("sum", 0), x)[0], want[()].reshape(()))


def test_integers_wrap() -> None:
    x = np.array([100, 100, 100], "int8")
    assert_same(run(reduce("sum", 0), x)[0], run_jax(lambda v: v.sum(dtype="int8"), x))


@pytest.mark.parametrize(("kind", "function"), [("max", jnp.max), ("min", jnp.min)])
def test_equal_extremes_share_the_gradient(kind: str, function: Any) -> None:
    x = np.array([[1.0, 3, 3, -2], [-5, -5, -5, -5], [4, 0, -5, 4]])
    for dims in ((1,), (0,), (0, 1)):
        want = jax_gradients_of(lambda v, dims=dims: function(v, dims), x)[0]
        np.testing.assert_allclose(gradients_of(reduce(kind, *dims), x)[0], want, rtol=1e-15)


@pytest.mark.parametrize("zeros", [0, 1, 2, 3])
@pytest.mark.parametrize("dims", [(0,), (1,), (0, 2), (0, 1, 2)])
def test_second_gradient_of_a_product(zeros: int, dims: tuple[int, ...]) -> None:
    """Zeros or not; the size of dim 0 is known only when the program runs."""
    x = np.random.default_rng(zeros).standard_normal((3, 4, 2))
    x[:zeros, 0, 0] = 0
    x[1, :zeros, 1] = 0
    b = Builder()
    v = b.param("x", TensorType((symbol("batch"), 4, 2), "float64"))
    first = gradients(b, _cubes(b, b.reduce(v, "product", dims)), [v])
    second = gradients(b, _cubes(b, first[0]), [v])
    found = evaluate(b.function(*first, *second), [x])
    with jax.enable_x64(True):
        once = jax.grad(lambda a: (jnp.prod(a, dims) ** 3 + jnp.prod(a, dims)).sum())
        twice = jax.grad(lambda a: (once(a) ** 3 + once(a)).sum())
        for g, f in zip(found, (once, twice), strict=True):
            np.testing.assert_allclose(g, f(x), rtol=1e-10, atol=1e-14)


def _cubes(b: Builder, v: Any) -> Any:
    cubes = b.add(b.multiply(v, b.multiply(v, v)), v)
    return b.reduce(cubes, "sum", tuple(range(v.type.rank)))
