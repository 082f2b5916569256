"""Convolutions that have another algorithm for a batch of one."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import kgraph
from kgraph.codegen.llvm.lower.convolution import SINGLE
from kgraph.ir import Builder, Function, TensorType, evaluate, symbol, to_text
from kgraph.passes.base import run_passes
from kgraph.passes.pipeline import llvm_pipeline
from kgraph.runtime import set_threads
from tests.codegen.llvm.lowered import assert_like, native, run


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    yield
    set_threads(None)


def convolution(algorithm: str) -> Function:
    """(conv(x, w) + b) ** 2."""
    b = Builder()
    x = b.param("x", TensorType((symbol("batch"), 7, 10, 20), "float32"))
    w = b.param("w", TensorType((3, 3, 20, 36), "float32"))
    bias = b.param("b", TensorType((36,), "float32"))
    dims, ones = "b01f_01io->b01f", (1, 1)
    y = b.convolution(
        x, w, dims, ones, ((1, 1), (0, 0)), ones, ones, (False, False), 1, 1, algorithm
    )
    y = b.add(y, b.broadcast_in_dim(bias, y.shape, (3,)))
    return b.function(b.multiply(y, y))


@pytest.mark.parametrize("fuse", [False, True])
def test_a_batch_of_one_has_its_own(fuse: bool) -> None:
    names = ("winograd_4" + SINGLE, "winograd_2", "winograd_4")
    fns = [convolution(name) for name in names]
    both, small, large = [native(fn, fuse=fuse) for fn in fns]
    random = np.random.default_rng(1)
    w, bias = random.standard_normal((3, 3, 20, 36)), random.standard_normal(36)
    for n in (0, 1, 2, 5):
        x = random.standard_normal((n, 7, 10, 20))
        arrays = [a.astype("float32") for a in (x, w, bias)]
        for threads in (1, 2):
            set_threads(threads)
            (found,) = run(both, fns[0], arrays)
            (same,) = run(small if n == 1 else large, fns[0], arrays)
            assert found.tobytes() == same.tobytes()
        assert_like((found,), evaluate(fns[0], arrays), 1e-5)


def test_a_model_whose_weights_are_packed_once() -> None:
    layers = [kgraph.layers.Input((10, 10, 64)), kgraph.layers.Conv2D(64, 3, activation="relu")]
    model = kgraph.Sequential([*layers, kgraph.layers.GlobalAveragePooling2D()])
    x = np.random.default_rng(2).standard_normal((9, 10, 10, 64)).astype("float32")
    fn = model._step_program("predict").trace(x, None, None).function
    assert SINGLE in to_text(run_passes(fn, llvm_pipeline(inference=True)))
    whole = model.predict_on_batch(x)
    for i in (0, 8):
        np.testing.assert_allclose(
            model.predict_on_batch(x[i : i + 1]), whole[i : i + 1], 1e-5, 1e-6
        )
