"""The elementwise ops: special values, gradients at kinks, and what C leaves undefined."""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
import pytest
from jax import lax

from kgraph.ir import Builder, IRError, TensorType
from tests.ir.ops.oracle import assert_same, gradients_of, jax_gradients_of, run, run_jax

INF, NAN = np.inf, np.nan
SPECIAL = [0.0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 0.3, -7.25, 20, 1e-5, INF, -INF, NAN]
TO_EVEN, AWAY = lax.RoundingMethod.TO_NEAREST_EVEN, lax.RoundingMethod.AWAY_FROM_ZERO
# jax's function, and by how many ulp its own error may show
UNARY: dict[str, tuple[Any, float]] = {
    "abs": (lax.abs, 0), "negate": (lax.neg, 0), "sign": (lax.sign, 0), "sqrt": (lax.sqrt, 0),
    "floor": (lax.floor, 0), "ceil": (lax.ceil, 0), "is_finite": (lax.is_finite, 0),
    "round_nearest_even": (lambda x: lax.round(x, TO_EVEN), 0),
    "round_nearest_afz": (lambda x: lax.round(x, AWAY), 0),
    "rsqrt": (lax.rsqrt, 2), "cbrt": (lax.cbrt, 2), "exponential": (lax.exp, 2),
    "exponential_minus_one": (lax.expm1, 4), "log": (lax.log, 2), "log_plus_one": (lax.log1p, 4),
    "logistic": (lax.logistic, 8), "tanh": (lax.tanh, 8), "tan": (lax.tan, 4), "sine": (lax.sin, 4),
    "cosine": (lax.cos, 4), "asin": (lax.asin, 8), "acos": (lax.acos, 8), "atan": (lax.atan, 4),
    "sinh": (lax.sinh, 20), "cosh": (lax.cosh, 20), "asinh": (lax.asinh, 8),
    "acosh": (lax.acosh, 8),
    "atanh": (lax.atanh, 8), "erf": (lax.erf, 8), "erf_inv": (lax.erf_inv, 8),
}  # fmt: skip
BINARY: dict[str, tuple[Any, float]] = {
    "add": (lax.add, 0), "subtract": (lax.sub, 0), "multiply": (lax.mul, 0), "divide": (lax.div, 0),
    "remainder": (lax.rem, 0), "power": (lax.pow, 4), "maximum": (lax.max, 0),
    "minimum": (lax.min, 0), "atan2": (lax.atan2, 4),
}  # fmt: skip
WHOLE: dict[str, Any] = {
    "add": lax.add, "subtract": lax.sub, "multiply": lax.mul, "divide": lax.div,
    "remainder": lax.rem, "maximum": lax.max, "minimum": lax.min, "shift_left": lax.shift_left,
    "shift_right_arithmetic": lax.shift_right_arithmetic,
    "shift_right_logical": lax.shift_right_logical, "and_": lax.bitwise_and, "or_": lax.bitwise_or,
    "xor": lax.bitwise_xor,
}  # fmt: skip


def make(name: str, **fields: Any) -> Any:
    return lambda b, *xs: getattr(b, name)(*xs, **fields)


def pairs(values: Any, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Each value with each."""
    one = np.array(values, dtype)
    return np.repeat(one, len(one)), np.tile(one, len(one))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", UNARY)
def test_functions_of_special_values(name: str, dtype: str) -> None:
    function, ulp = UNARY[name]
    x = np.array(SPECIAL, dtype)
    assert_same(run(make(name), x)[0], run_jax(function, x), ulp)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", BINARY)
def test_pairs_of_special_values(name: str, dtype: str) -> None:
    function, ulp = BINARY[name]
    x, y = pairs(SPECIAL, dtype)
    assert_same(run(make(name), x, y)[0], run_jax(function, x, y), ulp)


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("name", WHOLE)
def test_whole_numbers_where_xla_defines_them(name: str, dtype: str) -> None:
    limits = np.iinfo(dtype)
    values = [limits.min, limits.max, limits.max // 3, limits.bits - 1, limits.bits]
    values += [0, 1, 2, 7, 100]
    x, y = pairs(values + ([-1, -2, -7] if limits.min else []), dtype)
    assert_same(run(make(name), x, y)[0], run_jax(WHOLE[name], x, y))


def test_whole_powers() -> None:
    x = np.array([2, 2, 3, 0, 0, 1, -1, -1, 5, 2], "int8")
    y = np.array([3, 8, -1, 0, -1, -128, -3, -128, 100, -128], "int8")
    want = np.array([8, 0, 0, 1, 0, 1, -1, 1, pow(5, 100, 256) - 256, 0], "int8")
    assert_same(run(make("power"), x, y)[0], want)


def test_integers_of_floats_saturate() -> None:
    x = np.array([NAN, INF, -INF, 1e20, -1e20, 2.7, -2.7, 127.9, 128, -128.9, -129], "float32")
    want = [0, 127, -128, 127, -128, 2, -2, 127, 127, -128, -128]
    assert_same(run(make("convert", dtype="int8"), x)[0], np.array(want, "int8"))
    top = np.array([2.0**63, 2.0**63 - 1024, -(2.0**63), 2.0**64], "float64")
    want = [2**63 - 1, 2**63 - 1024, -(2**63), 2**63 - 1]
    assert_same(run(make("convert", dtype="int64"), top)[0], np.array(want, "int64"))
    want = [2**63, 2**63 - 1024, 0, 2**64 - 1]
    assert_same(run(make("convert", dtype="uint64"), top)[0], np.array(want, "uint64"))


@pytest.mark.parametrize("to", ["bool", "int8", "uint16", "float16", "bfloat16", "float32"])
@pytest.mark.parametrize("dtype", ["int64", "float64", "float32", "bool"])
def test_conversions_where_xla_defines_them(dtype: str, to: str) -> None:
    twice_rounded = [2**24 + 2**16 + 1, 1 + 2**-8 + 2**-40, 1 + 2**-11 + 2**-40]
    x = np.array([0, 1, -3, *twice_rounded, 77]).astype(dtype)
    if dtype.startswith("float") and "int" in to:
        x = x[[0, 1, 6]]
    target = ml_dtypes.bfloat16 if to == "bfloat16" else to

    def by_way_of_float32(a):  # of itself, XLA does so where the CPU cannot do better
        return (a.astype("float32") if to in ("float16", "bfloat16") else a).astype(target)

    assert_same(run(make("convert", dtype=to), x)[0], run_jax(by_way_of_float32, x))


def test_16_bit_floats_are_rounded_once() -> None:
    x, y = (np.array(v, ml_dtypes.bfloat16) for v in ([1.0, 3.0, 0.1], [2.0**-9, 7.0, 0.7]))
    wide = [a.astype("float64") for a in (x, y)]
    for name, want in {"add": np.add, "divide": np.divide, "power": np.power}.items():
        assert_same(run(make(name), x, y)[0], want(*wide).astype(x.dtype))


def test_clamp_of_crossed_bounds_and_nan() -> None:
    cases = [(3, 1, 2), (0, NAN, 1), (NAN, 0, 1), (0, 5, NAN), (0, 0.5, 1), (1, 1, 1), (-1, -2, 3)]
    low, x, high = np.array(cases, "float32").T.copy()
    assert_same(run(make("clamp"), low, x, high)[0], run_jax(lax.clamp, low, x, high))
    found = gradients_of(make("clamp"), low, x, high)
    for g, want in zip(found, jax_gradients_of(lax.clamp, low, x, high), strict=True):
        assert_same(g, want)


def test_clamp_sums_the_gradient_of_a_scalar_bound() -> None:
    low, x, high = np.float64(0), np.array([-1.0, -2, 0.5, 3]), np.float64(2)
    found = gradients_of(make("clamp"), np.asarray(low), x, np.asarray(high))
    assert [g.tolist() for g in found] == [2.0, [0, 0, 1, 0], 1.0]


KINKS = (
    "abs maximum minimum remainder atan2 divide power cbrt sqrt rsqrt atanh asin acos log".split()
)


@pytest.mark.parametrize("name", KINKS)
def test_gradients_at_kinks_are_those_of_jax(name: str) -> None:
    function = (UNARY | BINARY)[name][0]
    values = [0.0, -0.0, 1, -1, 2, -3, 0.5]
    xs = [np.array(values)] if name in UNARY else list(pairs(values, "float64"))
    found, want = gradients_of(make(name), *xs), jax_gradients_of(function, *xs)
    for i, (g, w) in enumerate(zip(found, want, strict=True)):
        if name == "power" and i == 0:
            w = np.where(xs[1] == 0, 0, w)  # where jax has 0 * inf
        np.testing.assert_allclose(g, w, rtol=1e-13)


def test_no_gradient_flows() -> None:
    x = np.array([0.2, 1.7])
    flat = "sign floor ceil round_nearest_even round_nearest_afz stop_gradient"
    for name in flat.split():
        assert not gradients_of(make(name), x)[0].any()


def test_bits() -> None:
    for dtype in ("int8", "uint8", "int64", "uint32"):
        info = np.iinfo(dtype)
        x = np.array([0, 1, 2, info.max, info.min, info.max // 5], dtype)
        assert_same(run(make("popcnt"), x)[0], run_jax(lax.population_count, x))
        assert_same(run(make("count_leading_zeros"), x)[0], run_jax(lax.clz, x))
        assert_same(run(make("not_"), x)[0], run_jax(lax.bitwise_not, x))


def test_messages_name_the_constraint() -> None:
    b = Builder()
    x, y = b.param("x", TensorType((2,), "int32")), b.param("y", TensorType((3,), "int32"))
    with pytest.raises(IRError, match=r"exponential: x must be of floats; got i32\[2\] .*C1"):
        b.exponential(x)
    with pytest.raises(IRError, match=r"must have one type; got i32\[2\] and i32\[3\] .*C1"):
        b.add(x, y)
