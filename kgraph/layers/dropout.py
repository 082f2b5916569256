"""Leaving elements out at random."""

from typing import Any

from kgraph import random
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["Dropout"]


@keras_export("keras.layers.Dropout")
class Dropout(Layer):
    """In training sets a part of the elements to 0 and scales the others up, so that the
    expectation stays.

    Args:
        rate: the part that is left out, from 0 to 1.
        noise_shape: the shape of the mask, 1 where it is shared; None: that of the input.
        seed: for its random numbers.
    """

    def __init__(
        self, rate: float, noise_shape: Any = None, seed: int | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        if not 0 <= rate <= 1:
            raise ValueError(
                "Invalid value received for argument `rate`. Expected a float value between 0 and "
                f"1. Received: rate={rate}"
            )
        self.rate = rate
        self.seed = seed
        self.noise_shape = noise_shape
        if rate > 0:
            self.seed_generator = random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The input, in training with a part of its elements left out."""
        if training and self.rate > 0:
            return random.dropout(
                inputs, self.rate, noise_shape=self.noise_shape, seed=self.seed_generator
            )
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rate": self.rate,
            "seed": self.seed,
            "noise_shape": self.noise_shape,
        }
