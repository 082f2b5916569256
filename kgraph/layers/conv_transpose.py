"""Transposed convolutions: the gradients of convolutions, used to enlarge."""

from typing import Any

from kgraph import ops
from kgraph.layers.conv import BaseConv
from kgraph.layers.geometry import standardize_tuple
from kgraph.layers.weight_options import passed_on
from kgraph.registry import keras_export

__all__ = ["Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose"]


class BaseConvTranspose(BaseConv):
    """A transposed convolution; the arguments are those of `BaseConv`.

    Args:
        output_padding: rows and columns that are added at the far side; None: as the padding wants.
    """

    def __init__(self, rank: int, output_padding: Any = None, **kwargs: Any) -> None:
        super().__init__(rank=rank, **kwargs)
        self.output_padding = (
            None
            if output_padding is None
            else standardize_tuple(output_padding, rank, "output_padding", allow_zero=True)
        )

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, self.filters, channels)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return ops.conv_transpose(
            inputs,
            kernel,
            strides=list(self.strides),
            output_padding=self.output_padding,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        last = self.data_format == "channels_last"
        spatial = input_shape[1:-1] if last else input_shape[2:]
        extra = self.output_padding or (None,) * self.rank
        sizes = [
            self._size(*args)
            for args in zip(
                spatial, self.kernel_size, self.strides, self.dilation_rate, extra, strict=True
            )
        ]
        return (
            (input_shape[0], *sizes, self.filters)
            if last
            else (input_shape[0], self.filters, *sizes)
        )

    def _size(
        self, size: int | None, window: int, stride: int, dilation: int, extra: int | None
    ) -> int | None:
        if size is None:
            return None
        span = (window - 1) * dilation + 1
        if extra is None:
            return (
                size * stride if self.padding == "same" else size * stride + max(span - stride, 0)
            )
        pad = span // 2 if self.padding == "same" else 0
        return (size - 1) * stride + span - 2 * pad + extra

    def get_config(self) -> dict[str, Any]:
        config = {**super().get_config(), "output_padding": self.output_padding}
        config.pop("groups")
        return config


@keras_export(["keras.layers.Conv1DTranspose", "keras.layers.Convolution1DTranspose"])
class Conv1DTranspose(BaseConvTranspose):
    """A transposed convolution of sequences; the arguments are those of `BaseConvTranspose`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals(), rank=1))


@keras_export(["keras.layers.Conv2DTranspose", "keras.layers.Convolution2DTranspose"])
class Conv2DTranspose(BaseConvTranspose):
    """A transposed convolution of images; the arguments are those of `BaseConvTranspose`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        output_padding: Any = None,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals(), rank=2))


@keras_export(["keras.layers.Conv3DTranspose", "keras.layers.Convolution3DTranspose"])
class Conv3DTranspose(BaseConvTranspose):
    """A transposed convolution of volumes; the arguments are those of `BaseConvTranspose`."""

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = (1, 1, 1),
        padding: str = "valid",
        data_format: str | None = None,
        output_padding: Any = None,
        dilation_rate: Any = (1, 1, 1),
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals(), rank=3))
