"""Concrete values as numpy arrays of a dtype that the IR has."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgraph import config
from kgraph.ir import Array, dtype_name, numpy_dtype

__all__ = ["as_array"]


def as_array(x: Any, dtype: str | None = None) -> Array:
    """An array-like object as an array of native byte order; not copied where it is one already.

    Python's numbers, and lists of them, become int32, bool, or the default float type.

    Raises:
        TypeError: it is nothing that numpy makes an array of numbers of.
    """
    if isinstance(x, np.ndarray):
        array = x
    elif isinstance(x, bool | int | float) and not isinstance(x, np.generic):
        return np.asarray(x, numpy_dtype(dtype or _type_of_number(x)))
    elif isinstance(x, list | tuple):
        array = _of_list(x, dtype)
    elif x is None or isinstance(x, str | bytes | dict | set):
        raise TypeError(f"expected a tensor or an array of numbers; got {x!r}")
    else:
        array = np.asarray(x)
    if array.dtype.hasobject or array.dtype.kind not in "biufV":
        raise TypeError(f"expected a tensor or an array of numbers; got {_short(x)}")
    name = dtype_name(array.dtype) if dtype is None else dtype
    wanted = numpy_dtype(name)
    return array if array.dtype == wanted and array.dtype.isnative else _cast(array, wanted)


def _type_of_number(x: float) -> str:
    if isinstance(x, bool):
        return "bool"
    return "int32" if isinstance(x, int) else config.floatx()


def _of_list(x: Any, dtype: str | None) -> Array:
    """Lists of Python's numbers have the types of such numbers; those of arrays, numpy's."""
    array = np.asarray(x)
    plain = all(not isinstance(leaf, np.ndarray | np.generic) for leaf in _leaves(x))
    if dtype is None and plain and array.dtype.kind in "iuf":
        dtype = "int32" if array.dtype.kind in "iu" else config.floatx()
        return np.asarray(x, numpy_dtype(dtype))
    return array


def _leaves(x: Any) -> list[Any]:
    """The items of nested lists."""
    pending, found = [x], []
    while pending:
        for item in pending.pop():
            if isinstance(item, list | tuple):
                pending.append(item)
            else:
                found.append(item)
    return found


def _cast(array: Array, dtype: np.dtype[np.generic]) -> Array:
    if array.dtype.kind == "f" and dtype.kind in "iu":
        with np.errstate(invalid="ignore"):
            return array.astype(dtype)
    return array.astype(dtype)


def _short(x: Any) -> str:
    text = repr(x)
    return text if len(text) < 100 else f"{text[:100]}... of type {type(x).__name__}"
