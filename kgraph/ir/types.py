"""Element types and tensor types."""

from __future__ import annotations

from typing import ClassVar

import ml_dtypes
import numpy as np

from kgraph.ir.dims import Shape, Size, product, symbols_of

# full name -> (name in the text form, numpy's type)
_DTYPES: dict[str, tuple[str, np.dtype[np.generic]]] = {
    "bool": ("bool", np.dtype(np.bool_)),
    **{f"int{n}": (f"i{n}", np.dtype(f"int{n}")) for n in (8, 16, 32, 64)},
    **{f"uint{n}": (f"u{n}", np.dtype(f"uint{n}")) for n in (8, 16, 32, 64)},
    "float16": ("f16", np.dtype(np.float16)),
    "bfloat16": ("bf16", np.dtype(ml_dtypes.bfloat16)),
    "float32": ("f32", np.dtype(np.float32)),
    "float64": ("f64", np.dtype(np.float64)),
}
DTYPES: tuple[str, ...] = tuple(_DTYPES)
FLOATS: tuple[str, ...] = ("float16", "bfloat16", "float32", "float64")
SIGNED: tuple[str, ...] = tuple(name for name in DTYPES if name.startswith("int"))
UNSIGNED: tuple[str, ...] = tuple(name for name in DTYPES if name.startswith("uint"))
INTEGERS: tuple[str, ...] = SIGNED + UNSIGNED

_FROM_SHORT = {short: name for name, (short, _) in _DTYPES.items()}
_FROM_NUMPY = {dtype: name for name, (_, dtype) in _DTYPES.items()}


def numpy_dtype(name: str) -> np.dtype[np.generic]:
    """numpy's dtype of a dtype name; `bfloat16` is that of ml_dtypes."""
    return _DTYPES[name][1]


def dtype_name(dtype: object) -> str:
    """The name of anything that numpy takes as a dtype; TypeError for other element types."""
    if isinstance(dtype, str) and dtype in _DTYPES:
        return dtype
    found = _FROM_NUMPY.get(np.dtype(dtype).newbyteorder("="))  # type: ignore[call-overload]  # any object
    if found is None:
        raise TypeError(f"expected one of the dtypes {', '.join(DTYPES)}; got {dtype}")
    return found


def short_dtype(name: str) -> str:
    """The name in the text form: `f32` for `float32`."""
    return _DTYPES[name][0]


def long_dtype(short: str) -> str:
    """The inverse of `short_dtype`; KeyError for an unknown name."""
    return _FROM_SHORT[short]


def is_float(dtype: str) -> bool:
    """Is it one of `FLOATS`?"""
    return dtype in FLOATS


class TensorType:
    """A shape and a dtype. Interned: equal types are one object, so `is` compares them."""

    __slots__ = ("dtype", "shape")
    shape: Shape
    dtype: str
    _table: ClassVar[dict[tuple[Shape, str], TensorType]] = {}

    def __new__(cls, shape: Shape, dtype: str) -> TensorType:  # noqa: PYI034  # interned
        """Makes or finds the type; `shape` is a tuple of sizes, `dtype` one of `DTYPES`."""
        found = cls._table.get((shape, dtype))
        if found is None:
            if dtype not in _DTYPES:
                raise TypeError(f"expected one of the dtypes {', '.join(DTYPES)}; got {dtype!r}")
            shape = tuple(d if not isinstance(d, int) else int(d) for d in shape)
            if any(isinstance(d, int) and d < 0 for d in shape):
                raise ValueError(f"expected sizes of at least 0; got the shape {shape}")
            found = object.__new__(cls)
            object.__setattr__(found, "shape", shape)
            object.__setattr__(found, "dtype", dtype)
            found = cls._table.setdefault((shape, dtype), found)
        return found

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("a TensorType is immutable")

    def __reduce__(self) -> tuple[type[TensorType], tuple[Shape, str]]:
        return TensorType, (self.shape, self.dtype)

    @property
    def rank(self) -> int:
        """The number of dims."""
        return len(self.shape)

    @property
    def size(self) -> Size:
        """The number of elements."""
        return product(self.shape)

    @property
    def nbytes(self) -> Size:
        """The bytes of a dense array of this type; a bool takes one."""
        return product(self.shape) * numpy_dtype(self.dtype).itemsize

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols of the shape, sorted."""
        return tuple(sorted({s for d in self.shape for s in symbols_of(d)}))

    def with_shape(self, shape: Shape) -> TensorType:
        """The same dtype in another shape."""
        return TensorType(shape, self.dtype)

    def with_dtype(self, dtype: str) -> TensorType:
        """The same shape of another dtype."""
        return TensorType(self.shape, dtype)

    def __str__(self) -> str:
        return f"{short_dtype(self.dtype)}[{','.join(map(str, self.shape))}]"

    __repr__ = __str__
