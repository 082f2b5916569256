"""Larger by repeating elements, or by linear interpolation."""

from typing import Any

from kgraph import config, ops
from kgraph.layers.geometry import standardize_tuple
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["UpSampling1D", "UpSampling2D", "UpSampling3D"]


class _UpSampling(Layer):
    """Repeats each element along the spatial dims.

    Args:
        factors: how often, per spatial dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(self, factors: tuple[int, ...], data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.factors = factors
        self.size: Any = factors if len(factors) > 1 else factors[0]
        self.input_spec = InputSpec(ndim=len(factors) + 2)
        first = 1 if self.data_format == "channels_last" else 2
        self._axes = range(first, first + len(factors))

    def call(self, inputs: Any) -> Any:
        """The repeated elements, all dims in one step: what is between them would be in memory."""
        apart: list[Any] = []
        spread: list[Any] = []
        whole: list[Any] = []
        factors = dict(zip(self._axes, self.factors, strict=True))
        for axis, size in enumerate(ops.shape(inputs)):
            factor = factors.get(axis)
            apart += [size] if factor is None else [size, 1]
            spread += [size] if factor is None else [size, factor]
            whole.append(size if factor is None else size * factor)
        return ops.reshape(ops.broadcast_to(ops.reshape(inputs, apart), spread), whole)

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes = list(input_shape)
        for axis, factor in zip(self._axes, self.factors, strict=True):
            if sizes[axis] is not None:
                sizes[axis] *= factor
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        own: dict[str, Any] = {"size": self.size}
        if len(self.factors) > 1:
            own["data_format"] = self.data_format
        return {**super().get_config(), **own}


@keras_export("keras.layers.UpSampling1D")
class UpSampling1D(_UpSampling):
    """Repeats each step of `(batch, steps, channels)`.

    Args:
        size: how often.
    """

    def __init__(self, size: int = 2, **kwargs: Any) -> None:
        if not isinstance(size, int) or isinstance(size, bool):
            raise TypeError(f"Expected an integer value for `size`, got {type(size)}.")
        if size <= 0:
            raise ValueError(f"Argument `size` should be a positive integer. Received: size={size}")
        super().__init__((size,), "channels_last", **kwargs)


@keras_export("keras.layers.UpSampling2D")
class UpSampling2D(_UpSampling):
    """Makes images larger.

    Args:
        size: an int or a factor per dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
        interpolation: "nearest" or "bilinear".
    """

    def __init__(
        self,
        size: Any = (2, 2),
        data_format: str | None = None,
        interpolation: str = "nearest",
        **kwargs: Any,
    ) -> None:
        super().__init__(standardize_tuple(size, 2, "size"), data_format, **kwargs)
        self.interpolation = interpolation.lower()
        if self.interpolation not in ("nearest", "bilinear"):
            raise ValueError(
                "UpSampling2D: `interpolation` must be 'nearest' or 'bilinear'. "
                f"Received: interpolation={interpolation!r}"
            )

    def call(self, inputs: Any) -> Any:
        """The larger images."""
        if self.interpolation == "nearest":
            return super().call(inputs)
        for axis, factor in zip(self._axes, self.factors, strict=True):
            inputs = _stretched(inputs, axis, factor)
        return inputs

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "interpolation": self.interpolation}


def _stretched(x: Any, axis: int, factor: int) -> Any:
    """Linear interpolation along an axis; pixels are areas, beyond the edge the last one goes on.

    Output pixel `factor * i + k` lies at `i + (k + 0.5) / factor - 0.5` of the input, so that each
    k has fixed weights for the pixel i and for the neighbour on one side.
    """
    before = [slice(None)] * len(x.shape)
    after = list(before)
    before[axis], after[axis] = slice(0, 1), slice(-1, None)
    inner, outer = list(after), list(after)
    inner[axis], outer[axis] = slice(None, -1), slice(1, None)
    left = ops.concatenate([x[tuple(before)], x[tuple(inner)]], axis=axis)
    right = ops.concatenate([x[tuple(outer)], x[tuple(after)]], axis=axis)
    phases = []
    for k in range(factor):
        offset = (k + 0.5) / factor - 0.5
        neighbour = left if offset < 0 else right
        phases.append(x * (1 - abs(offset)) + neighbour * abs(offset))
    shape = list(x.shape)
    shape[axis] = shape[axis] * factor
    return ops.reshape(ops.stack(phases, axis=axis + 1), tuple(shape))


@keras_export("keras.layers.UpSampling3D")
class UpSampling3D(_UpSampling):
    """Repeats each element of volumes.

    Args:
        size: an int or a factor per dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(
        self, size: Any = (2, 2, 2), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(standardize_tuple(size, 3, "size"), data_format, **kwargs)
