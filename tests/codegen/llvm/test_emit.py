"""The builder: text, control flow, memory, and what it promises about numbers."""

import ctypes

import ml_dtypes
import numpy as np
import pytest

from kgraph.codegen.llvm.assemble import AssemblyError, compile_object
from kgraph.codegen.llvm.emit import (
    DOUBLE,
    FLOAT,
    I32,
    I64,
    PTR,
    Function,
    Module,
    Operand,
    View,
    constant,
)
from kgraph.codegen.llvm.target import HASWELL, detect
from tests.codegen.llvm.native import Loaded, aligned, targets

DTYPES = (
    "bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 bfloat16 float32 float64"
).split()

all_targets = pytest.mark.parametrize("target", targets(), ids=lambda item: item.name)


def numpy_dtype(name: str) -> np.dtype:
    return np.dtype(ml_dtypes.bfloat16 if name == "bfloat16" else name)


def test_text():
    module = Module(HASWELL)
    with module.function("sum", [("n", I64), ("x", PTR), ("y", PTR)], noalias=True) as f:
        n, x, y = f.parameters
        view = View(x, "float32", (f.mul(2, 8), 1))
        with f.carried_loop(0, n, [constant(0.1, FLOAT)]) as loop:
            value = f.load(view, [loop.index, 3])
            again = f.load(view, [loop.index, 3])
            loop.next(f.fma(value, again, loop.values[0]))
        with f.when(f.compare("GT", n, 0)):
            f.store_at(y, "float32", loop.results[0])
    assert module.text() == (
        'target datalayout = "e-m:e-p270:32:32-p271:32:32-p272:64:64-i64:64-i128:128-f80:128-'
        'n8:16:32:64-S128"\n'
        'target triple = "x86_64-unknown-linux-gnu"\n'
        """
declare float @llvm.fma.f32(float, float, float)


define void @sum(i64 %n, ptr noalias %x, ptr noalias %y) #0 {
entry:
  %is = icmp slt i64 0, %n
  br i1 %is, label %loop.i, label %done.i
loop.i:
  %i = phi i64 [ 0, %entry ], [ %i.next, %loop.i ]
  %acc = phi float [ 0x3FB99999A0000000, %entry ], [ %v.3, %loop.i ]
  %v = mul i64 %i, 16
  %p = getelementptr float, ptr %x, i64 %v
  %p.1 = getelementptr float, ptr %p, i64 3
  %v.1 = load float, ptr %p.1, align 4
  %v.2 = load float, ptr %p.1, align 4
  %v.3 = call float @llvm.fma.f32(float %v.1, float %v.2, float %acc)
  %i.next = add nsw i64 %i, 1
  %is.1 = icmp slt i64 %i.next, %n
  br i1 %is.1, label %loop.i, label %done.i, !llvm.loop !0
done.i:
  %v.4 = phi float [ 0x3FB99999A0000000, %entry ], [ %v.3, %loop.i ]
  %is.2 = icmp sgt i64 %n, 0
  br i1 %is.2, label %then, label %join
then:
  store float %v.4, ptr %y, align 4
  br label %join
join:
  ret void
}

attributes #0 = { nounwind "prefer-vector-width"="256" "min-legal-vector-width"="256" }
attributes #1 = { nounwind noinline optnone "prefer-vector-width"="256" \
"min-legal-vector-width"="256" }
!0 = distinct !{!0, !1, !2}
!1 = !{!"llvm.loop.unroll.disable"}
!2 = !{!"llvm.loop.vectorize.enable", i1 false}
"""
    )


def test_equal_private_functions_are_written_once():
    module = Module(HASWELL)
    module.private |= {"second", "caller"}
    for name, factor in (("first", 3), ("second", 3), ("third", 5), ("fourth", 3)):
        with module.function(name, [("n", I64)], I64, internal=name != "fourth") as f:
            f.ret(f.mul(f.parameter("n"), factor))
    for name in ("caller", "other"):
        with module.function(name, [("n", I64)], I64, cold=name == "other") as f:
            f.ret(f.call("second" if name == "other" else "first", f.parameters))
    text = module.text()
    assert "@second" not in text
    assert "define internal i64 @third" in text
    assert "define i64 @fourth" in text
    assert text.count("call i64 @first") == 2
    assert "define internal i64 @caller(i64 %n) #0" in text
    assert "define i64 @other(i64 %n) #1" in text


def test_a_refused_text_names_line_and_function():
    module = Module(HASWELL)
    with module.function("broken", [("n", I64)]) as f:
        f.statement("store i64 %n, ptr %nowhere")
    with pytest.raises(AssemblyError, match=r"undefined value '%nowhere'\n.*\n") as caught:
        compile_object(module.text(), HASWELL)
    assert "define void @broken(i64 %n)" in str(caught.value)
    assert "> " in str(caught.value)


def test_mixed_types_are_refused():
    module = Module(HASWELL)
    with module.function("f", [("a", I32), ("b", I64)]) as f, pytest.raises(TypeError, match="one"):
        f.add(f.parameters[0], f.parameters[1])


def test_only_allowed_symbols():
    module = Module(HASWELL)
    with module.function("f", []) as f, pytest.raises(ValueError, match="'system'"):
        f.call_symbol("system", I32, [])


@all_targets
def test_control_flow(target):
    module = Module(target)
    parameters = [("n", I64), ("a", PTR), ("b", PTR)]
    with module.function("collatz", parameters) as f:
        n, steps, peak = f.parameters
        with f.while_loop([n, constant(0, I64), n]) as loop:
            value, count, highest = loop.values
            loop.test(f.compare("NE", value, 1))
            choice = f.choose(f.compare("EQ", f.and_(value, 1), 0))
            with choice.then():
                choice.give(f.lshr(value, 1))
            with choice.otherwise():
                choice.give(f.add(f.mul(value, 3), 1))
            (following,) = choice.results
            loop.next(following, f.add(count, 1), f.smax(highest, following))
        f.store_at(steps, "int64", loop.results[1])
        f.store_at(peak, "int64", loop.results[2])
    with module.function("nested", parameters) as f:
        n, out, _ = f.parameters
        with f.carried_loop(0, n, [constant(0, I64)], step=3) as outer:
            with f.carried_loop(outer.index, n, [outer.values[0]], name="j") as inner:
                inner.next(f.add(inner.values[0], inner.index))
            outer.next(inner.results[0])
        f.store_at(out, "int64", outer.results[0])
    loaded = Loaded(module)
    steps, peak = np.zeros(1, np.int64), np.zeros(1, np.int64)
    loaded("collatz", 27, steps, peak)
    assert (steps[0], peak[0]) == (111, 9232)
    for n in (0, 1, 10):
        loaded("nested", n, steps, peak)
        assert steps[0] == sum(j for i in range(0, n, 3) for j in range(i, n))


def cast_module(target, source: str, result: str, lanes: int) -> Module:
    module = Module(target)
    with module.function("cast", [("n", I64), ("x", PTR), ("y", PTR)]) as f:
        n, x, y = f.parameters
        source_view, result_view = View(x, source, (1,)), View(y, result, (1,))

        def body(i: Operand, mask: Operand | None) -> None:
            value = f.load(source_view, [i], lanes, mask=mask)
            f.store(result_view, [i], f.convert(value, source, result), mask=mask)

        f.strips(n, lanes, body)
    return module


def cast_inputs(source: str) -> np.ndarray:
    random = np.random.default_rng(5)
    kind = numpy_dtype(source)
    if source == "bool":
        return np.array([False, True] * 9 + [True])
    if kind.kind in "iu":
        info = np.iinfo(kind)
        edges = [0, 1, info.max, info.min, info.max // 2, 2049 % info.max, 100]
        values = random.integers(info.min, info.max, 100, kind, endpoint=True)
        return np.concatenate([np.array(edges, kind), values >> (np.arange(100) % 3).astype(kind)])
    with np.errstate(over="ignore"):
        edges = np.array(
            [0.0, -0.0, 0.5, -0.7, 1, -1, 3.99, 255.5, -129, 65504, 65519.9, 65520, 1e9, -3e9,
             2.0**31, 2.0**32, -(2.0**63), 2.0**63, 2.0**64, 2.0**31 - 128, 127.9, 128, 1e19, 2e19,
             -1e19, 6e-8, 2.9e-8, 2.98e-8, 3.1e-5, 6.1e-5, 1e-40, np.inf, -np.inf, np.nan,
             1 + 2**-11, 1 + 2**-11 + 2**-30, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 3 * 2**-8]
        ).astype(kind)  # fmt: skip
        bits = random.integers(0, 2**62, 300).astype(np.float64)
        return np.concatenate(
            [edges, (bits * 2.0 ** (random.integers(-80, -46, 300))).astype(kind)]
        )


def cast_reference(x: np.ndarray, result: str) -> np.ndarray:
    kind = numpy_dtype(result)
    if x.dtype.kind not in "iub" and kind.kind in "iu":
        info = np.iinfo(kind)
        wide = x.astype(np.float64)
        inside = (wide > float(info.min) - 1) & (wide < float(info.max) + (kind.itemsize < 8))
        whole = np.trunc(np.where(inside, wide, 0)).astype(kind)
        high, low = kind.type(info.max), kind.type(info.min)
        return np.where(
            np.isnan(wide), kind.type(0), np.where(inside, whole, np.where(wide > 0, high, low))
        )
    with np.errstate(over="ignore", invalid="ignore"):
        return x.astype(kind)


@all_targets
@pytest.mark.parametrize("source", DTYPES)
def test_conversions(target, source):
    lanes = target.lanes(4)
    x = cast_inputs(source)
    for result in DTYPES:
        y = np.zeros(len(x), numpy_dtype(result))
        Loaded(cast_module(target, source, result, lanes))("cast", len(x), x, y)
        expected = cast_reference(x, result)
        nan = expected != expected
        assert np.array_equal(y != y, nan), (source, result)
        wrong = y.view(np.uint8).reshape(len(x), -1) != expected.view(np.uint8).reshape(len(x), -1)
        wrong = wrong.any(axis=1) & ~nan
        assert not wrong.any(), (source, result, x[wrong], y[wrong], expected[wrong])


@all_targets
def test_every_float16_widens_exactly(target):
    x = np.arange(65536, dtype=np.uint16)
    for source in ("float16", "bfloat16"):
        y = np.zeros(len(x), np.float32)
        Loaded(cast_module(target, source, "float32", 8))("cast", len(x), x, y)
        expected = x.view(numpy_dtype(source)).astype(np.float32)
        assert np.array_equal(y, expected, equal_nan=True)
        assert np.array_equal(np.signbit(y), np.signbit(expected))


@all_targets
def test_views_of_any_stride(target):
    module = Module(target)
    with module.function("copy", [("n", I64), ("s", I64), ("x", PTR), ("y", PTR)]) as f:
        n, stride, x, y = f.parameters

        def body(i: Operand, mask: Operand | None) -> None:
            value = f.load(View(x, "int16", (1, stride)), [2, i], 8, mask=mask)
            f.store(View(y, "int16", (stride,)), [i], value, mask=mask)

        f.strips(n, 8, body)
    loaded = Loaded(module)
    for n, stride in ((19, 3), (16, -2), (5, 1), (0, 1), (9, 0)):
        x = np.arange(200, dtype=np.int16)
        y = np.zeros(200, np.int16)
        loaded("copy", n, stride, x[100:], y[100:])
        expected = np.zeros(200, np.int16)
        for i in range(n):
            expected[100 + i * stride] = x[102 + i * stride]
        assert np.array_equal(y, expected), (n, stride)


@all_targets
@pytest.mark.parametrize("lanes", [0, 3, 8])
def test_float_extremes_hand_nan_on(target, lanes):
    module = Module(target)
    with module.function("extremes", [("x", PTR), ("y", PTR), ("out", PTR)]) as f:
        x, y, out = f.parameters
        a, b = f.load_at(x, "float32", lanes), f.load_at(y, "float32", lanes)
        nan = constant(float("nan"), a.type)
        results = [f.fmin(a, b), f.fmax(a, b), f.fmin(a, 1.0), f.fmax(constant(1.0, a.type), a),
                   f.fmax(a, nan), f.fmin(nan, b)]  # fmt: skip
        for k, value in enumerate(results):
            f.store_at(f.offset(out, k * max(1, lanes), "float32"), "float32", value)
    loaded = Loaded(module)
    values = [0.5, 2.0, np.nan, np.inf, -np.inf]
    for a in values:
        for b in values:
            x, y = (np.full(max(1, lanes), item, np.float32) for item in (a, b))
            out = np.zeros((6, max(1, lanes)), np.float32)
            loaded("extremes", x, y, out)
            expected = [np.minimum(a, b), np.maximum(a, b), np.minimum(a, 1), np.maximum(1, a),
                        np.nan, np.nan]  # fmt: skip
            assert np.array_equal(out[:, 0], np.float32(expected), equal_nan=True), (a, b)
            assert np.array_equal(out[:, 0], out[:, -1], equal_nan=True)


@all_targets
@pytest.mark.parametrize("lanes", [0, 1, 5, 16])
def test_lanes_reduce(target, lanes):
    module = Module(target)
    with module.function("total", [("x", PTR)], returns=DOUBLE) as f:
        f.ret(f.reduce_lanes(f.load_at(f.parameters[0], "float64", lanes), f.add))
    x = np.arange(1, 1 + max(1, lanes), dtype=np.float64)
    loaded = Loaded(module)
    total = loaded.pointer("total", ctypes.c_void_p, returns=ctypes.c_double)
    assert total(x.ctypes.data) == x.sum()


def test_calls_stack_memory_and_unaligned_arrays():
    target = targets()[0]
    module = Module(target)
    with module.function("square", [("x", FLOAT)], FLOAT, internal=True) as f:
        f.ret(f.mul(f.parameters[0], f.parameters[0]))

    def squares(f: Function) -> None:
        n, x = f.parameters
        stack = f.alloca(FLOAT, 32)
        f.fill_bytes(stack, 0, 128)
        with f.loop(0, n) as i:
            value = f.load_at(f.offset(x, i, "float32"), "float32")
            f.store_at(f.offset(stack, i, "float32"), "float32", f.call("square", [value]))
        f.copy_bytes(x, stack, f.mul(n, 4))

    with module.function("squares", [("n", I64), ("x", PTR)]) as f:
        squares(f)
    x = aligned(10, offset=4)
    x[:] = np.arange(10)
    Loaded(module)("squares", 7, x)
    assert x.tolist() == [0, 1, 4, 9, 16, 25, 36, 7, 8, 9]


def cpuinfo(vendor: str, family: int, model: int, flags: str) -> str:
    return f"vendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t: {model}\nflags\t: {flags}\n\n"


AVX2_FLAGS = "pni ssse3 sse4_1 sse4_2 popcnt avx avx2 fma f16c bmi1 bmi2 abm movbe"
AVX512_FLAGS = AVX2_FLAGS + " avx512f avx512bw avx512cd avx512dq avx512vl"


@pytest.mark.parametrize(
    ("text", "wanted", "name", "cpu"),
    [
        (cpuinfo("AuthenticAMD", 25, 17, AVX512_FLAGS), "", "avx512", "znver4"),
        (cpuinfo("AuthenticAMD", 25, 17, AVX512_FLAGS), "avx2", "avx2", "znver2"),
        (cpuinfo("AuthenticAMD", 25, 17, AVX512_FLAGS), "generic", "generic", "x86-64"),
        (cpuinfo("AuthenticAMD", 23, 1, AVX2_FLAGS), "", "avx2", "znver1"),
        (cpuinfo("GenuineIntel", 6, 85, AVX512_FLAGS), "", "avx512", "skylake-avx512"),
        (cpuinfo("Unknown", 6, 1, AVX2_FLAGS), "", "avx2", "x86-64-v3"),
        (cpuinfo("GenuineIntel", 6, 23, "pni ssse3"), "", "generic", "x86-64"),
        ("", "", "generic", "x86-64"),
    ],
)
def test_detection(text, wanted, name, cpu):
    found = detect(text, "x86_64", wanted)
    assert (found.name, found.cpu) == (name, cpu)
    assert ("+avx512f" in found.features) == (name == "avx512")


def test_a_target_beyond_the_cpu_is_refused():
    text = cpuinfo("AuthenticAMD", 23, 1, AVX2_FLAGS)
    with pytest.raises(ValueError, match="only avx2"):
        detect(text, "x86_64", "avx512")
    with pytest.raises(ValueError, match="expected one of avx512, avx2, generic; got 'sse'"):
        detect(text, "x86_64", "sse")
