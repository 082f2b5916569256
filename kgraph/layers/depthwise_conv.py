"""Convolutions of each channel by itself."""

from typing import Any

from kgraph import activations, constraints, initializers, ops, regularizers
from kgraph.layers.conv import BaseConv
from kgraph.layers.geometry import conv_output_shape
from kgraph.layers.weight_options import passed_on
from kgraph.registry import keras_export

__all__ = ["DepthwiseConv1D", "DepthwiseConv2D"]


class BaseDepthwiseConv(BaseConv):
    """Makes `depth_multiplier` channels of each channel; further arguments as of `BaseConv`."""

    def __init__(
        self,
        rank: int,
        depth_multiplier: int,
        kernel_size: Any,
        depthwise_initializer: Any = "glorot_uniform",
        depthwise_regularizer: Any = None,
        depthwise_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(rank=rank, filters=None, kernel_size=kernel_size, **kwargs)  # type: ignore[arg-type]  # known when built
        if not isinstance(depth_multiplier, int) or depth_multiplier <= 0:
            raise ValueError(
                "Invalid value for argument `depth_multiplier`. Expected a strictly positive "
                f"value. Received depth_multiplier={depth_multiplier}."
            )
        self.depth_multiplier = depth_multiplier
        self.depthwise_initializer = self.kernel_initializer = initializers.get(
            depthwise_initializer
        )
        self.depthwise_regularizer = self.kernel_regularizer = regularizers.get(
            depthwise_regularizer
        )
        self.depthwise_constraint = self.kernel_constraint = constraints.get(depthwise_constraint)

    def build(self, input_shape: Any) -> None:
        channels = input_shape[self._channel_axis]
        self.filters = None if channels is None else channels * self.depth_multiplier  # type: ignore[assignment]
        super().build(input_shape)

    def _kernel_shape(self, channels: int) -> tuple[int, ...]:
        return (*self.kernel_size, channels, self.depth_multiplier)

    def convolution_op(self, inputs: Any, kernel: Any) -> Any:
        return ops.depthwise_conv(
            inputs,
            kernel,
            strides=self.strides,
            padding=self.padding,
            dilation_rate=self.dilation_rate,
            data_format=self.data_format,
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        filters = self.depth_multiplier * input_shape[self._channel_axis]
        return conv_output_shape(
            input_shape,
            filters,
            self.kernel_size,
            self.strides,
            self.padding,
            self.data_format,
            self.dilation_rate,
        )

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for name in (
            "filters",
            "groups",
            "kernel_initializer",
            "kernel_regularizer",
            "kernel_constraint",
        ):
            config.pop(name)
        return {
            **config,
            "depth_multiplier": self.depth_multiplier,
            "activation": activations.serialize(self.activation),
            "depthwise_initializer": initializers.serialize(self.depthwise_initializer),
            "depthwise_regularizer": regularizers.serialize(self.depthwise_regularizer),
            "depthwise_constraint": constraints.serialize(self.depthwise_constraint),
        }


@keras_export("keras.layers.DepthwiseConv1D")
class DepthwiseConv1D(BaseDepthwiseConv):
    """A depthwise convolution of sequences; the arguments are those of `BaseDepthwiseConv`."""

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = 1,
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals(), rank=1))


@keras_export("keras.layers.DepthwiseConv2D")
class DepthwiseConv2D(BaseDepthwiseConv):
    """A depthwise convolution of images; the arguments are those of `BaseDepthwiseConv`."""

    def __init__(
        self,
        kernel_size: Any,
        strides: Any = (1, 1),
        padding: str = "valid",
        depth_multiplier: int = 1,
        data_format: str | None = None,
        dilation_rate: Any = (1, 1),
        activation: Any = None,
        use_bias: bool = True,
        depthwise_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        depthwise_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        depthwise_constraint: Any = None,
        bias_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals(), rank=2))
