"""Mean and variance of columns: sizes that fill blocks, chunks and vectors, or do not."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from kgraph.codegen.llvm.target import Target
from kgraph.ir import Array, Builder, Function, Shape, TensorType, evaluate, symbol
from kgraph.passes.decompose import Decompose
from kgraph.passes.pipeline import LLVM_KEEPS
from kgraph.runtime import set_threads
from tests.codegen.llvm.lowered import assert_like, check, native, run
from tests.codegen.llvm.native import targets

all_targets = pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)

# one row; a block and a row; some blocks; several chunks; tiles of columns
SIZES = [(1, 5), (65, 17), (300, 144), (5000, 33), (300, 9001), (7, 3, 11, 100)]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    yield
    set_threads(None)


def moments(shape: Shape, dtype: str = "float32") -> Function:
    b = Builder()
    x = b.param("x", TensorType(shape, dtype))
    return b.function(*b.moments(x, tuple(range(len(shape) - 1))))


def normal(shape: tuple[int, ...], dtype: str = "float32", mean: float = 0.0) -> Array:
    made = np.random.default_rng(0).normal(size=shape) + mean
    return made.astype(dtype)


@all_targets
@pytest.mark.parametrize("shape", SIZES, ids=str)
def test_sizes(target: Target, shape: tuple[int, ...]) -> None:
    fn, x = moments(shape), normal(shape, mean=3)
    assert_like(run(native(fn, target), fn, [x]), evaluate(fn, [x]), 1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-14), ("float16", 1e-3)])
def test_dtypes(dtype: str, tolerance: float) -> None:
    check(moments((300, 33), dtype), [normal((300, 33), dtype)], tolerance)


@pytest.mark.parametrize("sizes", [(3, 1), (200, 40), (0, 4), (4, 0)])
def test_sizes_that_are_not_known(sizes: tuple[int, int]) -> None:
    check(moments((symbol("rows"), symbol("columns"))), [normal(sizes)])


@pytest.mark.parametrize("mean", [100.0, 1e4])
def test_a_mean_that_is_large(mean: float) -> None:
    """Squares of deviations, and no difference of large sums: that would have no digit left."""
    x = normal((20000, 40), mean=mean)
    fn = moments(x.shape)
    average, variance = run(native(fn), fn, [x])
    wide = x.astype("f8")
    np.testing.assert_allclose(average, wide.mean(0), rtol=1e-6)
    np.testing.assert_allclose(variance, wide.var(0), rtol=1e-5)


def test_equal_rows_do_not_vary() -> None:
    x = np.broadcast_to(normal((40,), mean=1e4), (5000, 40))
    _, variance = check(moments(x.shape), [x])
    assert np.max(variance) <= 1e-6


def test_what_is_not_finite() -> None:
    """A column with an infinity has it as its mean, wherever it stands; of both signs, NaN."""
    x = normal((200, 5))
    x[0, 0], x[130, 1] = np.inf, -np.inf
    x[3, 2], x[199, 2] = np.inf, -np.inf
    x[70, 3] = np.nan
    average, variance = check(moments(x.shape), [x])
    np.testing.assert_array_equal(average[:4], [np.inf, -np.inf, np.nan, np.nan])
    assert np.isnan(variance[:4]).all()
    assert np.isfinite([average[4], variance[4]]).all()


def test_a_mean_whose_square_is_too_large() -> None:
    x = np.full((200, 20), 1e25, "f")
    x[:, 1] = -1e25
    average, variance = run(native(moments(x.shape)), moments(x.shape), [x])
    np.testing.assert_allclose(average, x[0], rtol=1e-6)
    assert np.isfinite(variance).all()


def test_threads_do_not_change_the_bits() -> None:
    fn, x = moments((5000, 100)), normal((5000, 100))
    runner = native(fn)
    found = []
    for threads in (1, 2, 3):
        set_threads(threads)
        found.append([y.tobytes() for y in run(runner, fn, [x])])
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("shape", "dims", "whole"),
    [
        ((6, 5, 4), (0,), True),
        ((6, 5, 4), (0, 1), True),
        ((6, 5, 4), (2,), False),
        ((6, 5, 4), (1,), False),
        ((6, 5, 4), (), False),
        ((6, 5, 4), (0, 1, 2), False),
        ((6, 1, 1), (0,), False),
        ((6, symbol("n")), (0,), True),
    ],
)
def test_which_are_kept(shape: Shape, dims: tuple[int, ...], whole: bool) -> None:
    """Those of columns have the kernel; others are two reductions."""
    b = Builder()
    fn = b.function(*b.moments(b.param("x", TensorType(shape, "float32")), dims))
    names = {op.name for op in Decompose(keep=LLVM_KEEPS).run(fn).ops}
    assert names == {"moments"} if whole else "moments" not in names
