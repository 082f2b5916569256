"""Layers against Keras: same arguments, configs, weights, outputs, shapes and masks."""

import json
from typing import Any

import keras
import numpy as np
import pytest

import kgraph
from tests.api.layer_cases import CASES, Case
from tests.api.oracle import assert_same_arguments

NAMES = sorted({c.name for c in CASES})


def config_of(layer: Any) -> Any:
    """The config as JSON has it; numbers to the precision in which Keras may have kept them."""
    return json.loads(json.dumps(layer.get_config()), parse_float=lambda x: float(np.float32(x)))


def inputs_of(case: Case) -> Any:
    rng = np.random.default_rng(sum(map(ord, str(case))))
    if case.integers:
        arrays = [rng.integers(0, case.integers, s).astype("int32") for s in case.shapes]
    else:
        arrays = [rng.standard_normal(s).astype("float32") for s in case.shapes]
    if case.name == "Masking":
        arrays[0][0, 2:4] = 0
    return arrays[0] if len(arrays) == 1 else arrays


def pair(case: Case) -> tuple[Any, Any]:
    """Our layer and Keras's, of one name, built, with the same weights."""
    ours = getattr(kgraph.layers, case.name)(name="a", **case.arguments)
    theirs = getattr(keras.layers, case.name)(name="a", **case.arguments)
    x = inputs_of(case)
    theirs(x)
    ours(x)
    rng = np.random.default_rng(0)
    weights = [rng.uniform(0.2, 1.0, w.shape).astype("float32") for w in theirs.weights]
    ours.set_weights(weights)
    theirs.set_weights(weights)
    return ours, theirs


@pytest.mark.parametrize("name", NAMES)
def test_arguments(name: str) -> None:
    assert_same_arguments(kgraph.layers, keras.layers, name)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_config(case: Case) -> None:
    ours = getattr(kgraph.layers, case.name)(name="a", **case.arguments)
    theirs = getattr(keras.layers, case.name)(name="a", **case.arguments)
    assert config_of(ours) == config_of(theirs)
    again = type(ours).from_config(config_of(ours))
    assert config_of(again) == config_of(ours)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_weights_and_outputs(case: Case) -> None:
    ours, theirs = pair(case)
    assert [(w.path, w.shape, w.trainable) for w in ours.weights] == [
        (w.path, tuple(w.shape), w.trainable) for w in theirs.weights
    ]
    x = inputs_of(case)
    call = dict(case.call)
    if case.mask:
        call["mask"] = np.array([[True] * 5 + [False] * 2, [False] + [True] * 6])
    mine, oracle = ours(x, **call), theirs(x, **call)
    leaves = list(zip(_leaves(mine), _leaves(oracle), strict=True))
    for a, b in leaves:
        assert a.dtype == np.asarray(b).dtype
        np.testing.assert_allclose(a, np.asarray(b), rtol=case.rtol, atol=2e-6)
    for a, b in zip(ours.weights, theirs.weights, strict=True):  # what a call updates
        np.testing.assert_allclose(a.numpy(), np.asarray(b), rtol=2e-5, atol=2e-6)
    assert _numbers(ours.losses) == pytest.approx(_numbers(theirs.losses), rel=1e-4)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_symbolic(case: Case) -> None:
    outputs = []
    for library in (kgraph, keras):
        layer = getattr(library.layers, case.name)(**case.arguments)
        dtype = "int32" if case.integers else "float32"
        symbols = [library.Input(s[1:], dtype=dtype) for s in case.shapes]
        y = layer(symbols[0] if len(symbols) == 1 else symbols)
        outputs.append([(tuple(leaf.shape), leaf.dtype) for leaf in _leaves(y)])
        shapes = [(None, *s[1:]) for s in case.shapes]
        if len(shapes) == 1:
            outputs[-1].append(tuple(layer.compute_output_shape(shapes[0])))
        outputs[-1].append(json.dumps(layer.get_build_config()))
    assert outputs[0] == outputs[1]


def _numbers(losses: Any) -> list[float]:
    return [float(np.asarray(loss)) for loss in losses]


def _leaves(x: Any) -> list[Any]:
    return list(x) if isinstance(x, list | tuple) else [x]
