"""What several op families share: sizes of dilated dims, identities of combinations, zeros."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kgraph.ir.dims import Dim, Shape, Size, is_nonnegative, maximum
from kgraph.ir.graph import Array, Value
from kgraph.ir.types import is_float, numpy_dtype

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

KINDS = ("sum", "product", "max", "min", "and", "or")  # of reductions and windows

_UFUNCS: dict[str, np.ufunc] = {
    "sum": np.add,
    "product": np.multiply,
    "max": np.maximum,
    "min": np.minimum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
}


def ufunc(kind: str) -> np.ufunc:
    """numpy's function of two arrays for one of `KINDS`."""
    return _UFUNCS[kind]


def identity(kind: str, dtype: str) -> Array:
    """The scalar that `kind` combines with any x to x."""
    numpy = numpy_dtype(dtype)
    if kind in ("sum", "or"):
        return np.zeros((), numpy)
    if kind == "product":
        return np.ones((), numpy)
    if kind == "and":
        return np.asarray(-1).astype(numpy)  # all bits; True
    if dtype == "bool":
        return np.asarray(kind == "min")
    if is_float(dtype):
        return np.asarray(-np.inf if kind == "max" else np.inf).astype(numpy)
    limits = np.iinfo(numpy.name)
    return np.asarray(limits.min if kind == "max" else limits.max, numpy)


def accumulator(dtype: str) -> np.dtype[np.generic]:
    """The dtype that a long sum runs in: float32 for 16-bit floats, which are rounded once."""
    return numpy_dtype("float32" if dtype in ("float16", "bfloat16") else dtype)


def dilated(size: Size, step: Size) -> Size:
    """The size with `step - 1` holes between neighbours: `(size - 1) * step + 1`, and 0 for 0."""
    if step == 1:
        return size
    if is_nonnegative(size - 1):
        return (size - 1) * step + 1
    return size + maximum(size - 1, 0) * (step - 1)


def span(size: Size, step: Size) -> Size:
    """`dilated` for the dims that a window moves over: a symbolic one is taken to be at least 1.

    A size of 0 fails when the symbol is bound, because the sizes then differ; in return the sizes
    of gradients can be proved equal to those of what they are the gradients of.
    """
    if isinstance(size, Dim):
        return (size - 1) * step + 1
    return dilated(size, step)


def positions(size: Size, window: Size, stride: Size) -> Size:
    """How many places a window has in a padded dim."""
    if isinstance(size, int) and isinstance(window, int) and not 0 < window <= size:
        return 0
    return (size - window) // stride + 1


def symbolic_dim(shape: Shape) -> int | None:
    """The only dim that is no int; None where there is none or where there are several."""
    found = [i for i, d in enumerate(shape) if isinstance(d, Dim)]
    return found[0] if len(found) == 1 else None


def is_empty(v: Value) -> bool:
    """Is it known that the value has no element?"""
    return any(d == 0 for d in v.shape)


def is_zero(v: Value) -> bool:
    """Is the value zero everywhere, by its making?"""
    while v.op.name in ("broadcast_in_dim", "reshape"):
        (v,) = v.op.operands
    return v.op.name == "constant" and not v.op.__dict__["value"].array.any()


def zeros(b: Builder, like: Value) -> Value:
    """A zero of the value's type."""
    return b.splat(0, like.type)


def ints(sizes: Sequence[Size]) -> tuple[int, ...]:
    """The sizes as ints, which they are in every `reference`."""
    return tuple([int(s) for s in sizes])


def inverse(perm: Sequence[int]) -> tuple[int, ...]:
    """The permutation that undoes `perm`."""
    return tuple(sorted(range(len(perm)), key=perm.__getitem__))


def pad_array(
    x: Array, value: Any, low: Sequence[int], high: Sequence[int], step: Sequence[int]
) -> Array:  # numpy's scalars
    """`x` with `step - 1` holes between neighbours, then `low` and `high` more or fewer elements
    around it.
    """
    spread = ints([dilated(n, s) for n, s in zip(x.shape, step, strict=True)])
    shape = [lo + n + hi for lo, n, hi in zip(low, spread, high, strict=True)]
    out = np.full(shape, value, x.dtype)
    into, origin = [], []
    for lo, n, size, s in zip(low, x.shape, shape, step, strict=True):
        # element i lies at lo + i * s; the first and the last that are not cut off
        first = max(-(lo // s), 0)
        last = min(n - 1, (size - 1 - lo) // s)
        count = max(last - first + 1, 0)
        start = lo + first * s
        into.append(slice(start, start + count * s, s) if count else slice(0, 0))
        origin.append(slice(first, first + count))
    out[tuple(into)] = x[tuple(origin)]
    return out
