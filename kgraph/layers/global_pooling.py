"""Maxima and averages of all positions."""

from typing import Any

from kgraph import config, ops
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = [
    "GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D",
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D",
]  # fmt: skip


class BaseGlobalPooling(Layer):
    """A maximum or average over all spatial dims.

    Args:
        pool_dimensions: the number of spatial dims.
        data_format: "channels_last" or "channels_first"; None: `config.image_data_format()`.
        keepdims: keeps the spatial dims, with size 1.
    """

    def __init__(
        self,
        pool_dimensions: int,
        data_format: str | None = None,
        keepdims: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.keepdims = keepdims
        self.input_spec = InputSpec(ndim=pool_dimensions + 2)
        first = 1 if self.data_format == "channels_last" else 2
        self._axes = tuple(range(first, first + pool_dimensions))
        self.built = True

    def compute_output_shape(self, input_shape: Any) -> Any:
        if self.keepdims:
            return tuple(1 if i in self._axes else n for i, n in enumerate(input_shape))
        return tuple(n for i, n in enumerate(input_shape) if i not in self._axes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format, "keepdims": self.keepdims}


@keras_export(["keras.layers.GlobalAveragePooling1D", "keras.layers.GlobalAvgPool1D"])
class GlobalAveragePooling1D(BaseGlobalPooling):
    """The average over the steps; the arguments are those of `BaseGlobalPooling`."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(pool_dimensions=1, data_format=data_format, keepdims=keepdims, **kwargs)
        self.supports_masking = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The average, over the steps that the mask keeps."""
        if mask is None:
            return ops.mean(inputs, axis=self._axes, keepdims=self.keepdims)
        step = self._axes[0]
        weights = ops.expand_dims(ops.cast(mask, inputs.dtype), 2 if step == 1 else 1)
        total = ops.sum(inputs * weights, axis=step, keepdims=self.keepdims)
        return total / ops.sum(weights, axis=step, keepdims=self.keepdims)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return None


@keras_export(["keras.layers.GlobalAveragePooling2D", "keras.layers.GlobalAvgPool2D"])
class GlobalAveragePooling2D(BaseGlobalPooling):
    """The average over all 2 spatial dims; the arguments are those of `BaseGlobalPooling`."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(pool_dimensions=2, data_format=data_format, keepdims=keepdims, **kwargs)

    def call(self, inputs: Any) -> Any:
        """The average."""
        return ops.mean(inputs, axis=self._axes, keepdims=self.keepdims)


@keras_export(["keras.layers.GlobalAveragePooling3D", "keras.layers.GlobalAvgPool3D"])
class GlobalAveragePooling3D(BaseGlobalPooling):
    """The average over all 3 spatial dims; the arguments are those of `BaseGlobalPooling`."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(pool_dimensions=3, data_format=data_format, keepdims=keepdims, **kwargs)

    def call(self, inputs: Any) -> Any:
        """The average."""
        return ops.mean(inputs, axis=self._axes, keepdims=self.keepdims)


@keras_export(["keras.layers.GlobalMaxPooling1D", "keras.layers.GlobalMaxPool1D"])
class GlobalMaxPooling1D(BaseGlobalPooling):
    """The maximum over the steps; the arguments are those of `BaseGlobalPooling`."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(pool_dimensions=1, data_format=data_format, keepdims=keepdims, **kwargs)

    def call(self, inputs: Any) -> Any:
        """The maximum."""
        return ops.max(inputs, axis=self._axes, keepdims=self.keepdims)


@keras_export(["keras.layers.GlobalMaxPooling2D", "keras.layers.GlobalMaxPool2D"])
class GlobalMaxPooling2D(BaseGlobalPooling):
    """The maximum over all 2 spatial dims; the arguments are those of `BaseGlobalPooling`."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(pool_dimensions=2, data_format=data_format, keepdims=keepdims, **kwargs)

    def call(self, inputs: Any) -> Any:
        """The maximum."""
        return ops.max(inputs, axis=self._axes, keepdims=self.keepdims)


@keras_export(["keras.layers.GlobalMaxPooling3D", "keras.layers.GlobalMaxPool3D"])
class GlobalMaxPooling3D(BaseGlobalPooling):
    """The maximum over all 3 spatial dims; the arguments are those of `BaseGlobalPooling`."""

    def __init__(
        self, data_format: str | None = None, keepdims: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(pool_dimensions=3, data_format=data_format, keepdims=keepdims, **kwargs)

    def call(self, inputs: Any) -> Any:
        """The maximum."""
        return ops.max(inputs, axis=self._axes, keepdims=self.keepdims)
