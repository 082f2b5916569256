"""Elementwise ops.

Where `jax.lax` leaves something to the machine that our ops define (shifts by too much, NaN to
integer), the lowering says it in full.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from jax import lax
from kgraph.codegen.jax.table import lower, lowers
from kgraph.ir import is_float, numpy_dtype

for _name, _function in {
    "abs": lax.abs, "negate": lax.neg, "sign": lax.sign, "exponential": lax.exp,
    "exponential_minus_one": lax.expm1, "log": lax.log, "log_plus_one": lax.log1p, "logistic":
    lax.logistic, "tanh": lax.tanh, "tan": lax.tan, "sine": lax.sin, "cosine": lax.cos, "asin":
    lax.asin, "acos": lax.acos, "atan": lax.atan, "sinh": lax.sinh, "cosh": lax.cosh, "asinh":
    lax.asinh, "acosh": lax.acosh, "atanh": lax.atanh, "sqrt": lax.sqrt, "rsqrt": lax.rsqrt, "cbrt":
    lax.cbrt, "floor": lax.floor, "ceil": lax.ceil, "is_finite": lax.is_finite, "not":
    lax.bitwise_not, "popcnt": lax.population_count, "count_leading_zeros": lax.clz, "erf": lax.erf,
    "erf_inv": lax.erf_inv, "subtract": lax.sub, "maximum": lax.max, "minimum": lax.min, "atan2":
    lax.atan2, "and": lax.bitwise_and, "or": lax.bitwise_or, "xor": lax.bitwise_xor, "shift_left":
    lax.shift_left, "shift_right_arithmetic": lax.shift_right_arithmetic, "shift_right_logical":
    lax.shift_right_logical, "divide": lax.div, "remainder": lax.rem,
}.items():  # fmt: skip
    lower[_name] = lambda op, *xs, f=_function: f(*xs)

lower["round_nearest_even"] = lambda op, x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
lower["round_nearest_afz"] = lambda op, x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)
lower["stop_gradient"] = lambda op, x: x
lower["bitcast_convert"] = lambda op, x: lax.bitcast_convert_type(x, numpy_dtype(op.dtype))
lower["clamp"] = lambda op, low, x, high: lax.min(
    lax.max(x, jnp.broadcast_to(low, x.shape)), jnp.broadcast_to(high, x.shape)
)


@lowers("add", "multiply")
def _add_or_multiply(op: Any, x: Any, y: Any) -> Any:
    """Bools, too, which lax refuses."""
    if op.name == "add":
        return lax.bitwise_or(x, y) if op.x.dtype == "bool" else lax.add(x, y)
    return lax.bitwise_and(x, y) if op.x.dtype == "bool" else lax.mul(x, y)


@lowers("power")
def _power(op: Any, x: Any, y: Any) -> Any:
    """Of integers by squaring; lax has none with an array of exponents."""
    if is_float(op.x.dtype):
        return lax.pow(x, y)
    signed = op.x.dtype.startswith("int")
    bits = 8 * numpy_dtype(op.x.dtype).itemsize
    left = (lax.abs(y) if signed else y).astype(f"uint{bits}")

    def step(_: Any, state: Any) -> Any:
        total, square, left = state
        return jnp.where(left & 1 == 1, total * square, total), square * square, left >> 1

    total, _, _ = lax.fori_loop(0, bits, step, (jnp.ones_like(x), x, left))
    return jnp.where((y < 0) & (x != 1) & (x != -1), 0, total) if signed else total


@lowers("compare")
def _compare(op: Any, x: Any, y: Any) -> Any:
    return {"EQ": lax.eq, "NE": lax.ne, "LT": lax.lt, "LE": lax.le, "GT": lax.gt, "GE": lax.ge}[
        op.direction
    ](x, y)


@lowers("select")
def _select(op: Any, pred: Any, on_true: Any, on_false: Any) -> Any:
    return lax.select(jnp.broadcast_to(pred, on_true.shape), on_true, on_false)


@lowers("convert")
def _convert(op: Any, x: Any) -> Any:
    target = numpy_dtype(op.dtype)
    if op.dtype == "bool":
        return x != 0
    if is_float(op.dtype):  # XLA rounds to 16 bits once or twice, as the CPU can
        return (x.astype(jnp.float32) if target.itemsize == 2 else x).astype(target)
    if not is_float(op.x.dtype):
        return x.astype(target)
    info = np.iinfo(target)  # type: ignore[type-var]  # an integer dtype by now
    wide = x.astype(jnp.float64) if op.x.dtype in ("float32", "float64") else x.astype(jnp.float32)
    inside = (wide >= float(info.min)) & (wide < float(info.max) + (info.max < 2**53))
    safe = jnp.where(inside, wide, 0).astype(target)
    edge = jnp.where(wide < 0, np.asarray(info.min, target), np.asarray(info.max, target))
    return jnp.where(inside, safe, jnp.where(jnp.isnan(wide), jnp.zeros((), target), edge))


@lowers("threefry")
def _threefry(op: Any, k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    """Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3 (SC 2011)."""
    keys = (k0, k1, k0 ^ k1 ^ np.uint32(0x1BD11BDA))
    rotations = ((13, 15, 26, 6), (17, 29, 16, 24))
    x0, x1 = x0 + k0, x1 + k1
    for i in range(5):
        for r in rotations[i % 2]:
            x0 = x0 + x1
            x1 = ((x1 << np.uint32(r)) | (x1 >> np.uint32(32 - r))) ^ x0
        x0 = x0 + keys[(i + 1) % 3]
        x1 = x1 + keys[(i + 2) % 3] + np.uint32(i + 1)
    return x0, x1
