"""The NaN finder names the op where the first NaN appears, and leaves the state as it was."""

from __future__ import annotations

import numpy as np
import pytest

import kgraph
from kgraph import layers, runtime
from kgraph.codegen import Options
from kgraph.ir import Function, parse
from kgraph.runtime.nan import NanError

FIND = Options(find_nan=True)
TEXT = """fn net(%w: f32[4], %x: f32[batch,4])
  %0: f32[batch,4] = exponential %x @ "net/exp" "model.py":3
  %1: f32[batch,4] = log %x @ "net/log" "model.py":7
  %2: f32[batch,4] = add %0, %1 @ "net/add" "model.py":8
  %3: f32[4] = reduce %2, dims=(0,), kind='sum' @ "net/sum" "model.py":9
  %4: f32[4] = add %w, %3 @ "net/update" "model.py":10
  return %4
"""


def program() -> Function:
    return parse(TEXT)


def rows(batch: int) -> np.ndarray:
    return np.ones((batch, 4), np.float32)


@pytest.mark.parametrize("batch", [1, 3, 9000])
@pytest.mark.parametrize("threads", [1, 2])
def test_the_op_layer_and_line(batch: int, threads: int) -> None:
    run = runtime.compile(program(), state=1, donate={0: 0}, options=FIND)
    plain = runtime.compile(program(), state=1, donate={0: 0})
    w, x = np.zeros(4, np.float32), rows(batch)
    try:
        runtime.set_threads(threads)
        np.testing.assert_allclose(run(w, x)[0], plain(w, x)[0], rtol=1e-6)
        x[-1, -1] = -1
        with pytest.raises(
            NanError,
            match=r"first NaN is in the result of log \(f32\[batch,4\]\) of layer net/log, "
            r"model.py:7; no argument has one",
        ):
            run.run([w], [x])
        np.testing.assert_array_equal(w, np.zeros(4))
        x[-1, -1] = 1
        np.testing.assert_allclose(run(w, x)[0], plain(w, x)[0], rtol=1e-6)
    finally:
        runtime.set_threads(None)


def test_nan_from_outside() -> None:
    run = runtime.compile(program(), options=FIND)
    x = rows(3)
    x[1, 1] = np.nan
    with pytest.raises(NanError, match=r"exponential .*; NaN came in with x$"):
        run(np.zeros(4, np.float32), x)


@pytest.mark.parametrize("dtype", ["f16", "bf16", "f64"])
def test_other_floats(dtype: str) -> None:
    text = f"fn(%x: {dtype}[5])\n  %0: {dtype}[5] = sqrt %x\n  return %0\n"
    run = runtime.compile(parse(text), options=FIND)
    x = np.ones(5, run.signature.params[0].dtype if dtype != "bf16" else np.float32)
    x = x.astype(kgraph.ir.numpy_dtype(run.signature.params[0].dtype))
    run(x)
    x[4] = -1
    with pytest.raises(NanError, match="sqrt"):
        run(x)


def test_in_a_loop() -> None:
    def walk(x: kgraph.KerasTensor) -> object:
        return kgraph.ops.scan(lambda c, v: (c, kgraph.ops.log(v)), x[0], x)[1]

    fn = kgraph.trace(walk, "f32[6]")
    run = runtime.compile(fn, options=FIND)
    run(np.ones(6, np.float32))
    x = np.ones(6, np.float32)
    x[5] = -1
    with pytest.raises(NanError, match="result of log"):
        run(x)


def test_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KGRAPH_FIND_NAN", "1")
    model = kgraph.Sequential(
        [
            layers.Input((3,)),
            layers.Dense(4, name="first"),
            layers.Activation(lambda x: kgraph.ops.sqrt(x - 100), name="root"),
        ],
        name="net",
    )
    model.compile("sgd", "mse")
    before = model.get_weights()
    with pytest.raises(FloatingPointError, match=r"sqrt .* of layer net/root"):
        model.fit(np.ones((8, 3)), np.ones((8, 4)), verbose=0)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_it_is_not_for_profiles() -> None:
    with pytest.raises(ValueError, match="profile and find_nan"):
        Options(profile=True, find_nan=True)
