"""Regions as native code: any batch through one program, the same bits with any threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest

from kgraph.codegen.llvm.image import lower
from kgraph.codegen.llvm.target import host
from kgraph.ir import Array, Builder, Function, TensorType, Value, evaluate, symbol
from kgraph.ir.ops.control import Batched
from kgraph.passes.base import run_passes
from kgraph.passes.fuse import Fuse
from kgraph.passes.outline import Outline
from kgraph.passes.pipeline import llvm_pipeline
from kgraph.runtime import set_threads
from tests.codegen.llvm.lowered import assert_like, native, run
from tests.programs import MAKERS, Program

batch, block = symbol("batch"), symbol("block")
START = TensorType((), "int32")
NAMES = [make.__name__ for make in MAKERS]


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    yield
    set_threads(None)


def _program(name: str) -> Program:
    return next(make for make in MAKERS if make.__name__ == name)("float32")


@pytest.mark.parametrize("name", NAMES)
def test_programs_in_regions(name: str) -> None:
    """Batches below, at and above a block, of one chunk and of all chunks, of some blocks each."""
    program = _program(name)
    fn = run_passes(program.fn, llvm_pipeline(), check=True)
    assert any(isinstance(op, Batched) for op in fn.ops)
    runner = native(fn)
    for n in (1, 8, 11, 70):
        arrays = program.arguments(n)
        found = []
        for threads in (1, 2, 3):
            set_threads(threads)
            found.append(run(runner, fn, arrays))
        assert_like(found[0], evaluate(fn, arrays), 1e-5)
        _assert_same_bits(found)


def _assert_same_bits(found: list[tuple[Array, ...]]) -> None:
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(
    ("name", "size"), [("batch_norm", 1), ("batch_norm", 3), ("convnet", 1), ("bottleneck", 1)]
)
def test_blocks_of_other_sizes(name: str, size: int) -> None:
    program = _program(name)
    passes = [Outline(block=size) if isinstance(p, Outline) else p for p in llvm_pipeline()]
    fn = run_passes(program.fn, passes, check=True)
    runner = native(fn)
    for n in (1, 2, 29):
        arrays = program.arguments(n)
        assert_like(run(runner, fn, arrays), evaluate(fn, arrays), 1e-5)


Body = Callable[[Builder, Value, Value], tuple[Value, ...]]


def _region(
    shape: tuple[int, ...], dim: int, dtype: str, gives: tuple[tuple[str, int], ...], body: Body,
    size: int = 2,
) -> Function:  # fmt: skip
    """A region over one input whose dim `dim` carries the samples."""
    whole = TensorType((*shape[:dim], batch, *shape[dim:]), dtype)
    inner = Builder()
    start = inner.param("start", START)
    x = inner.param("x", whole.with_shape((*shape[:dim], block, *shape[dim:])))
    region = inner.function(*body(inner, start, x))
    b = Builder()
    results = b.batched((b.param("x", whole),), batch, size, (dim,), gives, region)
    return b.function(*(results if isinstance(results, tuple) else (results,)))


def _input(fn: Function, n: int) -> Array:
    t = fn.params[0].type
    shape = [d if isinstance(d, int) else n for d in t.shape]
    values = np.random.default_rng(n).standard_normal(shape) * 3
    return (values > -2) if t.dtype == "bool" else values.astype(t.dtype)


def _check(fn: Function, tolerance: float = 2e-6) -> None:
    runner = native(fn)
    for n in (0, 1, 2, 5, 16, 17, 41):
        arrays = [_input(fn, n)]
        found = []
        for threads in (1, 3):
            set_threads(threads)
            found.append(run(runner, fn, arrays))
        assert_like(found[0], evaluate(fn, arrays), tolerance)
        _assert_same_bits(found)


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [("sum", "float32"), ("sum", "float64"), ("sum", "int8"), ("max", "float32"),
     ("min", "int32"), ("product", "float64"), ("and", "bool"), ("or", "bool")],
)  # fmt: skip
def test_combinations_have_the_interpreters_bits(kind: str, dtype: str) -> None:
    """Blocks of one sample are reduced by nothing, so only the order of combining counts."""
    fn = _region((37,), 0, dtype, ((kind, 0),), lambda b, s, x: (b.reduce(x, kind, (0,)),), 1)
    runner = native(fn)
    for n in (0, 1, 7, 8, 9, 30):
        arrays = [_input(fn, n)]
        for threads in (1, 3):
            set_threads(threads)
            _assert_same_bits([run(runner, fn, arrays), tuple(evaluate(fn, arrays))])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_contractions_add_to_the_sums(dtype: str) -> None:
    """One that nothing else reads needs no memory for a block's result, nor a loop that adds it."""

    def gram(b: Builder, x: Value) -> Value:
        return b.dot_general(x, x, (), (), (0,), (0,))

    fn = _region((9,), 0, dtype, (("sum", 0),), lambda b, s, x: (gram(b, x),))
    _check(fn, 2e-2 if dtype == "float16" else 2e-6)
    assert (".accumulate" in lower(fn, host()).text) == (dtype == "float16")

    def twice(b: Builder, start: Value, x: Value) -> tuple[Value, ...]:
        y, z = gram(b, x), gram(b, b.negate(x))
        return y, b.tanh(y), z, z

    gives = (("sum", 0), ("sum", 0), ("sum", 0), ("max", 0))
    _check(_region((9,), 0, dtype, gives, twice), 2e-2 if dtype == "float16" else 2e-6)


def test_sums_of_short_floats_are_added_in_wider_ones() -> None:
    fn = _region((3,), 0, "float16", (("sum", 0),), lambda b, s, x: (b.reduce(x, "sum", (0,)),))
    (got,) = run(native(fn), fn, [np.full((4096, 3), 1.0009765625, "f2")])
    assert got.tolist() == [4100.0] * 3


def test_moments_and_rows() -> None:
    def body(b: Builder, start: Value, x: Value) -> tuple[Value, ...]:
        mean, variance = b.moments(x, (0,))
        index = b.add(b.iota((block,), 0, "int32"), b.broadcast(start, (block,)))
        return mean, variance, index, b.tanh(x)

    gives = (("moments", 0), ("moments", 0), ("rows", 0), ("rows", 0))
    fn = _region((5,), 0, "float32", gives, body, 3)
    fn = run_passes(fn, [p for p in llvm_pipeline() if p.name == "decompose"], check=True)
    _check(Fuse().run(fn))


@pytest.mark.parametrize("dim", [0, 1, 2])
def test_rows_of_any_dim(dim: int) -> None:
    """Rows that do not lie side by side are copied to and from the memory of a thread."""

    def body(b: Builder, start: Value, x: Value) -> tuple[Value, ...]:
        perm = tuple(range(x.type.rank))[::-1]
        return x, b.transpose(x, perm), b.tanh(x), b.reduce(x, "sum", (dim,))

    gives = (("rows", dim), ("rows", 2 - dim), ("rows", dim), ("sum", 0))
    _check(_region((3, 4), dim, "float32", gives, body))


def test_a_region_of_rows_alone() -> None:
    _check(_region((6,), 0, "float32", (("rows", 0),), lambda b, s, x: (b.exponential(x),)))
