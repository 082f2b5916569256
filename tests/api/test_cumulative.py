"""Running sums and products of several blocks: sizes that blocks divide or not, gradients, NaN."""

import numpy as np
import pytest

from kgraph import grad, jit, ops


@pytest.mark.parametrize("size", [0, 1, 16, 17, 64, 137, 1100])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_running_sums(size: int, axis: int) -> None:
    shape = tuple(size if d == axis else 3 for d in range(3))
    x = np.random.default_rng(size).integers(-50, 50, shape)
    np.testing.assert_array_equal(ops.cumsum(x.astype("float32"), axis), np.cumsum(x, axis))
    whole = x.astype("int32")
    np.testing.assert_array_equal(ops.cumsum(whole, axis), np.cumsum(whole, axis, dtype="int32"))
    np.testing.assert_array_equal(ops.cumprod(whole, axis), np.cumprod(whole, axis, dtype="int32"))


def test_of_all() -> None:
    x = np.arange(300, dtype="float32").reshape(3, 100)
    np.testing.assert_array_equal(ops.cumsum(x), np.cumsum(x))


def test_what_is_not_a_number_stays_behind() -> None:
    x = np.ones(100, "float32")
    x[[40, 70]] = np.inf, -np.inf
    np.testing.assert_array_equal(ops.cumsum(x), np.cumsum(x))


def test_gradient() -> None:
    weights = np.random.default_rng(0).integers(-9, 9, (2, 77)).astype("float32")
    of_sums = jit(grad(lambda x: ops.sum(ops.cumsum(x, 1) * weights)))
    found = of_sums(np.ones((2, 77), "float32"))
    np.testing.assert_array_equal(found, np.cumsum(weights[:, ::-1], 1)[:, ::-1])


def test_a_batch_of_any_size() -> None:
    running = jit(lambda x: ops.cumsum(x, 1))
    for batch in (2, 3, 5):
        x = np.arange(batch * 50, dtype="float32").reshape(batch, 50)
        np.testing.assert_array_equal(running(x), np.cumsum(x, 1))
