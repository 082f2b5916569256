"""Kernels that reduce each row several times."""

from __future__ import annotations

import numpy as np
import pytest

from kgraph.codegen.llvm.lower.rows import Rows
from kgraph.codegen.llvm.target import GENERIC, HASWELL, SKYLAKE512, Target, host
from kgraph.ir import Array, Builder, Function, TensorType, Value, evaluate, numpy_dtype, symbol
from kgraph.ir.ops.control import Fusion
from kgraph.passes.fuse import Fuse
from kgraph.passes.rows import FuseRows
from tests.codegen.llvm.lowered import assert_like, check, native, run

batch = symbol("batch")
TARGETS = [t for t in (GENERIC, HASWELL, SKYLAKE512) if t.vector_bytes <= host().vector_bytes]


def _array(shape: tuple[int, ...], dtype: str, seed: int = 0) -> Array:
    values = np.random.default_rng(seed).standard_normal(shape) * 3
    return values.astype(numpy_dtype(dtype))


def _softmax(b: Builder, x: Value, dims: tuple[int, ...]) -> Value:
    kept = tuple(d for d in range(x.type.rank) if d not in dims)
    top = b.broadcast_in_dim(b.reduce(x, "max", dims), x.shape, kept)
    e = b.exponential(b.subtract(x, top))
    found: Value = b.divide(e, b.broadcast_in_dim(b.reduce(e, "sum", dims), x.shape, kept))
    return found


def _kernel(fn: Function) -> Function:
    """The body of the one kernel that a function becomes."""
    (op,) = FuseRows().run(Fuse().run(fn)).ops
    assert isinstance(op, Fusion)
    return op.body


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize(
    ("shape", "count"),
    [((5, 3), 1), ((7, 16), 1), ((3, 1000), 1), ((2, 6, 37), 1), ((4, 5, 6, 7), 2), ((1, 70), 1)],
)
def test_softmax(shape: tuple[int, ...], count: int, dtype: str) -> None:
    b = Builder()
    x = b.param("x", TensorType(shape, dtype))
    dims = tuple(range(len(shape) - count, len(shape)))
    fn = b.function(_softmax(b, x, dims))
    (first, second, third) = Rows.of(_kernel(fn), host()).levels
    assert not first.stores
    assert len(second.keeps) == 1
    assert third.reads == second.keeps
    check(fn, [_array(shape, dtype)], tolerance=2e-2 if dtype == "bfloat16" else 2e-6, fuse=True)


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_symbolic_sizes(target: Target) -> None:
    b = Builder()
    x = b.param("x", TensorType((batch, symbol("n")), "float32"))
    scale = b.param("scale", TensorType((symbol("n"),), "float32"))
    y = b.multiply(_softmax(b, x, (1,)), b.broadcast_in_dim(scale, x.shape, (1,)))
    fn = b.function(y)
    _kernel(fn)
    runner = native(fn, target, fuse=True)
    for rows, n in ((1, 1), (4, 5), (3, 200), (0, 3), (70, 33)):
        arrays = [_array((rows, n), "float32"), _array((n,), "float32")]
        assert_like(run(runner, fn, arrays), evaluate(fn, arrays))


def test_normalisation_with_numbers_of_rows_as_results() -> None:
    """Dims of a row that are read apart, numbers made of sums, and a sum over the rows."""
    b = Builder()
    x = b.param("x", TensorType((batch, 6, 40), "float32"))
    gain = b.param("gain", TensorType((40,), "float32"))

    def spread(v: Value) -> Value:
        found: Value = b.broadcast_in_dim(v, x.shape, (0,))
        return found

    count = b.splat(240.0, TensorType((batch,), "float32"))
    mean = b.divide(b.reduce(x, "sum", (1, 2)), count)
    centred = b.subtract(x, spread(mean))
    variance = b.divide(b.reduce(b.multiply(centred, centred), "sum", (1, 2)), count)
    inverse = b.divide(b.splat(1.0, mean.type), b.sqrt(variance))
    gains = b.broadcast_in_dim(gain, x.shape, (2,))
    y = b.multiply(b.multiply(centred, spread(inverse)), gains)
    fn = b.function(y, mean, inverse, b.reduce(y, "sum", (0,)))
    kernel, total = FuseRows().run(Fuse().run(fn)).ops
    assert isinstance(kernel, Fusion)
    assert total.name == "reduce"
    for n in (1, 9):
        check(fn, [_array((n, 6, 40), "float32"), _array((40,), "float32")], fuse=True)


def test_square_rows_and_columns() -> None:
    """A number for each row is none for each column, though there are as many."""
    b = Builder()
    x = b.param("x", TensorType((48, 48), "float32"))
    total = b.reduce(x, "sum", (1,))
    y = b.add(b.subtract(x, b.broadcast_in_dim(total, x.shape, (0,))), x)
    z = b.multiply(x, b.broadcast_in_dim(b.tanh(total), x.shape, (1,)))
    fn = b.function(y, z, b.reduce(y, "max", (1,)))
    check(fn, [_array((48, 48), "float32")], fuse=True)


def test_nan_and_infinities_stay() -> None:
    b = Builder()
    x = b.param("x", TensorType((4, 50), "float32"))
    fn = b.function(_softmax(b, x, (1,)))
    values = _array((4, 50), "float32")
    values[0, 49], values[1, 3], values[2, 20] = np.nan, -np.inf, np.inf
    check(fn, [values], fuse=True)
