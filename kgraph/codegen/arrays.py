"""Taking arrays from users: any layout comes in, a dense one goes on."""

from __future__ import annotations

import numpy as np

from kgraph.ir import Array, TensorType, numpy_dtype


def accept_array(value: object, type_: TensorType, name: str) -> Array:
    """`value` as a C-contiguous, aligned array of native byte order; a copy only where it is none.

    Python numbers and lists take the dtype of `type_`; arrays must have it.

    Raises:
        TypeError: the value is no array, or its dtype is not that of the parameter.
    """
    dtype = numpy_dtype(type_.dtype)
    if type(value) is np.ndarray and value.dtype is dtype:  # as it mostly is
        flags = value.flags
        if flags.c_contiguous and flags.aligned:
            return value
    if not isinstance(value, np.ndarray):
        value = _array_of(value, dtype, type_, name)
    if value.dtype != dtype and value.dtype.newbyteorder("=") != dtype:
        raise TypeError(
            f"the argument {name} must be {type_}; got the dtype {value.dtype}. "
            f"Convert it first: {name}.astype({type_.dtype!r})"
        )
    if type(value) is not np.ndarray:
        value = np.asarray(value)  # a masked array or a matrix has rules of its own
    flags = value.flags
    if flags.c_contiguous and flags.aligned and value.dtype.isnative:
        return value
    return np.array(value, dtype, order="C", copy=True)


def _array_of(value: object, dtype: np.dtype[np.generic], type_: TensorType, name: str) -> Array:
    if hasattr(value, "dtype"):
        return np.asarray(value)  # a numpy scalar or another library's array: its dtype counts
    try:
        kind = np.asarray(value).dtype.kind
        # bool -> integer -> float are no surprises, the other directions lose something
        if (
            kind == "b"
            or (kind in "iu" and dtype.kind != "b")
            or (kind == "f" and dtype.kind not in "biu")
        ):
            return np.asarray(value, dtype)
    except (TypeError, ValueError, OverflowError):
        pass
    raise TypeError(f"the argument {name} must be an array of {type_}; got {value!r:.60}")
