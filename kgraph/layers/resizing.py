"""Layers that add or repeat rows and columns."""

from typing import Any

from kgraph import config, ops
from kgraph.layers.geometry import standardize_tuple
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["UpSampling2D", "ZeroPadding2D"]


@keras_export("keras.layers.ZeroPadding2D")
class ZeroPadding2D(Layer):
    """Zeros around images.

    Args:
        padding: an int, `(height, width)`, or `((top, bottom), (left, right))`.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        if isinstance(padding, int):
            self.padding = ((padding, padding), (padding, padding))
        elif hasattr(padding, "__len__") and len(padding) == 2:
            sides = [standardize_tuple(p, 2, f"{which} entry of padding", allow_zero=True) for which, p in zip(("1st", "2nd"), padding, strict=True)]
            self.padding = ((sides[0][0], sides[0][1]), (sides[1][0], sides[1][1]))
        else:
            raise ValueError(
                "`padding` should be either an int, a tuple of 2 ints (symmetric_height_crop, symmetric_width_crop), or a tuple of 2 tuples of 2 ints "
                f"((top_crop, bottom_crop), (left_crop, right_crop)). Received: padding={padding}."
            )
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        """The padded images."""
        sides = ((0, 0), *self.padding, (0, 0)) if self.data_format == "channels_last" else ((0, 0), (0, 0), *self.padding)
        return ops.pad(inputs, sides)

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = list(input_shape)
        first = 1 if self.data_format == "channels_last" else 2
        for i, (low, high) in enumerate(self.padding):
            if shape[first + i] is not None:
                shape[first + i] += low + high
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "padding": self.padding, "data_format": self.data_format}


@keras_export("keras.layers.UpSampling2D")
class UpSampling2D(Layer):
    """Larger images, by repeating rows and columns.

    Args:
        size: factors of height and width.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
        interpolation: "nearest", or "bilinear".
    """

    def __init__(self, size: Any = (2, 2), data_format: str | None = None, interpolation: str = "nearest", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.size = standardize_tuple(size, 2, "size")
        if interpolation not in ("nearest", "bilinear"):
            raise ValueError(f"UpSampling2D: `interpolation` must be 'nearest' or 'bilinear'; got {interpolation!r}.")
        self.interpolation = interpolation.lower()
        self.input_spec = InputSpec(ndim=4)

    def call(self, inputs: Any) -> Any:
        """The larger images."""
        first = 1 if self.data_format == "channels_last" else 2
        for axis, factor in zip((first, first + 1), self.size, strict=True):
            inputs = ops.repeat(inputs, factor, axis=axis) if self.interpolation == "nearest" else _stretched(inputs, factor, axis)
        return inputs

    def compute_output_shape(self, input_shape: Any) -> Any:
        shape = list(input_shape)
        first = 1 if self.data_format == "channels_last" else 2
        for axis, factor in zip((first, first + 1), self.size, strict=True):
            shape[axis] = None if shape[axis] is None else shape[axis] * factor
        return tuple(shape)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "size": self.size, "data_format": self.data_format, "interpolation": self.interpolation}


def _stretched(x: Any, factor: int, axis: int) -> Any:
    """Linear interpolation between the centres of neighbours, which the edges repeat."""
    size = x.shape[axis]
    places = (ops.cast(ops.arange(size * factor), x.dtype) + 0.5) / factor - 0.5
    low = ops.floor(places)
    shape = [1] * len(x.shape)
    shape[axis] = size * factor
    weight = ops.reshape(places - low, shape)
    below = ops.take(x, ops.cast(ops.clip(low, 0, size - 1), "int32"), axis=axis)
    above = ops.take(x, ops.cast(ops.clip(low + 1, 0, size - 1), "int32"), axis=axis)
    return below + (above - below) * weight
