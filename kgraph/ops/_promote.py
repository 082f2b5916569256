"""Bringing operands to one dtype and one shape."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kgraph.ir import Builder, Dim, Shape, Size, Value, dtype_name
from kgraph.ops._convert import as_array
from kgraph.ops._dtypes import join, resolve
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import context_of

__all__ = [
    "broadcast",
    "broadcast_shapes",
    "broadcast_value",
    "common_dtype",
    "dtype_of",
    "promoted",
    "weak_kind",
]

_WIDE = {"float64": "float32", "int64": "int32", "uint64": "uint32"}


def weak_kind(x: Any) -> str:
    """The dtype of an operand; "int" or "float" for Python's numbers and sizes."""
    kind = type(x)
    if kind is Tensor:
        dtype: str = x.value.type.dtype
        return dtype
    if isinstance(x, bool):
        return "bool"
    if isinstance(x, int | Dim | np.int64 | np.uint64):
        return "int"
    if isinstance(x, float):  # np.float64 too
        return "float"
    found = getattr(x, "dtype", None)
    if isinstance(found, str):
        return found
    return dtype_name(as_array(x).dtype if found is None else found)


def dtype_of(x: Any) -> str:
    """The dtype of an operand; numbers are int32, bool or the default float type."""
    return resolve(weak_kind(x))


def common_dtype(*operands: Any, at_least: str | None = None) -> str:
    """The dtype in which an op on these operands computes.

    Python's numbers adapt to the others. numpy makes 64-bit arrays where nobody asked for them;
    such an array counts as 32 bits where it meets anything of another width.

    Args:
        *operands: tensors, arrays, variables, numbers.
        at_least: a further type, such as "float".
    """
    kinds = [weak_kind(x) for x in operands]
    if len(kinds) > 1 and any(k in _WIDE for k in kinds):
        firm = [k for k in kinds if k not in ("int", "float", "bool") and k not in _WIDE]
        if firm:
            kinds = [
                _WIDE.get(k, k) if isinstance(x, np.ndarray) else k
                for k, x in zip(kinds, operands, strict=True)
            ]
    if at_least is not None:
        kinds.append(at_least)
    return resolve(join(*kinds))


def promoted(*operands: Any, at_least: str | None = None) -> tuple[Any, list[Value]]:
    """Where the op goes, and its operands there, of one dtype and one shape."""
    context = context_of(operands)
    dtype = common_dtype(*operands, at_least=at_least)
    return context, broadcast(context.b, [context.lift(x, dtype) for x in operands])


def broadcast(b: Builder, values: Sequence[Value]) -> list[Value]:
    """The values, repeated along dims of size 1 to one shape."""
    first = values[0].type.shape
    if all(v.type.shape == first for v in values):
        return list(values)
    shape = broadcast_shapes(*[v.type.shape for v in values])
    return [broadcast_value(b, v, shape) for v in values]


def broadcast_shapes(*shapes: Shape) -> Shape:
    """The shape that all broadcast to.

    Sizes that cannot be told to be equal are taken to be; the program checks them at its entry.

    Raises:
        ValueError: two sizes differ and neither is 1.
    """
    rank = max(map(len, shapes))
    result: list[Size] = []
    for k in range(-rank, 0):
        sizes = {s[k] for s in shapes if len(s) >= -k} - {1}
        numbers = [n for n in sizes if isinstance(n, int)]
        if len(numbers) > 1:
            texts = " and ".join(_text(s) for s in shapes)
            raise ValueError(f"the shapes {texts} cannot be broadcast to one shape")
        result.append(numbers[0] if numbers else min(sizes, key=str, default=1))
    return tuple(result)


def broadcast_value(b: Builder, value: Value, shape: Shape) -> Value:
    """`value`, repeated along dims of size 1 and along new leading dims, to `shape`."""
    own = value.type.shape
    if own == shape:
        return value
    offset = len(shape) - len(own)
    fits = tuple(n if n == 1 else shape[offset + k] for k, n in enumerate(own))
    if fits != own:
        value = b.assume_shape(value, fits)
    if fits == shape:
        return value
    result: Value = b.broadcast_in_dim(value, shape, tuple(range(offset, len(shape))))
    return result


def _text(shape: Shape) -> str:
    return f"({', '.join(map(str, shape))})"
