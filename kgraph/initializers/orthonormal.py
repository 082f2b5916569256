"""Orthogonal matrices as initial weights."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from kgraph import ops, random
from kgraph.initializers.random import RandomInitializer
from kgraph.registry import keras_export

__all__ = ["Orthogonal"]


@keras_export(
    [
        "keras.initializers.Orthogonal",
        "keras.initializers.orthogonal",
        "keras.initializers.OrthogonalInitializer",
    ]
)
class Orthogonal(RandomInitializer):
    """Makes a weight whose matrix form has orthonormal rows or columns, times `gain`.

    The matrix form of a weight of higher rank joins all axes but the last.

    Args:
        gain: the factor.
        seed: an integer, None or a `SeedGenerator`.
    """

    def __init__(self, gain: float = 1.0, seed: Any = None) -> None:
        self.gain = gain
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        if len(shape) < 2:
            raise ValueError(f"Orthogonal needs a shape of rank 2 or more; got {tuple(shape)}.")
        rows, columns = math.prod(shape[:-1]), shape[-1]
        tall = (max(rows, columns), min(rows, columns))
        normal = np.asarray(random.normal(tall, dtype=dtype, seed=self.seed))
        # LAPACK has no 16-bit floats; the factors are rounded once, below.
        q, r = np.linalg.qr(normal.astype(np.promote_types(normal.dtype, np.float32)))
        # A QR decomposition is unique only up to signs; with r's diagonal positive, q is
        # uniform over the orthogonal matrices.
        q = q * np.sign(np.diagonal(r))
        if rows < columns:
            q = q.T
        return ops.cast(self.gain * q.reshape(tuple(shape)), str(normal.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "gain": self.gain}
