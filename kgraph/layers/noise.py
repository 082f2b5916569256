"""Noise that is there in training only."""

import math
from typing import Any

from kgraph import ops, random
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["AlphaDropout", "GaussianDropout", "GaussianNoise"]

# of the SELU function: what it gives for large negative numbers is -_ALPHA * _SCALE
_ALPHA = 1.6732632423543772848170429916717
_SCALE = 1.0507009873554804934193349852946


class _Noise(Layer):
    """Base of the layers that change their input at random, in training.

    Args:
        amount: how much; None of it below 0 or above 1.
        what: its name.
        seed: for its random numbers.
    """

    def __init__(self, amount: float, what: str, seed: int | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not 0 <= amount <= 1:
            raise ValueError(
                f"{type(self).__name__}: expected `{what}` to be a float between 0 and 1. "
                f"Received: {what}={amount}"
            )
        self.seed = seed
        if amount > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def _normal(self, inputs: Any, mean: float, stddev: float) -> Any:
        return random.normal(
            ops.shape(inputs), mean, stddev, dtype=self.compute_dtype, seed=self.seed_generator
        )


@keras_export("keras.layers.GaussianNoise")
class GaussianNoise(_Noise):
    """Adds normally distributed noise of mean 0, in training.

    Args:
        stddev: its standard deviation, from 0 to 1.
        seed: for its random numbers.
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(stddev, "stddev", seed, **kwargs)
        self.stddev = stddev

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The input, in training with noise."""
        if training and self.stddev > 0:
            return inputs + self._normal(inputs, 0.0, self.stddev)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "stddev": self.stddev, "seed": self.seed}


@keras_export("keras.layers.GaussianDropout")
class GaussianDropout(_Noise):
    """Multiplies with normally distributed noise of mean 1, in training.

    Args:
        rate: the noise has the standard deviation `sqrt(rate / (1 - rate))`, that of `Dropout`.
        seed: for its random numbers.
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(rate, "rate", seed, **kwargs)
        self.rate = rate

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The input, in training times noise."""
        if training and self.rate > 0:
            return inputs * self._normal(inputs, 1.0, math.sqrt(self.rate / (1.0 - self.rate)))
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}


@keras_export("keras.layers.AlphaDropout")
class AlphaDropout(_Noise):
    """Dropout for SELU networks: it keeps mean and variance of its input, in training.

    Args:
        rate: the part of the elements that become the lowest value of SELU, from 0 to 1.
        noise_shape: the shape of the mask, 1 where it is shared, None where as the input.
        seed: for its random numbers.
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(rate, "rate", seed, **kwargs)
        self.rate = rate
        self.noise_shape = noise_shape

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The input, in training with elements replaced and the whole scaled."""
        if not training or self.rate <= 0:
            return inputs
        sizes = ops.shape(inputs)
        wanted = self.noise_shape or sizes
        shape = tuple(s if n is None else n for n, s in zip(wanted, sizes, strict=True))
        numbers = random.uniform(shape, seed=self.seed_generator)
        kept = ops.cast(ops.greater_equal(numbers, self.rate), inputs.dtype)
        lowest = -_ALPHA * _SCALE
        factor = ((1 - self.rate) * (1 + self.rate * lowest**2)) ** -0.5
        offset = -factor * lowest * self.rate
        return factor * (inputs * kept + lowest * (1 - kept)) + offset

    def get_config(self) -> dict[str, Any]:
        own = {"rate": self.rate, "seed": self.seed, "noise_shape": self.noise_shape}
        return {**super().get_config(), **own}
