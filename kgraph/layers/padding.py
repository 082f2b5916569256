"""Zeros around, and margins cut off."""

from typing import Any

from kgraph import config, ops
from kgraph.layers.geometry import standardize_tuple
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = [
    "Cropping1D", "Cropping2D", "Cropping3D", "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D",
]  # fmt: skip


def _margins(value: Any, rank: int, name: str) -> tuple[tuple[int, ...], ...]:
    """(before, after) per spatial dim, from an int, a size per dim, or pairs."""
    if isinstance(value, int):
        value = (value,) * rank
    if not hasattr(value, "__len__") or len(value) != rank:
        raise ValueError(
            f"The `{name}` argument must be an int, or have {rank} entries, each an int or a pair "
            f"of ints. Received: {name}={value}"
        )
    return tuple(standardize_tuple(v, 2, f"entry of {name}", allow_zero=True) for v in value)


class _Margins(Layer):
    """Base of layers that add or remove margins: a pair of sizes per spatial dim."""

    margins: tuple[tuple[int, ...], ...]
    data_format: str

    def _spatial(self) -> range:
        first = 1 if self.data_format == "channels_last" else 2
        return range(first, first + len(self.margins))


class _ZeroPadding(_Margins):
    """Puts zeros before and behind each spatial dim.

    Args:
        margins: (before, after) per spatial dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(self, margins: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.margins = margins
        self.padding: Any = margins if len(margins) > 1 else margins[0]
        self.input_spec = InputSpec(ndim=len(margins) + 2)

    def call(self, inputs: Any) -> Any:
        """The input with zeros around."""
        widths = [(0, 0)] * (len(self.margins) + 2)
        for axis, (before, after) in zip(self._spatial(), self.margins, strict=True):
            widths[axis] = (before, after)
        return ops.pad(inputs, tuple(widths))

    def compute_output_shape(self, input_shape: Any) -> Any:
        sizes = list(input_shape)
        for axis, margin in zip(self._spatial(), self.margins, strict=True):
            if sizes[axis] is not None:
                sizes[axis] += sum(margin)
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        own = {"padding": self.padding, "data_format": self.data_format}
        return {**super().get_config(), **own}


@keras_export("keras.layers.ZeroPadding1D")
class ZeroPadding1D(_ZeroPadding):
    """Puts zero steps before and behind `(batch, steps, channels)`.

    Args:
        padding: an int or a pair.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(self, padding: Any = 1, data_format: str | None = None, **kwargs: Any) -> None:
        margin = standardize_tuple(padding, 2, "padding", allow_zero=True)
        super().__init__((margin,), data_format, **kwargs)


@keras_export("keras.layers.ZeroPadding2D")
class ZeroPadding2D(_ZeroPadding):
    """Puts rows and columns of zeros around images.

    Args:
        padding: an int, a size per dim, or a pair per dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(
        self, padding: Any = (1, 1), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(_margins(padding, 2, "padding"), data_format, **kwargs)


@keras_export("keras.layers.ZeroPadding3D")
class ZeroPadding3D(_ZeroPadding):
    """Puts zeros around volumes.

    Args:
        padding: an int, a size per dim, or a pair per dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(
        self,
        padding: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_margins(padding, 3, "padding"), data_format, **kwargs)


class _Cropping(_Margins):
    """Cuts margins off each spatial dim.

    Args:
        margins: (before, after) per spatial dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(self, margins: Any, data_format: str | None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.margins = margins
        self.cropping: Any = margins if len(margins) > 1 else margins[0]
        self.input_spec = InputSpec(ndim=len(margins) + 2)

    def call(self, inputs: Any) -> Any:
        """What is left."""
        self._check(inputs.shape)
        cut = [slice(None)] * (len(self.margins) + 2)
        for axis, (before, after) in zip(self._spatial(), self.margins, strict=True):
            cut[axis] = slice(before, -after if after else None)
        return inputs[tuple(cut)]

    def _check(self, shape: Any) -> None:
        for axis, margin in zip(self._spatial(), self.margins, strict=True):
            if isinstance(shape[axis], int) and sum(margin) >= shape[axis]:
                raise ValueError(
                    f"{type(self).__name__} '{self.name}': `cropping` must leave something of the "
                    f"input. Received: input_shape={tuple(shape)}, cropping={self.cropping}"
                )

    def compute_output_shape(self, input_shape: Any) -> Any:
        self._check(input_shape)
        sizes = list(input_shape)
        for axis, margin in zip(self._spatial(), self.margins, strict=True):
            if sizes[axis] is not None:
                sizes[axis] -= sum(margin)
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        own: dict[str, Any] = {"cropping": self.cropping}
        if len(self.margins) > 1:
            own["data_format"] = self.data_format
        return {**super().get_config(), **own}


@keras_export("keras.layers.Cropping1D")
class Cropping1D(_Cropping):
    """Cuts steps off `(batch, steps, channels)`.

    Args:
        cropping: an int or a pair.
    """

    def __init__(self, cropping: Any = (1, 1), **kwargs: Any) -> None:
        margin = standardize_tuple(cropping, 2, "cropping", allow_zero=True)
        super().__init__((margin,), "channels_last", **kwargs)


@keras_export("keras.layers.Cropping2D")
class Cropping2D(_Cropping):
    """Cuts rows and columns off images.

    Args:
        cropping: an int, a size per dim, or a pair per dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(
        self, cropping: Any = ((0, 0), (0, 0)), data_format: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(_margins(cropping, 2, "cropping"), data_format, **kwargs)


@keras_export("keras.layers.Cropping3D")
class Cropping3D(_Cropping):
    """Cuts margins off volumes.

    Args:
        cropping: an int, a size per dim, or a pair per dim.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
    """

    def __init__(
        self,
        cropping: Any = ((1, 1), (1, 1), (1, 1)),
        data_format: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(_margins(cropping, 3, "cropping"), data_format, **kwargs)
