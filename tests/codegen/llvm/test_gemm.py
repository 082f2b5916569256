"""Matrix products of odd sizes, strides, dtypes and splits against numpy in float64."""

import itertools
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from kgraph.codegen.llvm.emit import PTR, Module, View
from kgraph.codegen.llvm.gemm import GemmSpec, emit_gemm, emit_pack_b
from kgraph.codegen.llvm.gemm_spec import direct_a
from kgraph.codegen.llvm.target import SKYLAKE512
from tests.codegen.llvm.native import Loaded, targets

all_targets = pytest.mark.parametrize("target", targets(), ids=lambda item: item.name)


def numpy_dtype(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def strides(array: np.ndarray) -> tuple[int, ...]:
    return tuple(step // array.itemsize for step in array.strides)


def random_matrix(rows: int, columns: int, dtype: str, turned: bool, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    shape = (columns, rows) if turned else (rows, columns)
    kind = numpy_dtype(dtype)
    if kind.kind in "iub":
        values = random.integers(0, 2 if dtype == "bool" else 100, shape)
    else:
        values = random.standard_normal(shape)
    return values.astype(kind).T if turned else values.astype(kind)


def run(target, spec: GemmSpec, a, b, c, parts: int = 2, extra=(), packed=None) -> None:
    """Calls a product over `parts` ranges, with every size and stride that is an argument."""
    (m, k), n = a.shape, b.shape[1]
    module = Module(target)
    emit_gemm(module, "product", spec)
    loaded = Loaded(module)
    scratch = np.full(spec.scratch_bytes(target, m, n, k), 0xFF, np.uint8)
    given = (spec.m, spec.n, spec.k, *spec.a_strides, *spec.b_strides, *spec.c_strides)
    actual = (m, n, k, *strides(a), *strides(b), *strides(c))
    sizes = [value for known, value in zip(given, actual, strict=True) if known is None]
    counts = [spec.units(target, m, n)]
    if spec.split == "both":
        counts.append(replace(spec, split="columns").units(target, m, n))
    cuts = [[count * i // parts for i in range(parts + 1)] for count in counts]
    operand = b if packed is None else packed
    for ranges in itertools.product(*map(itertools.pairwise, cuts)):
        loaded("product", a, operand, c, scratch, *itertools.chain(*ranges), *sizes, *extra)


def close(found: np.ndarray, expected: np.ndarray, a: np.ndarray, b: np.ndarray) -> bool:
    """Within the rounding of sums of this length."""
    if found.dtype.kind in "iub":
        return np.array_equal(found, expected)
    unit = {2: 2**-7, 4: 2**-21, 8: 2**-50}[found.dtype.itemsize]
    size = np.abs(a.astype(np.float64)) @ np.abs(b.astype(np.float64)) + 1
    return bool((np.abs(found.astype(np.float64) - expected) <= unit * size).all())


SIZES = [(1, 1, 1), (1, 70, 33), (2, 17, 9), (3, 130, 40), (7, 5, 3), (8, 32, 16), (13, 33, 50),
         (37, 10, 129), (64, 48, 31), (30, 100, 0), (45, 65, 8)]  # fmt: skip


@all_targets
@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("turned", ["", "a", "b", "ab"])
def test_float32(target, known, turned):
    for m, n, k in SIZES:
        a = random_matrix(m, k, "float32", "a" in turned, 1)
        b = random_matrix(k, n, "float32", "b" in turned, 2)
        c = np.full((m, n), np.nan, np.float32)
        spec = GemmSpec(
            *((m, n, k) if known else (None, None, None)),
            a_strides=strides(a) if known else (None, None),
            b_strides=strides(b) if known else (None, None if turned else 1),
            c_strides=(n, 1) if known else (None, 1),
            split="rows" if turned == "a" else "columns",
        )
        run(target, spec, a, b, c)
        assert close(c, a.astype(np.float64) @ b, a, b), (m, n, k)


@all_targets
def test_a_symbolic_batch_against_constant_weights(target):
    for m in (1, 2, 5, 16, 67):
        a, b = random_matrix(m, 50, "float32", False, 1), random_matrix(50, 40, "float32", False, 2)
        c = np.zeros((m, 40), np.float32)
        spec = GemmSpec(None, 40, 50, a_strides=(50, 1), b_strides=(40, 1), c_strides=(40, 1))
        run(target, spec, a, b, c)
        assert close(c, a.astype(np.float64) @ b, a, b)


@all_targets
@pytest.mark.parametrize("k", [200, 300])
def test_columns_of_a_that_are_pages_apart(target, k):
    """A few hundred steps are read where they lie, more are packed."""
    a = random_matrix(k, 1024, "float32", False, 1).T[:40]
    b = random_matrix(k, 33, "float32", False, 2)
    c = np.zeros((40, 33), np.float32)
    spec = GemmSpec(40, 33, k, a_strides=strides(a), b_strides=(33, 1), c_strides=(33, 1))
    assert direct_a(spec, target) == (k == 200)
    run(target, spec, a, b, c)
    assert close(c, a.astype(np.float64) @ b, a, b)


@all_targets
@pytest.mark.parametrize(("step", "long"), [(1023, False), (1024, False), (1023, True)])
def test_a_sum_over_a_symbolic_batch(target, step, long):
    """Of columns of A: steps of 4 KB and many steps are packed, others read where they lie."""
    a = random_matrix(600, step, "float32", False, 1).T[:40]
    b = random_matrix(600, 33, "float32", False, 2)
    c = np.zeros((40, 33), np.float32)
    spec = GemmSpec(
        40, 33, None, long=long, a_strides=strides(a), b_strides=(33, 1), c_strides=(33, 1)
    )
    assert direct_a(spec, target) == (step == 1023 and not long)
    run(target, spec, a, b, c)
    assert close(c, a.astype(np.float64) @ b, a, b)


@all_targets
@pytest.mark.parametrize(
    "dtype", ["float64", "float16", "bfloat16", "int8", "int32", "uint16", "int64", "bool"]
)
def test_dtypes(target, dtype):
    for turned in (False, True):
        a = random_matrix(19, 21, dtype, turned, 1)
        b = random_matrix(21, 35, dtype, turned, 2)
        c = np.zeros((19, 35), numpy_dtype(dtype))
        spec = GemmSpec(19, 35, 21, dtype, a_strides=strides(a), b_strides=strides(b),
                        c_strides=(35, 1))  # fmt: skip
        run(target, spec, a, b, c)
        if dtype == "bool":
            expected = a.astype(np.int64) @ b.astype(np.int64) != 0
        elif c.dtype.kind in "iu":
            expected = (a.astype(np.int64) @ b.astype(np.int64)).astype(dtype)
        else:
            expected = a.astype(np.float64) @ b.astype(np.float64)
        assert close(c, expected, a, b)


@all_targets
@pytest.mark.parametrize("known", [True, False])
def test_long_sums_are_chunked(target, known):
    a, b = random_matrix(9, 9001, "float32", True, 1), random_matrix(9001, 20, "float32", False, 2)
    c = random_matrix(9, 20, "float32", False, 3)
    spec = GemmSpec(9, 20, 9001 if known else None, a_strides=(1, 9), b_strides=(20, 1),
                    c_strides=(20, 1), accumulate=True)  # fmt: skip
    expected = c + a.astype(np.float64) @ b
    run(target, spec, a, b, c)
    assert close(c, expected, a, b)


@all_targets
@pytest.mark.parametrize("k", [3, 1300, None])
@pytest.mark.parametrize("columns", [64, 70])
def test_sums_go_on_where_they_are_not_fresh(target, columns, k):
    """What C holds first is never read."""
    depth = k or 1100
    a, b = (random_matrix(depth, n, "float32", False, n) for n in (19, columns))
    c = np.full((19, columns), np.nan, "float32")
    spec = GemmSpec(19, None, k, a_strides=(1, 19), b_strides=(columns, 1),
                    c_strides=(columns, 1), continued=True)  # fmt: skip
    for fresh, times in ((1, 1), (0, 2)):
        run(target, spec, a.T, b, c, extra=(fresh,))
        assert close(c, times * a.T.astype(np.float64) @ b, a.T, b)


@all_targets
@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("k", [30, None])
def test_hooks(target, inline, k):
    """C[m, n] = max(0, sum (2 a)(b + n) + bias[n]) * row, float64 from float32 kernels' sums."""

    def epilogue(f, row, column, value, mask):
        bias = f.load(View(f.parameter("bias"), "float32", (1,)), [column], value.lanes, mask=mask)
        value = f.fmax(f.add(value, bias), 0.0)
        scaled = f.mul(value, f.convert(row, "int64", "float32"))
        return f.convert(scaled, "float32", "float64" if k else "float32")

    def double(f, row, step, value, along_k):
        return f.mul(value, 2.0)

    def shift(f, column, step, value, along_k):
        number = f.convert(column, "int64", "float32")
        if value.lanes and not along_k:
            lanes = f.lane_numbers(value.type.with_element("i32"))
            number = f.add(f.convert(lanes, "int32", "float32"), number)
        return f.add(value, number)

    for turned in (False, True):
        a = random_matrix(21, 30, "float32", turned, 1)
        b = random_matrix(30, 45, "float32", turned, 2)
        bias = random_matrix(1, 45, "float32", False, 3)
        c = np.zeros((21, 45), np.float64 if k else np.float32)
        spec = GemmSpec(
            21, 45, k, "float32", "float64" if k else "float32",
            a_strides=strides(a), b_strides=strides(b), c_strides=(45, 1),
            epilogue=epilogue, inline_epilogue=inline, prologue_a=double, prologue_b=shift,
            extra=(("bias", PTR),),
        )  # fmt: skip
        run(target, spec, a, b, c, extra=(bias,))
        shifted = b.astype(np.float64) + np.arange(45)
        expected = np.maximum(2 * a.astype(np.float64) @ shifted + bias, 0) * np.arange(21)[:, None]
        assert np.allclose(c, expected, rtol=1e-4, atol=1e-2)


@all_targets
@pytest.mark.parametrize("k", [30, 5000])
def test_a_long_epilogue_gets_two_registers(target, k):
    """Of whole tiles; sums between chunks of k as well."""
    seen = set()

    def epilogue(f, row, column, value, mask):
        seen.add(value.lanes)
        bias = f.load(View(f.parameter("bias"), "float32", (1,)), [column], value.lanes, mask=mask)
        return f.mul(f.add(value, bias), f.convert(row, "int64", "float32"))

    columns = 4 * target.lanes(4)
    a, b = random_matrix(21, k, "float32", False, 1), random_matrix(k, columns, "float32", False, 2)
    bias = random_matrix(1, columns, "float32", False, 3)
    c = np.zeros((21, columns), np.float32)
    spec = GemmSpec(21, columns, k, a_strides=strides(a), b_strides=strides(b),
                    c_strides=strides(c), epilogue=epilogue, long_epilogue=True,
                    extra=(("bias", PTR),))  # fmt: skip
    run(target, spec, a, b, c, extra=(bias,))
    expected = (a.astype(np.float64) @ b + bias) * np.arange(21)[:, None]
    assert np.allclose(c, expected, rtol=1e-4, atol=1e-2)
    assert seen == {2 * target.lanes(4)}


@all_targets
def test_packed_panels(target):
    for turned in (False, True):
        a, b = (
            random_matrix(40, 70, "float32", False, 1),
            random_matrix(70, 90, "float32", turned, 2),
        )
        c = np.zeros((40, 90), np.float32)
        plain = GemmSpec(None, 90, 70, a_strides=(70, 1), b_strides=strides(b), c_strides=(90, 1))
        module = Module(target)
        emit_pack_b(module, "pack", plain)
        packed = np.full(plain.packed_bytes(target, 90, 70), 0xFF, np.uint8)
        panels = plain.units(target, 40, 90)
        loaded = Loaded(module)
        for panel in range(panels):
            loaded("pack", b, packed, panel, panel + 1)
        for split in ("rows", "columns", "both"):
            c[:] = np.nan
            spec = GemmSpec(None, 90, 70, a_strides=(70, 1), b_strides=strides(b),
                            c_strides=(90, 1), packed_b=True, split=split)  # fmt: skip
            run(target, spec, a, b, c, packed=packed, parts=3)
            assert close(c, a.astype(np.float64) @ b, a, b)


@all_targets
def test_c_of_any_stride(target):
    a, b = random_matrix(20, 6, "float32", False, 1), random_matrix(6, 33, "float32", False, 2)
    c = np.zeros((33, 40), np.float32)
    view = c.T[::2]
    spec = GemmSpec(20, 33, 6, a_strides=(6, 1), b_strides=(33, 1), c_strides=strides(view))
    run(target, spec, a, b, view)
    assert close(view, a.astype(np.float64) @ b, a, b)
    assert not c.T[1::2].any()


def test_nothing_beyond_the_arrays_is_touched():
    """Guard bytes around C keep their values, with the widest vectors and partial tiles."""
    target = targets()[0]
    for m, n, k in ((1, 5, 4), (5, 37, 7), (9, 33, 3)):
        a, b = random_matrix(m, k, "float32", False, 1), random_matrix(k, n, "float32", False, 2)
        guarded = np.full(m * n + 64, 7, np.float32)
        c = guarded[32 : 32 + m * n].reshape(m, n)
        spec = GemmSpec(m, n, k, a_strides=(k, 1), b_strides=(n, 1), c_strides=(n, 1))
        run(target, spec, a, b, c, parts=1)
        assert (guarded[:32] == 7).all()
        assert (guarded[32 + m * n :] == 7).all()


def test_one_row_does_not_wait_for_its_sums():
    """Its two vectors of sums are made in four parts each, as many as a turn has steps of k."""
    spec = GemmSpec(None, 64, 96, a_strides=(96, 1), c_strides=(64, 1), packed_b=True)
    module = Module(SKYLAKE512)
    emit_gemm(module, "product", spec)
    bodies = module.text().split("define ")
    (single,) = (body for body in bodies if "@product.tile1x32(" in body.splitlines()[0])
    assert single.count("phi <16 x float>") == 8
    (whole,) = (body for body in bodies if "@product.tile8x32(" in body.splitlines()[0])
    assert whole.count("phi <16 x float>") == 16


@all_targets
def test_blocks_that_are_turned_over_are_written_once(target):
    """A panel of two vectors has more blocks than one of a vector, and a loop over them."""
    lengths = []
    for n in (target.lanes(4), 64):
        module = Module(target)
        emit_pack_b(module, "pack", GemmSpec(8, n, 64, b_strides=(1, 64)))
        lengths.append(module.text().count("\n"))
    assert lengths[1] < lengths[0] + 40
