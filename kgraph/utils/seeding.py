"""The seed of the whole process."""

import random
from dataclasses import dataclass

import numpy as np

from kgraph.registry import keras_export

__all__ = ["process_seed", "set_random_seed"]


@dataclass(frozen=True)
class ProcessSeed:
    """What `set_random_seed` was called with last; a new object for each call."""

    seed: int


_current: list[ProcessSeed] = []


@keras_export("keras.utils.set_random_seed")
def set_random_seed(seed: int) -> None:
    """Seeds Python's `random`, numpy's, and the generator behind random functions without a seed.

    Raises:
        ValueError: the seed is no int.
    """
    if not isinstance(seed, int):
        raise ValueError(
            "Expected `seed` argument to be an integer. "
            f"Received: seed={seed!r} (of type {type(seed).__name__})"
        )
    random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002  # data may be shuffled by it
    _current[:] = [ProcessSeed(seed)]


def process_seed() -> ProcessSeed | None:
    """What was set last; None before the first call."""
    return _current[0] if _current else None
