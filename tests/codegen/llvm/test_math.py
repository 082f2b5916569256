"""Vector mathematics against numpy in wider arithmetic, over the whole range of arguments."""

import re
from pathlib import Path

import numpy as np
import pytest

from kgraph.codegen.llvm import math
from kgraph.codegen.llvm.emit import I64, PTR, Module, Operand, View, constant
from kgraph.codegen.llvm.exponential import exp2_below
from tests.codegen.llvm.native import Loaded, targets

special = pytest.importorskip("scipy.special")  # comes with jax

all_targets = pytest.mark.parametrize("target", targets(), ids=lambda item: item.name)

# The bound in ulp for float32 and float64, and the reference for wider arrays.
UNARY = {
    "acos": (0.6, 2, np.arccos),
    "acosh": (0.6, 4, np.arccosh),
    "asin": (0.6, 3, np.arcsin),
    "asinh": (2.5, 4, np.arcsinh),
    "atan": (0.6, 2, np.arctan),
    "atanh": (0.6, 4, np.arctanh),
    "cbrt": (1.5, 2, np.cbrt),
    "ceil": (0, 0, np.ceil),
    "cosh": (2, 4, np.cosh),
    "cosine": (1.5, 2, np.cos),
    "erf": (1.5, 3, special.erf),
    "erf_inv": (3, 6, special.erfinv),
    "exponential": (1, 2, np.exp),
    "exponential_minus_one": (2, 2.5, np.expm1),
    "floor": (0, 0, np.floor),
    "log": (1, 2, np.log),
    "log_plus_one": (2, 2, np.log1p),
    "logistic": (2.5, 3, special.expit),
    "round_nearest_afz": (0, 0, lambda x: np.copysign(np.floor(np.abs(x) + 0.5), x)),
    "round_nearest_even": (0, 0, np.rint),
    "rsqrt": (1.5, 2, lambda x: 1 / np.sqrt(x)),
    "sine": (1.5, 2, np.sin),
    "sinh": (2, 4, np.sinh),
    "sqrt": (0.5, 0.5, np.sqrt),
    "tan": (0.6, 3, np.tan),
    "tanh": (2.5, 3, np.tanh),
}


# Of power and atan2.
BINARY_BOUND = (0.6, 2.0)


def build(target, name: str, dtype: str, lanes: int, function=None) -> Loaded:
    module = Module(target)
    with module.function("apply", [("n", I64), ("x", PTR), ("y", PTR), ("out", PTR)]) as f:
        n, x, y, out = f.parameters

        def body(i: Operand, mask: Operand | None) -> None:
            arguments = [f.load(View(x, dtype, (1,)), [i], lanes, mask=mask)]
            if name in math.BINARY:
                arguments.append(f.load(View(y, dtype, (1,)), [i], lanes, mask=mask))
            value = (function or math.UNARY.get(name) or math.BINARY[name])(f, *arguments)
            f.store(View(out, dtype, (1,)), [i], value, mask=mask)

        if lanes:
            f.strips(n, lanes, body)
        else:
            with f.loop(0, n) as i:
                body(i, None)
    return Loaded(module)


def ulps(found: np.ndarray, expected: np.ndarray) -> np.ndarray:
    """Distance in units of the last place of the found type; NaN and infinities must agree."""
    kind = found.dtype
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = expected.astype(kind)
        unit = np.spacing(np.abs(rounded)).astype(expected.dtype)
        distance = np.abs(found.astype(expected.dtype) - expected) / unit
        # The first unit beyond the largest number is infinity; either side of it may be taken.
        limit = np.finfo(kind).max
        edge = np.isinf(found) ^ np.isinf(rounded)
        edge &= (np.abs(expected) >= limit) & (np.abs(expected) <= limit * 1.0000002)
    equal = (found == rounded) | (np.isnan(found) & np.isnan(rounded))
    distance = np.where(equal & ~(np.isfinite(rounded)) | edge, 0, distance)
    return np.where(np.isnan(distance), np.inf, distance)


def single_inputs(count: int) -> np.ndarray:
    """Bit patterns spread over all of float32, and the neighbourhoods of its special places."""
    patterns = np.linspace(0, 2**32 - 1, count).astype(np.uint32).view(np.float32)
    random = np.random.default_rng(3)
    places = np.float32(
        [0, 1e-45, 1.2e-38, 1e-4, 0.34, 0.41421, 0.5, 0.625, 0.7071, 0.786, 1, 1.414, 2, 3.95, 9.01,
         18, 87.3, 88.72, 103.9, 8388608, 1e9, np.inf]
    )  # fmt: skip
    steps = 1 + np.float32(1e-6) * np.arange(-40, 40, dtype=np.float32)
    with np.errstate(invalid="ignore", over="ignore", under="ignore"):
        near = (places[:, None] * steps).ravel().astype(np.float32)
    ordinary = random.uniform(-10, 10, count // 4).astype(np.float32)
    halves = (np.arange(-21, 21) + 0.5).astype(np.float32)
    edges = np.float32([np.nan, -0.0, 0.0, 0.49999997, 1 - 2**-24, 1 + 2**-23])
    return np.concatenate([patterns, near, -near, ordinary, halves, edges])


def check(name: str, loaded: Loaded, x: np.ndarray, bound: float, reference) -> None:
    out = np.empty_like(x)
    loaded("apply", len(x), x, x, out)
    wide = x.astype(np.float64 if x.dtype == np.float32 else np.longdouble)
    if x.dtype == np.float64 and reference.__class__ is np.ufunc and reference.nin == 1:
        wide = wide.astype(np.float64) if not _has_long(reference) else wide
    with np.errstate(all="ignore"):
        expected = reference(wide)
    distance = ulps(out, expected)
    worst = int(np.argmax(distance))
    message = f"{name}({x[worst]!r}) = {out[worst]!r}, expected {expected[worst]!r}"
    assert distance[worst] <= bound + 0.01, f"{message}: {distance[worst]:.2f} ulp"
    if name != "erf_inv":  # scipy's loses the sign of zero
        zero = (expected == 0) & (out == 0)
        assert np.array_equal(np.signbit(out[zero]), np.signbit(expected[zero])), name


def _has_long(reference) -> bool:
    return any("g" in kinds.split("->")[0] for kinds in reference.types)


@all_targets
@pytest.mark.parametrize("name", UNARY)
def test_float32(target, name):
    bound, _, reference = UNARY[name]
    loaded = build(target, name, "float32", target.lanes(4))
    check(name, loaded, single_inputs(60_000), bound, reference)


@all_targets
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_remainder(target, dtype):
    """Exact, near whole quotients and where they have more digits than a mantissa too."""
    random = np.random.default_rng(7)
    bits = random.integers(0, 2**64, (2, 20_000), dtype=np.uint64).view(dtype)
    x, y = (random.permutation(row) for row in bits)
    whole = random.integers(1, 2**24, x.size).astype(dtype)
    steps = np.finfo(dtype).eps * random.integers(-2, 3, x.size)
    with np.errstate(all="ignore"):
        near = (whole * y * (1 + steps)).astype(dtype)
    special = np.array([0.0, -0.0, 1.5, -1.5, np.inf, -np.inf, np.nan, np.finfo(dtype).tiny], dtype)
    pairs = np.meshgrid(special, special)
    x = np.concatenate([x, near, random.normal(0, 50, x.size).astype(dtype), pairs[0].ravel()])
    y = np.concatenate([y, y, random.normal(0, 1, y.size).astype(dtype), pairs[1].ravel()])
    out = np.empty_like(x)
    build(target, "remainder", dtype, target.lanes(4))("apply", len(x), x, y, out)
    with np.errstate(invalid="ignore"):
        expected = np.fmod(x, y)
    same = (out.view(f"u{x.itemsize}") == expected.view(f"u{x.itemsize}")) | (
        np.isnan(out) & np.isnan(expected)
    )
    assert same.all(), [(a, b, c) for a, b, c in zip(x[~same], y[~same], out[~same], strict=True)]


@all_targets
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_two_that_are_not_above_one(target, dtype):
    """Zero in place of subnormal ones."""
    least = np.finfo(dtype).minexp
    x = np.linspace(least, 0, 20_001).astype(dtype)
    loaded = build(target, "exp2", dtype, target.lanes(x.itemsize), exp2_below)
    check("exp2", loaded, x, 2 if dtype == "float32" else 1_000, np.exp2)
    x = np.array([least - 0.01, least * 1.05, -1e30, -np.inf, np.nan], dtype)
    out = np.empty_like(x)
    loaded("apply", len(x), x, x, out)
    np.testing.assert_array_equal(out, np.array([0, 0, 0, 0, np.nan], dtype))


@pytest.mark.slow
@pytest.mark.parametrize("name", UNARY)
def test_float32_densely(name):
    bound, _, reference = UNARY[name]
    target = targets()[0]
    loaded = build(target, name, "float32", target.lanes(4))
    check(name, loaded, single_inputs(20_000_000), bound, reference)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["exponential", "log", "tanh", "logistic", "erf", "sine", "cosine", "rsqrt",
     "exponential_minus_one", "log_plus_one"],
)  # fmt: skip
def test_every_float32(name):
    """All 2^32 bit patterns; minutes for each function."""
    bound, _, reference = UNARY[name]
    target = targets()[0]
    loaded = build(target, name, "float32", target.lanes(4))
    count = 1 << 24
    for first in range(0, 1 << 32, count):
        patterns = np.arange(first, first + count, dtype=np.int64).astype(np.uint32)
        check(name, loaded, patterns.view(np.float32), bound, reference)


@all_targets
@pytest.mark.parametrize("name", UNARY)
def test_float64(target, name):
    _, bound, reference = UNARY[name]
    loaded = build(target, name, "float64", target.lanes(8))
    random = np.random.default_rng(4)
    exponents = random.integers(0, 2047, 20_000).astype(np.uint64) << 52
    any_bits = (random.integers(0, 2**52, 20_000).astype(np.uint64) | exponents).view(np.float64)
    x = np.concatenate([any_bits, -any_bits, single_inputs(20_000).astype(np.float64),
                        random.uniform(-2, 2, 20_000),
                        random.uniform(-720, 720, 5_000)])  # fmt: skip
    check(name, loaded, x, bound, reference)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("lanes", [0, 4, 32])
def test_any_lanes_give_the_same_bits(name, lanes):
    target = targets()[0]
    x = single_inputs(2000)
    results = []
    for count in (lanes, target.lanes(4)):
        out = np.empty_like(x)
        build(target, name, "float32", count)("apply", len(x), x, x, out)
        results.append(out)
    assert np.array_equal(results[0], results[1], equal_nan=True)


@all_targets
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["power", "atan2"])
def test_binary(target, name, dtype):
    random = np.random.default_rng(6)
    edges = np.array([0.0, -0.0, 1, -1, 2, -2, 3, -3, 0.5, -0.5, 1.5, 1e10, -1e10, 16777217, 1e300,
                      np.inf, -np.inf, np.nan, 5e-324, -1e-300, 1e-40]).astype(dtype)  # fmt: skip
    x, y = (item.ravel() for item in np.meshgrid(edges, edges))
    x = np.concatenate([x, np.exp(random.uniform(-5, 5, 20_000))]).astype(dtype)
    y = np.concatenate([y, random.uniform(-18, 18, 20_000)]).astype(dtype)
    if name == "atan2":
        x[len(edges) ** 2 :] *= random.choice([-1, 1], 20_000).astype(dtype)
    out = np.empty_like(x)
    build(target, name, dtype, target.lanes(x.itemsize))("apply", len(x), x, y, out)
    wide = np.float64 if dtype == "float32" else np.longdouble
    reference = np.power if name == "power" else np.arctan2
    with np.errstate(all="ignore"):
        expected = reference(x.astype(wide), y.astype(wide))
    distance = ulps(out, expected)
    worst = int(np.argmax(distance))
    bound = BINARY_BOUND[dtype == "float64"]
    assert distance[worst] <= bound, (x[worst], y[worst], out[worst])
    zero = (expected == 0) & (out == 0)
    assert np.array_equal(np.signbit(out[zero]), np.signbit(expected[zero]))


@all_targets
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_of_two(target, dtype):
    """The same function for any lanes; beyond the largest exponent infinity."""
    single = dtype == "float32"
    x = single_inputs(60_000).astype(dtype)
    x = np.concatenate([x, np.linspace(-160, 140, 20_001).astype(dtype)])

    def exp2(f, x):
        return math.BINARY["power"](f, constant(2.0, x.type), x)

    found = []
    for lanes in (target.lanes(x.itemsize), 0, 2):
        loaded = build(target, "exp2", dtype, lanes, exp2)
        check("exp2", loaded, x, 1.5 if single else 1, np.exp2)
        out = np.empty_like(x)
        loaded("apply", len(x), x, x, out)
        found.append(out)
    for other in found[1:]:
        np.testing.assert_array_equal(other, found[0])


def test_every_function_is_tested():
    assert set(UNARY) == set(math.UNARY)


def test_the_bounds_are_documented():
    """The table in docs/numerics.md has the bounds that are tested here, and all of them."""
    page = (Path(__file__).parents[3] / "docs" / "numerics.md").read_text()
    rows = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \| ([\d.]+) \| ([\d.]+) \|$", page, re.MULTILINE)
    documented = {
        name: (float(single), float(double))
        for names, single, double in rows
        for name in re.findall(r"\w+", names)
    }
    tested = {name: (float(single), float(double)) for name, (single, double, _) in UNARY.items()}
    assert documented == {**tested, **dict.fromkeys(("power", "atan2"), BINARY_BOUND)}
