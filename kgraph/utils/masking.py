"""The mask that travels with a tensor: True where a time step or an element counts."""

import weakref
from typing import Any

__all__ = ["get_keras_mask", "set_keras_mask"]

# numpy arrays take no attributes: their masks wait here, under the array's id, for as long as
# the array lives.
_ARRAY_MASKS: dict[int, tuple["weakref.ref[Any]", Any]] = {}


def set_keras_mask(x: Any, mask: Any) -> None:
    """Attaches `mask` to the tensor or array `x`; None detaches it."""
    try:
        x._keras_mask = mask
        return
    except AttributeError:
        pass
    key = id(x)
    if mask is None:
        _ARRAY_MASKS.pop(key, None)
        return
    try:
        reference = weakref.ref(x, lambda _: _ARRAY_MASKS.pop(key, None))
    except TypeError:  # numpy scalars: nothing to mask
        return
    _ARRAY_MASKS[key] = (reference, mask)


def get_keras_mask(x: Any) -> Any:
    """Returns the mask of `x`, or None."""
    mask = getattr(x, "_keras_mask", None)
    if mask is None:
        entry = _ARRAY_MASKS.get(id(x))
        if entry is not None and entry[0]() is x:
            mask = entry[1]
    return mask
