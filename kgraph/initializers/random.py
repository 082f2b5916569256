"""Initializers that draw from one distribution."""

from collections.abc import Sequence
from typing import Any

from kgraph import random, registry
from kgraph.initializers.base import Initializer
from kgraph.registry import keras_export

__all__ = ["RandomInitializer", "RandomNormal", "RandomUniform", "TruncatedNormal"]


class RandomInitializer(Initializer):
    """Holds the seed of a random initializer.

    With an integer seed (or None: an integer drawn now) every call gives the same numbers; a
    `SeedGenerator` gives new ones each time.
    """

    def __init__(self, seed: Any = None) -> None:
        self._init_seed = seed
        if seed is None:
            seed = random.make_default_seed()
        elif isinstance(seed, dict):
            seed = registry.deserialize_keras_object(seed)
        elif not isinstance(seed, (int, random.SeedGenerator)):
            raise ValueError(
                "`seed` must be an integer, None or a `keras.random.SeedGenerator`; "
                f"got {seed!r} of type {type(seed).__name__}."
            )
        self.seed = seed

    def get_config(self) -> dict[str, Any]:
        return {"seed": registry.serialize_keras_object(self._init_seed)}


@keras_export(["keras.initializers.RandomNormal", "keras.initializers.random_normal"])
class RandomNormal(RandomInitializer):
    """Draws from a normal distribution.

    Args:
        mean: the distribution's mean.
        stddev: its standard deviation.
        seed: an integer, None or a `SeedGenerator`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        return random.normal(shape, mean=self.mean, stddev=self.stddev, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@keras_export(["keras.initializers.TruncatedNormal", "keras.initializers.truncated_normal"])
class TruncatedNormal(RandomInitializer):
    """Draws from a normal distribution cut off two standard deviations from its mean.

    Args:
        mean: the mean before the cut.
        stddev: the standard deviation before the cut.
        seed: an integer, None or a `SeedGenerator`.
    """

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean = mean
        self.stddev = stddev
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        return random.truncated_normal(
            shape, mean=self.mean, stddev=self.stddev, dtype=dtype, seed=self.seed
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "mean": self.mean, "stddev": self.stddev}


@keras_export(["keras.initializers.RandomUniform", "keras.initializers.random_uniform"])
class RandomUniform(RandomInitializer):
    """Draws evenly from `minval` (included) to `maxval` (excluded).

    Args:
        minval: the lower bound.
        maxval: the upper bound.
        seed: an integer, None or a `SeedGenerator`.
    """

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        self.minval = minval
        self.maxval = maxval
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        return random.uniform(
            shape, minval=self.minval, maxval=self.maxval, dtype=dtype, seed=self.seed
        )

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "minval": self.minval, "maxval": self.maxval}
