"""Element types of the API: reading them, and which one several operands have in common.

Python's numbers are weak: `int` and `float` stand for "any integer" and "any float", and take the
type of what they meet.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from kgraph import config
from kgraph.ir import DTYPES, FLOATS, INTEGERS, dtype_name

__all__ = ["is_float_dtype", "is_int_dtype", "join", "resolve", "result_type", "standardize_dtype"]

WEAK = ("int", "float")
_PYTHON = {bool: "bool", int: "int32", "int": "int32"}
_BITS = {"float16": 16, "bfloat16": 16, "float32": 32, "float64": 64}


def standardize_dtype(dtype: Any) -> str:
    """The name of a dtype.

    Args:
        dtype: a name, a numpy or JAX dtype, a Python type, or None for the default float type.

    Raises:
        ValueError: there is no such dtype.
    """
    if isinstance(dtype, str) and dtype in DTYPES:
        return dtype
    if dtype is None or dtype is float or (isinstance(dtype, str) and dtype == "float"):
        return config.floatx()
    if isinstance(dtype, str | type) and dtype in _PYTHON:
        return _PYTHON[dtype]
    name = getattr(dtype, "name", None) or getattr(dtype, "__name__", None)
    if isinstance(name, str) and name in DTYPES:
        return name
    try:
        return dtype_name(dtype)
    except TypeError:
        pass
    raise ValueError(f"Invalid dtype: {dtype!r}. Expected one of {', '.join(DTYPES)}.")


def is_float_dtype(dtype: Any) -> bool:
    """Is it a float type?"""
    return standardize_dtype(dtype) in FLOATS


def is_int_dtype(dtype: Any) -> bool:
    """Is it an integer type? bool is none."""
    return standardize_dtype(dtype) in INTEGERS


def result_type(*dtypes: Any) -> str:
    """The dtype of the result of an operation on values of these dtypes.

    Args:
        *dtypes: dtypes; the Python types `int` and `float` stand for weak numbers, None for the
            default float type.
    """
    names = [d.__name__ if d is int or d is float else standardize_dtype(d) for d in dtypes]
    return resolve(join(*names)) if names else config.floatx()


def resolve(dtype: str) -> str:
    """A weak type on its own: int32 or the default float type."""
    if dtype == "int":
        return "int32"
    return config.floatx() if dtype == "float" else dtype


@functools.lru_cache(1024)
def join(*dtypes: str) -> str:
    """The least type that holds all of them, by the lattice of JAX; weak if all are."""
    return functools.reduce(_join, dtypes)


def _join(a: str, b: str) -> str:
    if a == b or b == "bool":
        return a
    if a == "bool":
        return b
    float_a, float_b = _is_floating(a), _is_floating(b)
    if float_a != float_b:
        return a if float_a else b
    if a in WEAK or b in WEAK:
        return b if a in WEAK else a
    if float_a:
        if _BITS[a] == _BITS[b]:
            return "float32"
        return a if _BITS[a] > _BITS[b] else b
    return _join_integers(a, b)


def _is_floating(dtype: str) -> bool:
    return dtype == "float" or dtype in FLOATS


def _join_integers(a: str, b: str) -> str:
    bits = {name: np.dtype(name).itemsize * 8 for name in (a, b)}
    if a.startswith("u") == b.startswith("u"):
        return a if bits[a] > bits[b] else b
    unsigned, signed = (a, b) if a.startswith("u") else (b, a)
    if bits[signed] > bits[unsigned]:
        return signed
    return f"int{2 * bits[unsigned]}" if bits[unsigned] < 64 else "float"
