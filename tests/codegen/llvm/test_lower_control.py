"""Branches and loops as native code: nested, in turns of any number, with carries of any kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from kgraph.codegen import Options
from kgraph.codegen.llvm import compile as compile_llvm
from kgraph.codegen.llvm.image import lower
from kgraph.codegen.llvm.target import host
from kgraph.ir import Array, Builder, Function, TensorType, Value, evaluate, symbol
from kgraph.ir.ops.control import Scan
from kgraph.passes.base import run_passes
from kgraph.passes.pipeline import llvm_pipeline
from kgraph.runtime.compile import compile
from tests.codegen.llvm.lowered import assert_like, native, run
from tests.programs import lstm

batch, time = symbol("batch"), symbol("time")
F32 = TensorType((), "float32")
I32 = TensorType((), "int32")


def _region(types: Sequence[TensorType], body: Callable[..., object]) -> Function:
    b = Builder()
    results = body(b, *[b.param(f"p{i}", t) for i, t in enumerate(types)])
    return b.function(*(results if isinstance(results, tuple) else (results,)))


def _array(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(shape).astype("f4")


def _same(fn: Function, *calls: Sequence[Array]) -> None:
    runner = native(fn)
    for arrays in calls:
        assert_like(run(runner, fn, arrays), evaluate(fn, arrays))


def test_while_with_carries_that_change_places() -> None:
    b = Builder()
    n, x, y = b.param("n", I32), b.param("x", TensorType((batch, 5), "float32")), None
    y = b.param("y", x.type)
    types = (I32, x.type, x.type, I32)
    fn = b.function(
        *b.while_(
            (b.constant(0, "int32"), x, y),
            (n,),
            _region(types, lambda b, i, x, y, n: b.compare(i, n, "LT")),
            _region(types, lambda b, i, x, y, n: (b.add(i, b.constant(1, "int32")), y, x)),
        )
    )
    _same(
        fn, *[(np.int32(n), _array(k, 5), _array(k, 5, seed=1)) for n in range(4) for k in (1, 3)]
    )


def test_while_without_carries() -> None:
    b = Builder()
    x = b.param("x", TensorType((), "bool"))
    no = _region((x.type,), lambda b, x: b.and_(x, b.not_(x)))
    b.while_((), (x,), no, _region((x.type,), lambda b, x: ()))
    fn = b.function(x)
    _same(fn, [np.True_])


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [0, 1, 2, 5])
def test_scan_of_any_length(length: int, reverse: bool) -> None:
    """A carry of sums, one that only passes by, one value as two carries, slices handed through."""
    b = Builder()
    c = b.param("c", TensorType((batch, 3), "float32"))
    xs = b.param("xs", TensorType((time, batch, 3), "float32"))
    w = b.param("w", TensorType((3, 3), "float32"))

    def step(b: Builder, total: Value, old: Value, kept: Value, x: Value, w: Value) -> object:
        y = b.dot_general(x, w, (), (), (1,), (0,))
        return b.add(total, y), total, kept, y, x, b.constant([1, 2], "int32")

    body = _region((c.type, c.type, c.type, c.type, w.type), step)
    fn = b.function(*b.scan((c, c, c), (xs,), (w,), time, reverse, body))
    _same(fn, *[(_array(n, 3), _array(length, n, 3), _array(3, 3)) for n in (1, 4)])


def test_one_region_in_two_ops() -> None:
    """What is written for one use must not change the other's values; constants are of both."""
    b = Builder()
    p, x = b.param("p", TensorType((), "bool")), b.param("x", TensorType((4,), "float32"))
    shifted = _region(
        (x.type,),
        lambda b, x: (b.add(x, b.constant([1, 2, 3, 4], "float32")), b.constant([5, 6], "float32")),
    )
    y, _ = b.if_(p, (x,), shifted, shifted)
    results = b.if_(b.not_(p), (y,), shifted, shifted)
    _same(b.function(y, *results), *[(np.bool_(p), _array(4)) for p in (True, False)])


def _recurrent() -> Function:
    """Steps `h = tanh(x + h w)`, in a scan in a scan; the panels of w serve all of them."""
    row, square = TensorType((batch, 20), "float32"), TensorType((20, 20), "float32")

    def step(b: Builder, h: Value, x: Value, w: Value) -> Value:
        found: Value = b.tanh(b.add(x, b.dot_general(h, w, (), (), (1,), (0,))))
        return found

    def steps(b: Builder, h: Value, xs: Value, w: Value) -> tuple[Value, ...]:
        body = _region((row, row, square), step)
        found: tuple[Value, ...] = b.append(Scan((h,), (xs,), (w,), 3, False, body))
        return found

    several = row.with_shape((3, *row.shape))
    return _region((row, several, square), steps)


def test_a_captured_weight_is_packed_before_the_loop() -> None:
    """Once, in front of the outer loop or in `prepare`; equal bodies may have other weights."""
    body = _recurrent()
    b = Builder()
    row = body.params[0].type
    w, v = (b.param(label, body.params[2].type) for label in "wv")
    xs = b.param("xs", row.with_shape((2, 3, *row.shape)))
    start = b.splat(0, row)
    results = [b.append(Scan((start,), (xs,), (x,), 2, False, body))[0] for x in (w, v)]
    fn = b.function(*results)
    arrays = [
        [_array(20, 20) / 5, _array(20, 20, seed=1) / 5, _array(2, 3, n, 20)] for n in (1, 3, 17)
    ]
    _same(fn, *arrays)
    lines = lower(fn, host()).text.partition("@kgraph_run(")[2].splitlines()
    packs = [i for i, line in enumerate(lines) if "call" in line and "pack_b" in line]
    loops = [i for i, line in enumerate(lines) if " phi " in line]
    assert len(packs) == 2
    assert packs[0] < loops[0]
    program = compile(fn, state=2, options=Options(verify=True))
    image = compile_llvm(fn, state=2, donate={}, options=Options(backend="llvm"))
    assert image.prepare is not None
    assert len(image.prepare.results) == 2
    for some in arrays:
        assert_like(program(*some), evaluate(fn, some))


def test_loops_in_branches_in_loops() -> None:
    b = Builder()
    xs = b.param("xs", TensorType((time, batch), "float32"))
    row = xs.type.with_shape((batch,))

    def halve(b: Builder, x: Value) -> Value:
        one = b.splat(1, row)
        types = (row, row)
        top = _region(types, lambda b, x, one: b.compare(b.reduce(x, "max", (0,)), _one(b), "GT"))
        half = _region(types, lambda b, x, one: b.multiply(x, b.splat(0.5, row)))
        found: Value = b.while_((x,), (one,), top, half)
        return found

    def step(b: Builder, c: Value, x: Value) -> tuple[Value, ...]:
        up = b.compare(b.reduce(x, "sum", (0,)), b.constant(0, "float32"), "GT")
        new = b.if_(up, (x, c), _region((row, row), lambda b, x, c: b.add(halve(b, x), c)),
                    _region((row, row), lambda b, x, c: c))  # fmt: skip
        return new, new

    fn = b.function(*b.scan((b.splat(0, row),), (xs,), (), time, True, _region((row, row), step)))
    _same(fn, *[(_array(t, n) * 4,) for t in (1, 7) for n in (1, 3)])


def _one(b: Builder) -> Value:
    found: Value = b.constant(1, "float32")
    return found


def test_an_lstm_and_its_gradient() -> None:
    program = lstm("float32")
    runner = native(program.fn)
    for n in (1, 5, 40):
        arrays = program.arguments(n)
        assert_like(run(runner, program.fn, arrays), evaluate(program.fn, arrays), 1e-5)


@pytest.mark.parametrize("name", ["", "avx2", "generic"])
@pytest.mark.parametrize("parts", [2, 3, 4])
def test_gates_in_the_registers_of_one_tile(parts: int, name: str) -> None:
    """The sums of a step's product are never stored; rows that no tile fills, and only one."""
    units = 48
    row, wide = (TensorType((batch, n), "float32") for n in (units, units * parts))

    def step(b: Builder, h: Value, c: Value, x: Value, w: Value) -> tuple[Value, ...]:
        z = b.add(x, b.dot_general(h, w, (), (), (1,), (0,)))
        cuts = [(units * i, units * (i + 1)) for i in range(parts)]
        first, *others = [b.slice(z, (0, lo), (batch, hi), (1, 1)) for lo, hi in cuts]
        for gate in others:
            c = b.add(b.multiply(b.logistic(gate), c), first)
        return b.multiply(b.tanh(c), b.logistic(first)), c

    b = Builder()
    w = b.param("w", TensorType((units, units * parts), "float32"))
    xs = b.param("xs", wide.with_shape((5, *wide.shape)))
    body = _region((row, row, wide, w.type), step)
    start = b.splat(0.5, row)
    fn = b.function(*b.append(Scan((start, start), (xs,), (w,), 5, False, body)))
    scheduled = run_passes(fn, llvm_pipeline())
    (scan,) = [op for op in scheduled.ops if isinstance(op, Scan)]
    assert len(scan.body.ops) == 1
    program = compile(fn, options=Options(target=name))
    for n in (1, 2, 3, 7, 40):
        arrays = [_array(units, units * parts) / 9, _array(5, n, units * parts)]
        assert_like(program(*arrays), evaluate(fn, arrays), 1e-5)
