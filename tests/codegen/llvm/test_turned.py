"""Loops that read operands along another dim than they write."""

from __future__ import annotations

import numpy as np
import pytest

from kgraph.codegen.llvm.lower.loops import Loop
from kgraph.codegen.llvm.target import GENERIC, HASWELL, SKYLAKE512, Target, host
from kgraph.ir import Array, Builder, Function, TensorType, evaluate, numpy_dtype, symbol
from tests.codegen.llvm.lowered import assert_like, check, native, run

batch = symbol("batch")
TARGETS = [t for t in (GENERIC, HASWELL, SKYLAKE512) if t.vector_bytes <= host().vector_bytes]


def _array(shape: tuple[int, ...], dtype: str) -> Array:
    values = np.random.default_rng(len(shape)).integers(-100, 100, shape)
    return (values > 0) if dtype == "bool" else values.astype(numpy_dtype(dtype))


def _transpose(shape: tuple[object, ...], perm: tuple[int, ...], dtype: str) -> Function:
    b = Builder()
    x = b.param("x", TensorType(shape, dtype))  # type: ignore[arg-type]  # sizes
    fn = b.function(b.transpose(x, perm))
    assert Loop.of(fn, host()).turned is not None
    return fn


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int8", "bool"])
@pytest.mark.parametrize(
    ("shape", "perm"),
    [
        ((33, 47), (1, 0)),
        ((3, 150), (1, 0)),
        ((300, 70), (1, 0)),
        ((2, 5, 7, 19), (0, 2, 3, 1)),
        ((3, 20, 17, 2), (0, 3, 1, 2)),
        ((7, 6, 5, 4), (3, 2, 1, 0)),
    ],
)
def test_transpose(shape: tuple[int, ...], perm: tuple[int, ...], dtype: str) -> None:
    fn = _transpose(shape, perm, dtype)
    check(fn, [_array(shape, dtype)])


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_symbolic_sizes(target: Target, dtype: str) -> None:
    fn = _transpose((batch, symbol("h"), 21), (2, 0, 1), dtype)
    runner = native(fn, target)
    for n, h in ((1, 1), (3, 40), (70, 5), (0, 4)):
        x = _array((n, h, 21), dtype)
        assert_like(run(runner, fn, [x]), evaluate(fn, [x]))


def test_in_a_chain() -> None:
    """Two turned operands of different dtypes beside one that lies as it is written."""
    b = Builder()
    x = b.param("x", TensorType((45, 45), "float32"))
    y = b.param("y", TensorType((45, 45), "bfloat16"))
    bias = b.param("bias", TensorType((45,), "float32"))
    wide = b.convert(b.transpose(y, (1, 0)), "float32")
    total = b.add(b.add(x, b.transpose(x, (1, 0))), wide)
    fn = b.function(b.multiply(total, b.broadcast_in_dim(bias, x.shape, (0,))), b.tanh(total))
    arrays = [_array((45, 45), "float32"), _array((45, 45), "bfloat16"), _array((45,), "float32")]
    check(fn, arrays, fuse=True)


def test_what_is_padded_stays_a_plain_loop() -> None:
    b = Builder()
    x = b.param("x", TensorType((20, 30), "float32"))
    fn = b.function(
        b.pad(b.transpose(x, (1, 0)), b.constant(0.0, "float32"), (1, 0), (0, 2), (0, 0))
    )
    assert Loop.of(fn, host()).turned is None
    check(fn, [_array((20, 30), "float32")])
