"""Leaving whole channels out at random."""

from typing import Any

from kgraph import config, ops, random
from kgraph.layers.dropout import Dropout
from kgraph.layers.input_spec import InputSpec
from kgraph.registry import keras_export

__all__ = ["SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"]


class BaseSpatialDropout(Dropout):
    """In training sets a part of the channels to 0 and scales the others up.

    Args:
        rate: the part that is left out, from 0 to 1.
        seed: for its random numbers.
    """

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = "channels_last"

    def call(self, inputs: Any, training: bool = False) -> Any:
        """The input, in training with a part of its channels left out."""
        if not training or self.rate <= 0:
            return inputs
        sizes = ops.shape(inputs)
        spatial = (1,) * (len(sizes) - 2)
        if self.data_format == "channels_last":
            shape = (sizes[0], *spatial, sizes[-1])
        else:
            shape = (*sizes[:2], *spatial)
        return random.dropout(inputs, self.rate, noise_shape=shape, seed=self.seed_generator)

    def get_config(self) -> dict[str, Any]:
        return {"rate": self.rate, "seed": self.seed, "name": self.name, "dtype": self.dtype}


@keras_export("keras.layers.SpatialDropout1D")
class SpatialDropout1D(BaseSpatialDropout):
    """Leaves out channels of `(batch, steps, channels)`; the arguments are those of the base."""

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: Any = None
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.input_spec = InputSpec(ndim=3)


@keras_export("keras.layers.SpatialDropout2D")
class SpatialDropout2D(BaseSpatialDropout):
    """Leaves out channels of images.

    Args:
        rate: the part that is left out, from 0 to 1.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
        seed: for its random numbers.
    """

    rank = 4

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(ndim=self.rank)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


@keras_export("keras.layers.SpatialDropout3D")
class SpatialDropout3D(SpatialDropout2D):
    """Leaves out channels of volumes; the arguments are those of `SpatialDropout2D`."""

    rank = 5
