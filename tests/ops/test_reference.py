"""What the table says of the interpreter: types, text, symbolic sizes, gradients."""

from __future__ import annotations

import numpy as np
import pytest

from kgraph.ir import (
    OPS,
    Array,
    Builder,
    Function,
    Op,
    Value,
    evaluate,
    is_float,
    parse,
    to_text,
    verify,
)
from kgraph.passes.autodiff import gradients
from tests.ops.cases import CASES, params
from tests.ops.row import SIZES, Case


def test_ids_are_unique() -> None:
    ids = [str(case) for case in CASES]
    assert sorted(set(ids)) == sorted(ids)


def test_every_op_has_a_case() -> None:
    built = {op.name for case in CASES for op in case.function().ops}
    assert {case.op for case in CASES} == set(OPS) - {"param"}
    assert {case.op for case in CASES} <= built, "a row does not make the op that it names"


@pytest.mark.parametrize("case", params(cheap=True))
def test_types_and_text(case: Case) -> None:
    fn = case.function()
    verify(fn)
    assert to_text(parse(to_text(fn))) == to_text(fn)
    evaluate(fn, case.arrays())  # the interpreter compares each array with the inferred type


@pytest.mark.parametrize("case", params(lambda case: case.symbolic, cheap=True))
def test_symbolic_sizes_are_those_of_static_ones(case: Case) -> None:
    for batch in (1, 4):
        sizes = {**SIZES, "batch": batch}
        arrays = case.arrays(**sizes)
        static = case.function(**sizes)
        verify(static)
        case.assert_close(evaluate(case.function(), arrays), evaluate(static, arrays), factor=0)


def _decomposes(case: Case) -> bool:
    return OPS[case.op].decompose is not Op.decompose


@pytest.mark.parametrize("case", params(_decomposes, cheap=True))
def test_a_decomposition_is_the_op(case: Case) -> None:
    """By more basic ops, none of which is the op itself, with gradients."""
    b = Builder()
    fn = case.function()
    (op,) = [op for op in fn.ops if op.name == case.op]
    args = dict(
        zip(op.operands, [b.param(f"x{i}", v.type) for i, v in enumerate(op.operands)], strict=True)
    )
    basic = op.with_operands(tuple(args.values())).decompose(b)
    assert basic is not None
    results = basic if isinstance(basic, tuple) else (basic,)
    assert case.op not in {made.name for made in b.ops}
    assert tuple(v.type for v in results) == tuple(v.type for v in op.results)
    other = b.function(*results)
    verify(other)
    arrays = case.arrays()
    case.assert_close(evaluate(other, arrays), evaluate(fn, arrays), factor=4)


def test_an_argument_is_not_written() -> None:
    for case in CASES:
        if not case.slow:
            arrays = case.arrays()
            before = [a.copy() for a in arrays]
            for a in arrays:
                a.flags.writeable = False
            evaluate(case.function(), arrays)
            for a, b in zip(arrays, before, strict=True):
                assert a.tobytes() == b.tobytes(), case


@pytest.mark.parametrize("case", params(lambda case: case.differentiable, cheap=True))
def test_gradients_are_finite_differences(case: Case) -> None:
    random = np.random.default_rng(0)
    fn, arrays = _with_gradients(case, random)
    direction = [random.standard_normal(a.shape) if is_float(str(a.dtype)) else a for a in arrays]
    count = sum(is_float(t.dtype) for t in case.types)
    found = evaluate(fn, arrays)
    assert [a.shape for a in found[1 : 1 + count]] == [
        a.shape for a in arrays if is_float(str(a.dtype))
    ]
    if any(a.size == 0 for a in arrays):
        return  # the loss is constant, and infinite for a maximum over nothing
    losses = [found[0]] + ([found[1 + count]] if case.row.second else [])
    step = 1e-5
    ahead, behind = (
        evaluate(fn, [_moved(a, d, sign * step) for a, d in zip(arrays, direction, strict=True)])
        for sign in (1, -1)
    )
    for i in range(len(losses)):
        at = i * (1 + count)
        slope = (ahead[at] - behind[at]) / (2 * step)
        floats = [d for d in direction if is_float(str(d.dtype))]
        want = sum(
            np.sum(g * d) for g, d in zip(found[at + 1 : at + 1 + count], floats, strict=True)
        )
        size = sum(
            np.sum(np.abs(g * d))
            for g, d in zip(found[at + 1 : at + 1 + count], floats, strict=True)
        )
        assert abs(slope - want) <= 1e-7 * size + 1e-8 * max(1.0, abs(found[at])), (i, slope, want)


def _moved(a: Array, direction: Array, step: float) -> Array:
    return a + step * direction if is_float(str(a.dtype)) else a


def _with_gradients(case: Case, random: np.random.Generator) -> tuple[Function, list[Array]]:
    """A loss of the results and its gradients, then a loss of the gradients and its gradients."""
    b = Builder()
    xs = [b.param(f"x{i}", t) for i, t in enumerate(case.types)]
    results = case.row.build(b, *xs)
    wrt = [x for x in xs if is_float(x.dtype)]
    loss = _weighted(b, results if isinstance(results, tuple) else (results,), random)
    first = gradients(b, loss, wrt)
    outputs = [loss, *first]
    if case.row.second:
        total = _weighted(b, tuple(first), random)
        outputs += [total, *gradients(b, total, wrt)]
    fn = b.function(*outputs)
    verify(fn)
    return fn, case.arrays()


def _weighted(b: Builder, values: tuple[Value, ...], random: np.random.Generator) -> Value:
    """A sum of the squares of the values, each with a factor: no gradient is constant."""
    total = b.constant(0.0, "float64")
    for v in values:
        if is_float(v.dtype):
            square = b.multiply(v, b.multiply(v, b.splat(random.uniform(0.5, 1.5), v.type)))
            total = b.add(
                total, b.reduce(square, "sum", tuple(range(v.type.rank))) if v.type.rank else square
            )
    return total
