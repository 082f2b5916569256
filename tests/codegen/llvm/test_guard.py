"""Native code touches nothing outside of its buffers: the case table and whole programs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.codegen.llvm.native import targets

PROGRAMS = """
import numpy as np
import kgraph
from kgraph import layers

def fitted(model, x, y):
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, y, batch_size=5, epochs=2, verbose=0)
    assert np.isfinite(model.predict(x, batch_size=5, verbose=0)).all()

rng = np.random.default_rng(0)
y = rng.integers(0, 3, 13)
print("convolutions", flush=True)
fitted(kgraph.Sequential([
    layers.Input((9, 9, 3)), layers.Conv2D(5, 3, activation="relu", padding="same"),
    layers.BatchNormalization(), layers.MaxPooling2D(2), layers.DepthwiseConv2D(3),
    layers.SeparableConv2D(7, 2, strides=2, padding="same"), layers.Conv2DTranspose(3, 3),
    layers.GlobalAveragePooling2D(), layers.Dropout(0.3), layers.Dense(3, activation="softmax"),
]), rng.random((13, 9, 9, 3), "float32"), y)
print("recurrent", flush=True)
fitted(kgraph.Sequential([
    layers.Input((7, 5)), layers.LSTM(6, return_sequences=True), layers.GRU(5),
    layers.Dense(3, activation="softmax"),
]), rng.random((13, 7, 5), "float32"), y)
print("attention", flush=True)
inputs = kgraph.Input((6,), dtype="int32")
x = layers.Embedding(11, 8)(inputs)
x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4)(x, x))
x = layers.GlobalAveragePooling1D()(layers.Dense(9, activation="gelu")(x))
fitted(kgraph.Model(inputs, layers.Dense(3, activation="softmax")(x)),
       rng.integers(0, 11, (13, 6)), y)
print("done", flush=True)
"""


def run(*arguments: str, **environment: str) -> None:
    """A process that must end well; its last line says where it was."""
    found = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, timeout=3600,
        env={**os.environ, "KGRAPH_NUM_THREADS": "2", "KGRAPH_CACHE": "0", **environment},
    )  # fmt: skip
    lines = found.stdout.splitlines() or [""]
    assert found.returncode == 0, (found.returncode, lines[-1], found.stderr[-2000:])
    assert lines[-1] == "done"


def test_some_cases() -> None:
    run("-m", "tests.codegen.llvm.guarded", "211")


@pytest.mark.slow
def test_all_cases() -> None:
    run("-m", "tests.codegen.llvm.guarded")


@pytest.mark.slow
@pytest.mark.parametrize("target", [t.name for t in targets()])
def test_kernels(target: str) -> None:
    run("-m", "tests.codegen.llvm.guarded_kernels", target)


@pytest.mark.slow
@pytest.mark.parametrize("guard", ["1", "start"])
@pytest.mark.parametrize("target", [t.name for t in targets()])
def test_programs(guard: str, target: str) -> None:
    run("-c", PROGRAMS, KGRAPH_GUARD=guard, KGRAPH_POISON="1", KGRAPH_TARGET=target)
