"""Every op against Keras: at once, traced with a symbolic batch, and by shape on KerasTensors."""

from typing import Any

import keras
import numpy as np
import pytest

from kgraph import ir, ops
from kgraph.ops._signature import argument_types, leading_codes, take_apart
from kgraph.ops._traced import filled_in, traced
from tests.api.ops_case import Case
from tests.api.ops_cases import CASES as ARRAY_CASES
from tests.api.ops_cases_nn import CASES as NN_CASES

CASES = ARRAY_CASES + NN_CASES


def leaves(x: Any) -> list[Any]:
    return [leaf for item in x for leaf in leaves(item)] if isinstance(x, list | tuple) else [x]


def oracle(case: Case) -> list[Any]:
    return [np.asarray(x) for x in leaves(getattr(keras.ops, case.name)(*case.args, **case.kwargs))]


def assert_same(found: Any, wanted: Any, tolerance: float) -> None:
    found, wanted = np.asarray(found), np.asarray(wanted)
    assert found.shape == wanted.shape
    assert str(found.dtype) == str(wanted.dtype)
    if tolerance and wanted.dtype.kind in "fV":
        np.testing.assert_allclose(
            found.astype("float64"), wanted.astype("float64"), tolerance, tolerance
        )
    else:
        np.testing.assert_array_equal(found, wanted)


def run_traced(case: Case) -> list[Any]:
    """Arrays are tensors with the symbol `batch` in dim 0; sizes that Python needs are bound."""
    arrays: list[Any] = []
    args = (case.args, case.kwargs)
    take_apart(args, arrays, [])
    types = argument_types(arrays, leading_codes(arrays), None)
    found = with_sizes(case, args, types, arrays, {})
    ir.verify(found.function)
    return leaves(filled_in(found.outputs, ir.evaluate(found.function, arrays)))


def with_sizes(case: Case, args: Any, types: Any, arrays: Any, sizes: dict[str, int]) -> Any:
    def call(a: Any, k: Any) -> Any:
        return getattr(ops, case.name)(*a, **k)

    try:
        return traced(call, args, types, sizes, case.name)
    except ir.SizeNeededError as error:
        new = set(error.symbols) - set(sizes)
    assert new
    pairs = [
        (str(n), m)
        for t, a in zip(types, arrays, strict=True)
        for n, m in zip(t.shape, a.shape, strict=True)
    ]
    return with_sizes(case, args, types, arrays, sizes | {s: m for s, m in pairs if s in new})


@pytest.mark.parametrize("case", CASES, ids=str)
def test_at_once(case: Case) -> None:
    found = leaves(getattr(ops, case.name)(*case.args, **case.kwargs))
    for x, y in zip(found, oracle(case), strict=True):
        assert_same(x, y, case.tolerance)


@pytest.mark.parametrize("case", [c for c in CASES if c.traced], ids=str)
def test_traced(case: Case) -> None:
    for x, y in zip(
        run_traced(case), leaves(getattr(ops, case.name)(*case.args, **case.kwargs)), strict=True
    ):
        assert_same(x, y, case.tolerance)


# How many first arguments are tensors, where another one can be an array too.
TENSORS = {"clip": 1, "digitize": 1}


def symbolic(x: Any) -> Any:
    if isinstance(x, np.ndarray) and x.ndim:
        return ops.KerasTensor(x.shape, x.dtype)
    if isinstance(x, list):
        return [symbolic(item) for item in x]
    return x


@pytest.mark.parametrize("case", [c for c in CASES if c.traced], ids=str)
def test_on_keras_tensors(case: Case) -> None:
    count = TENSORS.get(case.name, len(case.args))
    args = [*symbolic(list(case.args[:count])), *case.args[count:]]
    if not ops.any_symbolic_tensors(args):
        pytest.skip("no tensor among the arguments")
    found = leaves(getattr(ops, case.name)(*args, **case.kwargs))
    wanted = leaves(getattr(ops, case.name)(*case.args, **case.kwargs))
    for x, y in zip(found, wanted, strict=True):
        assert (tuple(x.shape), x.dtype) == (y.shape, str(y.dtype))


def test_no_aliases() -> None:
    """What ops give shares no memory with what they took."""
    for case in CASES:
        arrays = [a for a in leaves(list(case.args)) if isinstance(a, np.ndarray)]
        for x in leaves(getattr(ops, case.name)(*case.args, **case.kwargs)):
            if isinstance(x, np.ndarray):
                assert not any(np.shares_memory(x, a) for a in arrays), case
