"""What each op is in `jax.lax`: a line or a function per op, in one table.

`lower[Op](op, *operands)` gives the result, or a tuple where the op has several. Sizes are numbers by then. Where
`jax.lax` leaves something to the machine that our ops define (shifts by too much, NaN to integer), the lowering says
it in full.
"""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import jax.numpy as jnp
import numpy as np

import jax
from jax import lax
from kgraph.ir import OPS, Function, Op, Value, is_float, numpy_dtype

Lowering = Callable[..., Any]
lower: dict[str, Lowering] = {}

NEVER = ("param", "batched")  # no op, and what only the llvm pipeline makes


def _for(*names: str) -> Callable[[Lowering], Lowering]:
    """Adds the function to the table under the names of ops."""

    def add(function: Lowering) -> Lowering:
        for name in names:
            lower[name] = function
        return function

    return add


def run(fn: Function, arrays: Any) -> list[Any]:
    """The results of a function without symbols, as jax values."""
    env: dict[Value, Any] = dict(zip(fn.params, arrays, strict=True))
    for op in fn.ops:
        outs = lower_op(op, *[env[v] for v in op.operands])
        for v, out in zip(op.results, outs, strict=True):
            env[v] = out
    return [env[v] for v in fn.results]


def lower_op(op: Op, *operands: Any) -> tuple[Any, ...]:
    """The results of one op; the layer's path names it in XLA's own dumps and profiles."""
    with jax.named_scope(op.location.path.replace("/", ".") or op.name):
        out = lower[op.name](op, *operands)
    return out if isinstance(out, tuple) else (out,)


def missing() -> list[str]:
    """The names of the ops without a lowering that have no decomposition either."""
    return sorted(
        name
        for name, cls in OPS.items()
        if name not in lower and cls.decompose is Op.decompose and name not in NEVER
    )


def _array(type_: Any, value: Any) -> Any:
    return jnp.full(type_.shape, value, numpy_dtype(type_.dtype))


# ---- elementwise ----

for _name, _function in {
    "abs": lax.abs, "negate": lax.neg, "sign": lax.sign, "exponential": lax.exp, "exponential_minus_one": lax.expm1,
    "log": lax.log, "log_plus_one": lax.log1p, "logistic": lax.logistic, "tanh": lax.tanh, "tan": lax.tan,
    "sine": lax.sin, "cosine": lax.cos, "asin": lax.asin, "acos": lax.acos, "atan": lax.atan, "sinh": lax.sinh,
    "cosh": lax.cosh, "asinh": lax.asinh, "acosh": lax.acosh, "atanh": lax.atanh, "sqrt": lax.sqrt, "rsqrt": lax.rsqrt,
    "cbrt": lax.cbrt, "floor": lax.floor, "ceil": lax.ceil, "is_finite": lax.is_finite, "not": lax.bitwise_not,
    "popcnt": lax.population_count, "count_leading_zeros": lax.clz, "erf": lax.erf, "erf_inv": lax.erf_inv,
    "subtract": lax.sub, "maximum": lax.max, "minimum": lax.min,
    "atan2": lax.atan2, "and": lax.bitwise_and, "or": lax.bitwise_or, "xor": lax.bitwise_xor,
    "shift_left": lax.shift_left, "shift_right_arithmetic": lax.shift_right_arithmetic,
    "shift_right_logical": lax.shift_right_logical, "divide": lax.div, "remainder": lax.rem,
}.items():  # fmt: skip
    lower[_name] = lambda op, *xs, f=_function: f(*xs)

lower["round_nearest_even"] = lambda op, x: lax.round(x, lax.RoundingMethod.TO_NEAREST_EVEN)
lower["round_nearest_afz"] = lambda op, x: lax.round(x, lax.RoundingMethod.AWAY_FROM_ZERO)
lower["stop_gradient"] = lambda op, x: x
lower["bitcast_convert"] = lambda op, x: lax.bitcast_convert_type(x, numpy_dtype(op.dtype))
lower["clamp"] = lambda op, low, x, high: lax.min(
    lax.max(x, jnp.broadcast_to(low, x.shape)), jnp.broadcast_to(high, x.shape)
)


@_for("add", "multiply")
def _add_or_multiply(op: Any, x: Any, y: Any) -> Any:
    """Bools, too, which lax refuses."""
    if op.name == "add":
        return lax.bitwise_or(x, y) if op.x.dtype == "bool" else lax.add(x, y)
    return lax.bitwise_and(x, y) if op.x.dtype == "bool" else lax.mul(x, y)


@_for("power")
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


@_for("compare")
def _compare(op: Any, x: Any, y: Any) -> Any:
    return {"EQ": lax.eq, "NE": lax.ne, "LT": lax.lt, "LE": lax.le, "GT": lax.gt, "GE": lax.ge}[
        op.direction
    ](x, y)


@_for("select")
def _select(op: Any, pred: Any, on_true: Any, on_false: Any) -> Any:
    return lax.select(jnp.broadcast_to(pred, on_true.shape), on_true, on_false)


@_for("convert")
def _convert(op: Any, x: Any) -> Any:
    target = numpy_dtype(op.dtype)
    if op.dtype == "bool":
        return x != 0
    if not is_float(op.x.dtype) or is_float(op.dtype):
        return x.astype(target)
    info = np.iinfo(target)  # type: ignore[type-var]  # an integer dtype by now
    wide = x.astype(jnp.float64) if op.x.dtype in ("float32", "float64") else x.astype(jnp.float32)
    inside = (wide >= float(info.min)) & (wide < float(info.max) + (info.max < 2**53))
    safe = jnp.where(inside, wide, 0).astype(target)
    edge = jnp.where(wide < 0, np.asarray(info.min, target), np.asarray(info.max, target))
    return jnp.where(inside, safe, jnp.where(jnp.isnan(wide), jnp.zeros((), target), edge))


@_for("threefry")
def _threefry(op: Any, k0: Any, k1: Any, x0: Any, x1: Any) -> Any:
    """Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011): 20 rounds on two 32-bit words."""
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


# ---- making and moving ----

lower["constant"] = lambda op: jnp.asarray(op.value.array)
lower["dim_size"] = lambda op: jnp.asarray(op.size, numpy_dtype(op.dtype))
lower["iota"] = lambda op: lax.broadcasted_iota(numpy_dtype(op.dtype), op.shape, op.dim)
lower["broadcast_in_dim"] = lambda op, x: lax.broadcast_in_dim(x, op.shape, op.dims)
lower["reshape"] = lambda op, x: lax.reshape(x, op.shape)
lower["assume_shape"] = lambda op, x: x
lower["transpose"] = lambda op, x: lax.transpose(x, op.perm)
lower["slice"] = lambda op, x: lax.slice(x, op.start, op.limit, op.stride)
lower["reverse"] = lambda op, x: lax.rev(x, op.dims)
lower["pad"] = lambda op, x, value: lax.pad(
    x, value, tuple(zip(op.low, op.high, op.interior, strict=True))
)
lower["concatenate"] = lambda op, *xs: lax.concatenate(xs, op.dim)
lower["dynamic_slice"] = lambda op, x, *starts: lax.dynamic_slice(x, _starts(starts), op.sizes)
lower["dynamic_update_slice"] = lambda op, x, update, *starts: lax.dynamic_update_slice(
    x, update, _starts(starts)
)


def _starts(starts: Any) -> list[Any]:
    """Indices of one dtype, as lax wants them; a negative start is clamped, not counted from the end."""
    return [lax.max(s.astype(jnp.int64), jnp.zeros((), jnp.int64)) for s in starts]


@_for("gather")
def _gather(op: Any, x: Any, indices: Any) -> Any:
    numbers = lax.GatherDimensionNumbers(
        op.offset_dims, op.collapsed_slice_dims, op.start_index_map
    )
    return lax.gather(
        x, _index_last(op, indices), numbers, op.slice_sizes, mode=lax.GatherScatterMode.CLIP
    )


@_for("scatter")
def _scatter(op: Any, x: Any, indices: Any, updates: Any) -> Any:
    function = {
        "add": lax.scatter_add, "set": lax.scatter, "max": lax.scatter_max, "min": lax.scatter_min,
        "multiply": lax.scatter_mul,
    }[op.kind]  # fmt: skip
    numbers = lax.ScatterDimensionNumbers(
        op.update_window_dims, op.inserted_window_dims, op.scatter_dims_to_operand_dims
    )
    mode = lax.GatherScatterMode.FILL_OR_DROP
    return function(x, _index_last(op, indices), updates, numbers, mode=mode)


def _index_last(op: Any, indices: Any) -> Any:
    """The indices with the index vectors along the last dim, in a dtype that wraps no index."""
    if op.index_vector_dim == indices.ndim:
        indices = indices[..., None]
    else:
        indices = jnp.moveaxis(indices, op.index_vector_dim, -1)
    return indices.astype(jnp.int64)


# ---- reductions and windows ----


def _identity(kind: str, dtype: Any) -> Any:
    if kind in ("sum", "or"):
        return np.zeros((), dtype)
    if kind in ("product", "and"):
        return np.ones((), dtype)
    if dtype == np.bool_:
        return np.asarray(kind == "min")
    low, high = (
        (-np.inf, np.inf)
        if jnp.issubdtype(dtype, jnp.floating)
        else (jnp.iinfo(dtype).min, jnp.iinfo(dtype).max)
    )
    return np.asarray(low if kind == "max" else high).astype(dtype)


_COMBINE = {
    "sum": lax.add,
    "product": lax.mul,
    "max": lax.max,
    "min": lax.min,
    "and": lax.bitwise_and,
    "or": lax.bitwise_or,
}


def _widened(x: Any) -> Any:
    """16-bit floats as float32, in which their sums are accumulated."""
    return x.astype(jnp.float32) if x.dtype in (jnp.float16, jnp.bfloat16) else x


@_for("reduce")
def _reduce(op: Any, x: Any) -> Any:
    wide = _widened(x)
    return lax.reduce(wide, _identity(op.kind, wide.dtype), _COMBINE[op.kind], op.dims).astype(
        x.dtype
    )


@_for("arg_reduce")
def _arg_reduce(op: Any, x: Any) -> Any:
    return (lax.argmax if op.kind == "max" else lax.argmin)(x, op.dim, numpy_dtype(op.dtype))


@_for("reduce_window")
def _reduce_window(op: Any, x: Any) -> Any:
    wide = _widened(x)
    out = lax.reduce_window(
        wide,
        _identity(op.kind, wide.dtype),
        _COMBINE[op.kind],
        op.window,
        op.strides,
        op.padding,
        op.base_dilation,
        op.window_dilation,
    )
    return out.astype(x.dtype)


@_for("select_and_scatter")
def _select_and_scatter(op: Any, x: Any, source: Any) -> Any:
    """The index that each window takes, by a reduction of pairs; the source is scattered there."""
    index = lax.iota(jnp.int32 if x.size < 2**31 else jnp.int64, x.size).reshape(x.shape)
    none = np.asarray(x.size, index.dtype)  # behind all others: padding is never taken
    better = lax.gt if op.kind == "max" else lax.lt

    def pick(one: Any, other: Any) -> Any:
        (v, i), (w, j) = one, other
        nan, other_nan = v != v, w != w
        tie = (v == w) | (nan & other_nan)
        first = jnp.where(tie, i < j, nan | (better(v, w) & ~other_nan))
        return jnp.where(first, v, w), jnp.where(first, i, j)

    start = (_identity(op.kind, x.dtype), none)
    _, taken = lax.reduce_window((x, index), start, pick, op.window, op.strides, op.padding)
    updates = _widened(source)
    total = jnp.zeros(x.size, updates.dtype).at[taken.ravel()].add(updates.ravel(), mode="drop")
    return total.reshape(x.shape).astype(x.dtype)


@_for("sort")
def _sort(op: Any, *xs: Any) -> Any:
    if not op.descending:
        return tuple(lax.sort(xs, dimension=op.dim, is_stable=True, num_keys=op.num_keys))
    # stable and descending: sort the mirrored array ascending, then mirror it back
    mirrored = [lax.rev(x, (op.dim,)) for x in xs]
    return tuple(
        lax.rev(x, (op.dim,))
        for x in lax.sort(mirrored, dimension=op.dim, is_stable=True, num_keys=op.num_keys)
    )


@_for("top_k")
def _top_k(op: Any, x: Any) -> Any:
    values, indices = lax.top_k(x, op.k)
    return values, indices.astype(jnp.int32)


# ---- contractions ----


# The precision of the contractions in the function that is being traced.
contraction_precision: ContextVar[lax.Precision] = ContextVar(
    "contraction_precision", default=lax.Precision.HIGHEST
)


def _accumulator(dtype: Any) -> Any:
    if dtype in (jnp.float16, jnp.bfloat16):
        return jnp.float32
    return dtype


@_for("dot_general")
def _dot_general(op: Any, lhs: Any, rhs: Any) -> Any:
    numbers = ((op.lhs_contract, op.rhs_contract), (op.lhs_batch, op.rhs_batch))
    if lhs.dtype == jnp.bool_:
        lhs, rhs = lhs.astype(jnp.int32), rhs.astype(jnp.int32)
        return lax.dot_general(lhs, rhs, numbers) != 0
    out = lax.dot_general(
        lhs,
        rhs,
        numbers,
        precision=contraction_precision.get(),
        preferred_element_type=_accumulator(lhs.dtype),
    )
    return out.astype(lhs.dtype)


@_for("convolution")
def _convolution(op: Any, lhs: Any, rhs: Any) -> Any:
    sides, out = op.dims.split("->")
    left, right = sides.split("_")
    numbers = lax.ConvDimensionNumbers(
        _positions(left, "bf"), _positions(right, "oi"), _positions(out, "bf")
    )
    if any(op.reversal):
        spatial = numbers.rhs_spec[2:]
        rhs = lax.rev(rhs, tuple(d for d, r in zip(spatial, op.reversal, strict=True) if r))
    result = lax.conv_general_dilated(
        lhs, rhs, op.strides, op.padding, op.lhs_dilation, op.rhs_dilation, numbers, op.feature_groups, op.batch_groups,
        contraction_precision.get(), _accumulator(lhs.dtype),
    )  # fmt: skip
    return result.astype(lhs.dtype)


def _positions(spec: str, first: str) -> tuple[int, ...]:
    """The dims in lax's order: the two letters of `first`, then the spatial dims 0, 1, ..."""
    return tuple(spec.index(c) for c in (*first, *map(str, range(len(spec) - 2))))


# ---- control ----


@_for("while")
def _while(op: Any, *operands: Any) -> Any:
    n = len(op.init)
    captures = operands[n:]
    return tuple(
        lax.while_loop(
            lambda carry: run(op.cond, [*carry, *captures])[0],
            lambda carry: tuple(run(op.body, [*carry, *captures])),
            tuple(operands[:n]),
        )
    )


@_for("if")
def _if(op: Any, pred: Any, *captures: Any) -> Any:
    return tuple(
        lax.cond(
            pred,
            lambda *xs: tuple(run(op.then, xs)),
            lambda *xs: tuple(run(op.orelse, xs)),
            *captures,
        )
    )


@_for("case")
def _case(op: Any, index: Any, *captures: Any) -> Any:
    last = len(op.branches) - 1
    inside = (index >= 0) & (index <= last)
    branches = [lambda *xs, f=f: tuple(run(f, xs)) for f in op.branches]
    return tuple(lax.switch(jnp.where(inside, index, last), branches, *captures))


@_for("scan")
def _scan(op: Any, *operands: Any) -> Any:
    n, m = len(op.init), len(op.xs)
    captures = operands[n + m :]

    def step(carry: Any, rows: Any) -> Any:
        out = run(op.body, [*carry, *rows, *captures])
        return tuple(out[:n]), tuple(out[n:])

    carry, ys = lax.scan(
        step, tuple(operands[:n]), tuple(operands[n : n + m]), length=op.length, reverse=op.reverse
    )
    return (*carry, *ys)


@_for("custom_vjp")
def _custom_vjp(op: Any, *inputs: Any) -> Any:
    return tuple(run(op.forward, inputs))


@_for("fusion")
def _fusion(op: Any, *inputs: Any) -> Any:
    return tuple(run(op.body, inputs))
