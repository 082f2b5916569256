"""One row per layer and setting: what the tests compare with Keras."""

from dataclasses import dataclass, field
from typing import Any

__all__ = ["CASES", "Case"]


@dataclass(frozen=True)
class Case:
    """A layer, its arguments, and the shapes of the inputs it is called on.

    Attributes:
        name: the class.
        arguments: of the constructor.
        shapes: of the inputs, batch included; several make a list.
        integers: the inputs are ints below this number.
        call: further arguments of the call.
        mask: calls with a mask of the first two dims.
        rtol: relative tolerance of the outputs.
    """

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    shapes: tuple[tuple[int, ...], ...] = ((2, 5),)
    integers: int = 0
    call: dict[str, Any] = field(default_factory=dict)
    mask: bool = False
    rtol: float = 2e-5

    def __str__(self) -> str:
        said = ",".join(f"{k}={v}" for k, v in {**self.arguments, **self.call}.items())
        return f"{self.name}({said})" + ("+mask" if self.mask else "")


def case(name: str, *shapes: tuple[int, ...], **arguments: Any) -> Case:
    """A row without further settings."""
    return Case(name, arguments, shapes or ((2, 5),))


STEPS, IMAGE, VOLUME = (2, 7, 3), (2, 6, 5, 3), (2, 4, 5, 6, 2)

BASIC = [
    case("Dense", units=4),
    case("Dense", (2, 3, 5), units=4, activation="relu", use_bias=False),
    case("Dense", units=2, kernel_initializer="he_normal", kernel_regularizer="l2"),
    case("Dense", units=2, bias_constraint="non_neg", activity_regularizer="l1"),
    case("Activation", activation="tanh"),
    case("ReLU"),
    case("ReLU", max_value=0.5, negative_slope=0.1, threshold=0.2),
    case("LeakyReLU", negative_slope=0.2),
    case("ELU", alpha=0.7),
    case("PReLU", (2, 3, 4), shared_axes=[1]),
    case("Softmax"),
    case("Softmax", (2, 3, 4), axis=[1, 2]),
    case("Dropout", rate=0.3),
    case("GaussianNoise", stddev=0.3),
    case("GaussianDropout", rate=0.3, seed=3),
    case("AlphaDropout", rate=0.3),
    case("SpatialDropout1D", STEPS, rate=0.3),
    case("SpatialDropout2D", IMAGE, rate=0.3),
    case("SpatialDropout3D", VOLUME, rate=0.3),
    case("ActivityRegularization", l1=0.1),
    case("Identity"),
    case("Masking", STEPS, mask_value=0.0),
    Case("Embedding", {"input_dim": 9, "output_dim": 4}, ((2, 6),), integers=9),
    Case("Embedding", {"input_dim": 9, "output_dim": 4, "mask_zero": True}, ((2, 6),), integers=9),
    case("EinsumDense", (2, 3, 5), equation="abc,cd->abd", output_shape=(None, 4), bias_axes="d"),
    case("EinsumDense", (2, 3, 5), equation="...x,xy->...y", output_shape=4),
]

RESHAPING = [
    case("Flatten", IMAGE),
    case("Flatten", IMAGE, data_format="channels_first"),
    case("Flatten", (3,)),
    case("Reshape", (2, 6), target_shape=(3, -1)),
    case("Permute", STEPS, dims=(2, 1)),
    case("RepeatVector", n=3),
    case("ZeroPadding1D", STEPS, padding=(1, 2)),
    case("ZeroPadding2D", IMAGE, padding=((1, 0), (2, 1))),
    case("ZeroPadding2D", IMAGE, padding=1, data_format="channels_first"),
    case("ZeroPadding3D", VOLUME),
    case("Cropping1D", STEPS, cropping=(2, 0)),
    case("Cropping2D", IMAGE, cropping=((1, 0), (2, 1))),
    case("Cropping3D", VOLUME, cropping=1),
    case("UpSampling1D", STEPS, size=3),
    case("UpSampling2D", IMAGE),
    case("UpSampling2D", IMAGE, size=(3, 2), interpolation="bilinear"),
    case("UpSampling3D", VOLUME, size=(1, 2, 1)),
]

MERGING = [
    *[case(name, (2, 4), (2, 4)) for name in ("Add", "Subtract", "Multiply", "Average")],
    *[case(name, (2, 3, 4), (2, 1, 4), (2, 3, 1)) for name in ("Add", "Maximum", "Minimum")],
    case("Concatenate", (2, 3), (2, 4)),
    case("Concatenate", (2, 3, 4), (2, 5, 4), axis=1),
    case("Dot", (2, 3, 4), (2, 5, 4), axes=2),
    case("Dot", (2, 4), (2, 4), axes=-1, normalize=True),
]

CONVOLUTIONS = [
    case("Conv1D", STEPS, filters=4, kernel_size=3),
    case("Conv1D", STEPS, filters=4, kernel_size=3, padding="causal", dilation_rate=2),
    case("Conv2D", IMAGE, filters=4, kernel_size=3, activation="relu"),
    case("Conv2D", IMAGE, filters=4, kernel_size=(2, 3), strides=2, padding="same", use_bias=False),
    case("Conv2D", IMAGE, filters=6, kernel_size=3, groups=3, dilation_rate=(2, 1)),
    case("Conv2D", IMAGE, filters=4, kernel_size=2, data_format="channels_first"),
    case("Conv3D", VOLUME, filters=3, kernel_size=2),
    case("DepthwiseConv1D", STEPS, kernel_size=3, depth_multiplier=2),
    case("DepthwiseConv2D", IMAGE, kernel_size=3, strides=2, padding="same"),
    case("SeparableConv1D", STEPS, filters=4, kernel_size=3),
    case("SeparableConv2D", IMAGE, filters=4, kernel_size=3, depth_multiplier=2),
    case("Conv1DTranspose", STEPS, filters=4, kernel_size=3, strides=2),
    case("Conv2DTranspose", IMAGE, filters=4, kernel_size=3, strides=2, padding="same"),
    case("Conv2DTranspose", IMAGE, filters=2, kernel_size=3, strides=2, output_padding=1),
    case("Conv2DTranspose", IMAGE, filters=2, kernel_size=2, dilation_rate=2),
    case("Conv3DTranspose", VOLUME, filters=2, kernel_size=2, strides=2),
]

POOLING = [
    case("MaxPooling1D", STEPS),
    case("MaxPooling2D", IMAGE, pool_size=(2, 3), strides=1, padding="same"),
    case("MaxPooling3D", VOLUME),
    case("AveragePooling1D", STEPS, pool_size=3, strides=2, padding="same"),
    case("AveragePooling2D", IMAGE, pool_size=2),
    case("AveragePooling2D", IMAGE, pool_size=2, data_format="channels_first"),
    case("AveragePooling3D", VOLUME, pool_size=2),
    case("GlobalAveragePooling1D", STEPS),
    Case("GlobalAveragePooling1D", {}, (STEPS,), mask=True),
    case("GlobalAveragePooling2D", IMAGE, keepdims=True),
    case("GlobalAveragePooling3D", VOLUME, data_format="channels_first"),
    case("GlobalMaxPooling1D", STEPS),
    case("GlobalMaxPooling2D", IMAGE),
    case("GlobalMaxPooling3D", VOLUME, keepdims=True),
]

NORMALIZATION = [
    case("BatchNormalization", IMAGE),
    case("BatchNormalization", IMAGE, axis=1, scale=False),
    Case("BatchNormalization", {"momentum": 0.9}, (IMAGE,), call={"training": True}),
    Case("BatchNormalization", {}, (STEPS,), call={"training": True}, mask=True),
    case("LayerNormalization", STEPS),
    case("LayerNormalization", IMAGE, axis=[1, 2], center=False),
    case("GroupNormalization", (2, 4, 4, 6), groups=3),
    case("UnitNormalization", STEPS),
    case("RMSNormalization", STEPS),
]

CASES = [*BASIC, *RESHAPING, *MERGING, *CONVOLUTIONS, *POOLING, *NORMALIZATION]
