"""Data for programs that are only measured."""

from typing import Any

import numpy as np

from kgraph.ir import TensorType, numpy_dtype


def made_up(type_: TensorType, seed: int) -> Any:
    """Numbers between 0 and 1; zeros where they may be indices."""
    dtype = numpy_dtype(type_.dtype)
    if dtype.kind in "biu":
        return np.zeros(type_.shape, dtype)
    return np.random.default_rng(seed).random(type_.shape).astype(dtype)
