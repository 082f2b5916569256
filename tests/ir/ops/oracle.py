"""One op by our interpreter and by jax, with 64-bit types, on the CPU."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np

from kgraph.ir import Builder, TensorType, Value, dtype_name, evaluate, is_float
from kgraph.passes.autodiff import gradients

__all__ = ["assert_same", "difference_in_ulp", "gradients_of", "jax_gradients_of", "run", "run_jax"]


def _params(b: Builder, arrays: Sequence[Any]) -> list[Value]:
    return [
        b.param(f"x{i}", TensorType(a.shape, dtype_name(a.dtype))) for i, a in enumerate(arrays)
    ]


def run(build: Callable[..., Any], *arrays: Any) -> list[np.ndarray]:
    """The results of what `build(b, *values)` makes."""
    b = Builder()
    found = build(b, *_params(b, arrays))
    return evaluate(b.function(*(found if isinstance(found, tuple) else (found,))), arrays)


def run_jax(function: Callable[..., Any], *arrays: Any) -> np.ndarray:
    """The result of a function of jax, compiled."""
    with jax.enable_x64(True):
        return np.asarray(jax.jit(function)(*arrays))


def gradients_of(build: Callable[..., Any], *arrays: Any) -> list[np.ndarray]:
    """The gradients of the sum of the result, with respect to all floats."""
    b = Builder()
    xs = _params(b, arrays)
    y = build(b, *xs)
    total = b.reduce(y, "sum", tuple(range(y.type.rank)))
    return evaluate(b.function(*gradients(b, total, [x for x in xs if is_float(x.dtype)])), arrays)


def jax_gradients_of(function: Callable[..., Any], *arrays: Any) -> list[np.ndarray]:
    """The same by jax; all arrays must be floats."""
    with jax.enable_x64(True):
        wrt = tuple(range(len(arrays)))
        found = jax.jit(jax.grad(lambda *xs: function(*xs).sum(), wrt))(*arrays)
        return [np.asarray(g) for g in found]


def difference_in_ulp(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """How many floats lie between x and y; 0 for two NaN."""
    whole = f"int{8 * x.dtype.itemsize}"
    bits = [np.ascontiguousarray(a).view(whole) for a in (x, y)]
    ordered = [np.where(i < 0, np.iinfo(whole).min - i, i).astype(object) for i in bits]
    return np.where(np.isnan(x) & np.isnan(y), 0, np.abs(ordered[0] - ordered[1])).astype(float)


def assert_same(x: np.ndarray, y: np.ndarray, ulp: float = 0) -> None:
    """The same type, shape and values, signed zeros and NaN included; floats within `ulp`."""
    assert (x.dtype, x.shape) == (y.dtype, y.shape)
    if not is_float(dtype_name(x.dtype)):
        np.testing.assert_array_equal(x, y)
        return
    distance = difference_in_ulp(x, y)
    signs = (np.signbit(x) == np.signbit(y)) | np.isnan(x)
    bad = (distance > ulp) | ~signs
    assert not bad.any(), (x[bad], y[bad], distance.max())
