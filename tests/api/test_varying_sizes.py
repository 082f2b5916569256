"""Ops along a size that only the running program knows give what they give along a known one."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from kgraph import ops
from kgraph.ops import Step

CASES: dict[str, Callable[[Any], Any]] = {
    "cumsum": lambda x: ops.cumsum(x, 1),
    "cumsum of all": lambda x: ops.cumsum(x),
    "cumprod": lambda x: ops.cumprod(x, -2),
    "nancumsum": lambda x: ops.nancumsum(x, 1),
    "quantile": lambda x: ops.quantile(x, [0.25, 0.8], 1),
    "quantile of all": lambda x: ops.quantile(x, 0.3, keepdims=True),
    "median": lambda x: ops.median(x, (0, 1)),
    "percentile": lambda x: ops.percentile(x, 40, 1, method="nearest"),
    "searchsorted": lambda x: ops.searchsorted(ops.sort(x[0, :, 0]), x[:, 0]),
    "searchsorted right": lambda x: ops.searchsorted(ops.sort(x[0, :, 0]), x[0, :, 0], "right"),
    "digitize": lambda x: ops.digitize(x, ops.sort(x[0, :, 1])),
    "reflect": lambda x: ops.pad(x, ((0, 0), (3, 1), (0, 0)), "reflect"),
    "reflect far": lambda x: ops.pad(x, ((0, 0), (0, 9), (1, 1)), "reflect"),
    "symmetric": lambda x: ops.pad(x, ((0, 0), (2, 0), (0, 0)), "symmetric"),
    "symmetric far": lambda x: ops.pad(x, ((0, 0), (11, 4), (0, 0)), "symmetric"),
    "edge": lambda x: ops.pad(x, ((0, 0), (2, 3), (0, 0)), "edge"),
}


@pytest.mark.parametrize("backend", ["reference", "llvm"])
@pytest.mark.parametrize("name", CASES)
def test_sizes_stay_symbols(name: str, backend: str) -> None:
    step = Step(CASES[name], backend=backend)
    random = np.random.default_rng(0)
    for samples, n in ((2, 4), (3, 5), (2, 2), (3, 7), (1, 1)):
        x = random.standard_normal((samples, n, 3)).astype("float32")
        expected = np.asarray(CASES[name](x))
        np.testing.assert_allclose(step(x), expected, rtol=1e-5, atol=1e-6)
    assert not step.specializations
    assert len({id(found) for found in step._compiled.values()}) == 3  # 4; 5, 2, 7; 1


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "reflect", "symmetric far"])
def test_gradients(name: str) -> None:
    def slope(x: Any, weights: Any) -> Any:
        return ops.gradients(ops.sum(CASES[name](x) * weights), [x])[0]

    step = Step(slope, backend="llvm")
    random = np.random.default_rng(1)
    for n in (4, 6, 3):
        x = random.standard_normal((2, n, 3)).astype("float32")
        weights = random.standard_normal(np.shape(CASES[name](x))).astype("float32")
        fixed = Step(slope, symbolic_batch=False, backend="reference")
        np.testing.assert_allclose(step(x, weights), fixed(x, weights), rtol=1e-4, atol=1e-5)
    assert not step.specializations


@pytest.mark.parametrize("size", [(9, 12), (2, 3), (1, 4)])
def test_gradients_of_images_of_any_size(size: tuple[int, int]) -> None:
    kernel = np.linspace(-1, 1, 18, dtype="float32").reshape(3, 3, 1, 2)

    def slope(x: Any) -> Any:
        found = ops.max_pool(ops.relu(ops.conv(x, kernel, padding="same")), 2)
        return ops.gradients(ops.sum(found * found), [x])[0]

    x = np.random.default_rng(2).standard_normal((2, *size, 1)).astype("float32")
    step = Step(slope, symbolic=lambda i, s: ["batch", "height", "width", None], backend="llvm")
    fixed = Step(slope, symbolic_batch=False, backend="reference")
    np.testing.assert_allclose(step(x), fixed(x), rtol=1e-4, atol=1e-5)
