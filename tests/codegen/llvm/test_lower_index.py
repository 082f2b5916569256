"""Gather, scatter, sorting, dynamic slices and windows as native code, at sizes of many tiles.

`test_lower_cases.py` has every case of the op table; here are places out of bounds, duplicates,
several tiles and threads, memory that is written in place.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from kgraph.ir import Array, Builder, Function, Value, evaluate, numpy_dtype, sizes_of
from kgraph.runtime import set_threads
from tests.codegen.llvm.lowered import native, run
from tests.ops.row import read_types

SYMBOLS = {"batch": 37}
Build = Callable[..., "Value | tuple[Value, ...]"]


def _function(build: Build, types: str, dtype: str = "float32") -> Function:
    b = Builder()
    params = [b.param(f"x{i}", t) for i, t in enumerate(read_types(types, dtype))]
    results = build(b, *params)
    return b.function(*(results if isinstance(results, tuple) else (results,)))


def _arrays(fn: Function, low: int = -9, high: int = 60) -> list[Array]:
    """Integers from `low` to `high`, floats with NaN, infinities and signed zeros among them."""
    random = np.random.default_rng(3)
    found: list[Array] = []
    for p in fn.params:
        shape = [n if isinstance(n, int) else SYMBOLS[str(n)] for n in p.shape]
        if "float" in p.dtype:
            values = np.asarray(random.integers(-8, 8, shape) / 4.0)
            odd = np.array([np.nan, np.inf, -0.0, 0.0, -1.0])
            where = random.random(shape) < 0.02
            values = np.where(where, odd[random.integers(0, len(odd), shape)], values)
        else:
            values = random.integers(0 if p.dtype[0] == "u" else low, high, shape)
        found.append(np.asarray(values).astype(numpy_dtype(p.dtype)))
    return found


def _plain(a: Array) -> Array:
    """With NaN that numpy knows as equal to itself."""
    return a.astype("f4") if a.dtype == numpy_dtype("bfloat16") else a


def _check(fn: Function, arrays: Sequence[Array] | None = None) -> None:
    """What the interpreter gives, up to the sign of zeros; the same bits for all thread counts."""
    arrays = _arrays(fn) if arrays is None else arrays
    runner = native(fn)
    with np.errstate(all="ignore"):
        want = evaluate(fn, arrays)
    found = []
    try:
        for threads in (1, 2, 3):
            set_threads(threads)
            found.append(run(runner, fn, arrays))
    finally:
        set_threads(None)
    for got, expected in zip(found[0], want, strict=True):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(_plain(got), _plain(expected))
    for other in found[1:]:
        assert [a.tobytes() for a in other] == [a.tobytes() for a in found[0]]


def _take_rows(b: Builder, x: Value, at: Value) -> Value:
    found: Value = b.gather(x, at, (at.type.rank,), (0,), (0,), at.type.rank, (1, x.shape[1]))
    return found


@pytest.mark.parametrize("index", ["i8", "i32", "i64", "u8", "u32", "u64"])
def test_rows_of_a_table(index: str) -> None:
    """Starts are clamped: some are out of bounds on both sides."""
    _check(_function(_take_rows, f"f32[50,130] {index}[batch,7]"))


@pytest.mark.parametrize("dtype", ["float32", "float16", "bool", "int8", "float64"])
@pytest.mark.parametrize("width", ["1", "3", "64"])
def test_rows_of_every_width(dtype: str, width: str) -> None:
    _check(_function(_take_rows, f"T[50,{width}] i32[batch,33]", dtype))


def test_an_unsigned_start_of_all_bits_is_clamped() -> None:
    fn = _function(_take_rows, "f32[5,3] u64[4]")
    table = np.arange(15, dtype="f4").reshape(5, 3)
    _check(fn, [table, np.array([0, 2**64 - 1, 2**63, 3], np.uint64)])


def test_windows_of_a_gather_and_elements_by_two_coordinates() -> None:
    def windows(b: Builder, x: Value, at: Value) -> Value:
        found: Value = b.gather(x, at, (0, 2, 3), (), (2, 0), 0, (2, 7, 3))
        return found

    _check(_function(windows, "f32[9,7,40] i32[2,batch]"))

    def elements(b: Builder, x: Value, at: Value) -> Value:
        found: Value = b.gather(x, at, (), (0, 1), (0, 1), 2, (1, 1))
        return found

    _check(_function(elements, "f32[9,40] i64[batch,500,2]"))


def test_one_kernel_does_not_serve_gathers_of_other_tables() -> None:
    def both(b: Builder, x: Value, y: Value, at: Value) -> tuple[Value, ...]:
        return tuple(b.gather(t, at, (), (0,), (0,), 1, (1,)) for t in (x, y))

    _check(_function(both, "f32[5] f32[90] i32[5]"))


def test_reversals_of_several_lengths() -> None:
    def both(b: Builder, x: Value, y: Value) -> tuple[Value, ...]:
        return b.reverse(x, (0,)), b.reverse(y, (0,))

    _check(_function(both, "f32[37] f32[61]"))


def _put_rows(kind: str) -> Build:
    def put(b: Builder, x: Value, at: Value, u: Value) -> Value:
        found: Value = b.scatter(x, at, u, kind, (at.type.rank,), (0,), (0,), at.type.rank)
        return found

    return put


@pytest.mark.parametrize("kind", ["add", "set", "max", "min", "multiply"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "uint8", "int64"])
def test_rows_into_a_table(kind: str, dtype: str) -> None:
    """Many duplicates, and places on both sides out of bounds."""
    _check(_function(_put_rows(kind), "T[50,300] i32[batch,7] T[batch,7,300]", dtype))


@pytest.mark.parametrize("kind", ["add", "set", "max"])
def test_scatter_without_a_dim_to_share(kind: str) -> None:
    def elements(b: Builder, x: Value, at: Value, u: Value) -> Value:
        found: Value = b.scatter(x, at, u, kind, (), (0,), (0,), 1)
        return found

    _check(_function(elements, "f32[50] i32[4000] f32[4000]"))
    _check(_function(elements, "f16[50] u32[400] f16[400]"))

    def windows(b: Builder, x: Value, at: Value, u: Value) -> Value:
        found: Value = b.scatter(x, at, u, kind, (0, 2), (1,), (2, 1), 1)
        return found

    # The first dim of x is shared out; windows begin anywhere in the others.
    _check(_function(windows, "f32[33,20,50] i32[batch,2] f32[33,batch,4]"))


def test_a_scatter_of_one_window_into_everything() -> None:
    def put(b: Builder, x: Value, at: Value, u: Value) -> Value:
        found: Value = b.scatter(x, at, u, "add", (0, 1), (), (0, 1), 0)
        return found

    for at in ((0, 0), (3, 2), (4, 0), (-1, 1), (1, 3)):
        fn = _function(put, "f32[8,9] i32[2] f32[5,7]")
        x, _, u = _arrays(fn)
        _check(fn, [x, np.array(at, "i4"), u])


def test_writes_in_place_where_nothing_else_reads() -> None:
    def chain(b: Builder, x: Value, at: Value, u: Value) -> tuple[Value, ...]:
        y = b.exponential(x)
        kept = b.scatter(y, at, u, "add", (1,), (0,), (0,), 1)
        last = b.scatter(kept, at, u, "set", (1,), (0,), (0,), 1)
        start = b.constant(2, "int32")
        row = b.slice(u, (0, 0), (1, u.shape[1]), (1, 1))
        moved = b.dynamic_update_slice(b.negate(last), row, (start, start))
        return y, b.add(last, moved), kept

    fn = _function(chain, "f32[50,70] i32[batch] f32[batch,70]")
    x, at, u = _arrays(fn)
    got = run(native(fn), fn, [np.zeros_like(x), at, u])
    for a, w in zip(got, evaluate(fn, [np.zeros_like(x), at, u]), strict=True):
        np.testing.assert_array_equal(a, w)


@pytest.mark.parametrize("dtype", ["float32", "bool", "bfloat16"])
@pytest.mark.parametrize("start", ["int32", "uint8", "int64"])
def test_dynamic_slices(dtype: str, start: str) -> None:
    def both(b: Builder, x: Value, u: Value, *at: Value) -> tuple[Value, ...]:
        return b.dynamic_slice(x, at, (3, 30, 5)), b.dynamic_update_slice(x, u, at)

    kind = f"{start[0]}{start.split('int')[1]}"
    types = f"T[batch,90,20] T[batch,30,20] {kind}[] {kind}[] {kind}[]"
    fn = _function(both, types, dtype)
    x, u, *_ = _arrays(fn)
    for at in ((0, 0, 0), (1, 33, 7), (100, 100, 100), (-5, 40, -1)):
        if min(at) < 0 and start[0] == "u":
            continue
        _check(fn, [x, u, *(np.asarray(i, start) for i in at)])


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16", "int8", "uint64"])
@pytest.mark.parametrize("descending", [False, True])
def test_sorting_is_stable_with_many_ties(dtype: str, descending: bool) -> None:
    def both(b: Builder, x: Value, n: Value) -> tuple[Value, ...]:
        found: tuple[Value, ...] = b.sort((x, n), 1, 1, descending)
        return found

    fn = _function(both, "T[batch,1001] i32[batch,1001]", dtype)
    _check(fn)


@pytest.mark.parametrize("length", [1, 63, 64, 65, 3000])
def test_sorting_rows_of_any_length(length: int) -> None:
    """Keys of the whole range, and keys that differ in one byte only."""
    fn = _function(lambda b, x: b.sort((x,), 1, 1, False), f"i32[4,{length}]")
    x = np.random.default_rng(length).integers(-(2**31), 2**31, (4, length)).astype("i4")
    x[1] &= 0xFF00
    x[2] = -7
    _check(fn, [x])


def test_sorting_along_an_outer_dim_by_several_keys() -> None:
    def by_three(b: Builder, *xs: Value) -> tuple[Value, ...]:
        found: tuple[Value, ...] = b.sort(xs, 0, 3, True)
        return found

    _check(_function(by_three, "i32[300,70] T[300,70] bool[300,70] f64[300,70]", "bfloat16"))


def test_sorting_a_symbolic_dim() -> None:
    fn = _function(lambda b, x: b.sort((x,), 0, 1, False), "f32[batch,3]")
    runner = native(fn)
    for size in (0, 1, 2, 3, 64, 65, 1000):
        x = np.random.default_rng(size).standard_normal((size, 3)).astype("f4")
        (got,) = run(runner, fn, [x])
        np.testing.assert_array_equal(got, np.sort(x, axis=0))
        assert sizes_of(fn, [x.shape]) == {"batch": size}


@pytest.mark.parametrize("k", [0, 1, 5, 100])
def test_top_k(k: int) -> None:
    _check(_function(lambda b, x: b.top_k(x, k), "f32[batch,20,100]"))
    _check(_function(lambda b, x: b.top_k(x, k), "u8[batch,100]"))


_NONE = ((0, 0), (0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int16"])
@pytest.mark.parametrize("kind", ["sum", "max"])
def test_large_windows(kind: str, dtype: str) -> None:
    """Of images, channels last and first; windows that move by more and by less than their size."""

    def pool(b: Builder, x: Value) -> tuple[Value, ...]:
        ones = (1, 1, 1, 1)
        padding = ((0, 0), (3, 2), (-1, 4), (0, 0))
        last = b.reduce_window(x, kind, (1, 7, 5, 1), (1, 2, 3, 1), padding, ones, ones)
        first = b.reduce_window(
            x,
            kind,
            (1, 1, 4, 9),
            (1, 1, 1, 2),
            ((0, 0), (0, 0), (2, 2), (4, 4)),
            ones,
            (1, 1, 3, 2),
        )
        holes = b.reduce_window(
            x,
            kind,
            (1, 2, 2, 3),
            (1, 1, 1, 1),
            ((0, 0), (1, 1), (0, 0), (2, -1)),
            (1, 3, 1, 2),
            ones,
        )
        return last, first, holes

    fn = _function(pool, "T[batch,13,12,33]", dtype)
    arrays = [np.where(np.isfinite(a), a, 1).astype(a.dtype) for a in _arrays(fn, -50, 50)]
    _check(fn, arrays)


def test_long_sums_of_16_bits() -> None:
    """4000 ones in bfloat16 are 4000, not the 256 at which ones stop to count."""
    fn = _function(
        lambda b, x: b.reduce_window(x, "sum", (4000,), (1,), ((0, 0),), (1,), (1,)), "bf16[4003]"
    )
    (got,) = run(native(fn), fn, [np.ones(4003, numpy_dtype("bfloat16"))])
    np.testing.assert_array_equal(got.astype("f4"), [4000.0] * 4)


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("dtype", ["float32", "float16", "int32"])
def test_gradients_of_large_windows(kind: str, dtype: str) -> None:
    """Overlapping windows with ties and NaN; padding is never taken."""

    def back(b: Builder, x: Value, g: Value, h: Value) -> tuple[Value, ...]:
        padding = ((0, 0), (2, 3), (1, 1), (0, 0))
        last = b.select_and_scatter(x, g, kind, (1, 6, 5, 1), (1, 2, 3, 1), padding)
        padding = ((0, 0), (0, 0), (0, 0), (3, 3))
        first = b.select_and_scatter(x, h, kind, (1, 1, 4, 7), (1, 1, 2, 2), padding)
        return last, first

    fn = _function(back, "T[batch,11,12,9] T[batch,6,4,9] T[batch,11,5,5]", dtype)
    _check(fn)
