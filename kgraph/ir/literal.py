"""Arrays as attributes: immutable, compared by their bits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from kgraph.ir.types import dtype_name, numpy_dtype, short_dtype


@dataclass(frozen=True, slots=True)
class Literal:
    """A dense row-major array of concrete shape. Equal means the same dtype, shape and bits."""

    dtype: str
    shape: tuple[int, ...]
    data: bytes

    @staticmethod
    def of(value: ArrayLike, dtype: str | None = None) -> Literal:
        """The literal of an array or number; without `dtype`, numpy's own choice."""
        array = np.asarray(value) if dtype is None else np.asarray(value, numpy_dtype(dtype))
        name = dtype_name(array.dtype)
        array = np.ascontiguousarray(array, numpy_dtype(name)).reshape(array.shape)
        return Literal(name, array.shape, array.tobytes())

    @property
    def array(self) -> NDArray[np.generic]:
        """The array, read-only."""
        return np.frombuffer(self.data, numpy_dtype(self.dtype)).reshape(self.shape)

    def __str__(self) -> str:
        """`f32(0.5)`, `i32([1, 2])`; what such texts lose (odd NaNs, empty shapes) in bytes."""
        short, array = short_dtype(self.dtype), self.array
        values = (
            array.tolist()
            if self.dtype not in ("bfloat16", "float16", "float32")
            else _short_floats(array)
        )
        text = _text(values)
        if 0 in self.shape or _from_list(values, self.dtype).tobytes() != self.data:
            return f"{short}.bits({self.shape}, '{self.data.hex()}')"
        return f"{short}({text})"

    __repr__ = __str__


def _short_floats(array: NDArray[np.generic]) -> object:
    """Nested lists of Python floats that print as short as their dtype allows."""
    flat = [float(str(x)) for x in array.ravel()]
    return np.array(flat, np.float64).reshape(array.shape).tolist()


def _from_list(values: object, dtype: str) -> NDArray[np.generic]:
    return np.asarray(cast("ArrayLike", values)).astype(numpy_dtype(dtype))


def _text(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return repr(value)
