"""Normalising groups of channels, or vectors to one length."""

from typing import Any

from kgraph import ops
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.layers.weight_options import take_options, weight_options
from kgraph.registry import keras_export

__all__ = ["GroupNormalization", "RMSNormalization", "UnitNormalization"]


def _check_axes(axis: Any, shape: Any) -> None:
    for a in axis if isinstance(axis, list | tuple) else [axis]:
        if not -len(shape) <= a < len(shape):
            raise ValueError(
                f"Axis {a} is out of bounds for input shape {tuple(shape)}. Received: axis={axis}"
            )


@keras_export("keras.layers.GroupNormalization")
class GroupNormalization(Layer):
    """Brings each group of channels of each sample to mean 0 and variance 1.

    Args:
        groups: their number; -1: each channel is a group.
        axis: that of the channels.
        epsilon: is added to the variance.
        center, scale: whether there are a learned offset (beta) and factor (gamma) per channel.
        beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
        gamma_constraint: names or objects.
    """

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.autocast = False
        self.groups, self.axis, self.epsilon = groups, axis, epsilon
        self.center, self.scale = center, scale
        take_options(
            self,
            beta_initializer=beta_initializer,
            gamma_initializer=gamma_initializer,
            beta_regularizer=beta_regularizer,
            gamma_regularizer=gamma_regularizer,
            beta_constraint=beta_constraint,
            gamma_constraint=gamma_constraint,
        )
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"GroupNormalization '{self.name}': axis {self.axis} of the input must be known; "
                f"got the shape {input_shape}."
            )
        self.groups = channels if self.groups == -1 else self.groups
        if channels % self.groups:
            raise ValueError(
                f"GroupNormalization '{self.name}': the number of channels ({channels}) must be a "
                f"multiple of the number of groups ({self.groups})."
            )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})
        if self.scale:
            self.gamma = self._weight("gamma", channels)
        if self.center:
            self.beta = self._weight("beta", channels)

    def _weight(self, name: str, channels: int) -> Any:
        return self.add_weight(
            shape=(channels,),
            name=name,
            initializer=getattr(self, f"{name}_initializer"),
            regularizer=getattr(self, f"{name}_regularizer"),
            constraint=getattr(self, f"{name}_constraint"),
            autocast=False,
        )

    def call(self, inputs: Any) -> Any:
        """The normalised inputs."""
        axis = self.axis % len(inputs.shape)
        shape = list(inputs.shape)
        split = [*shape[:axis], self.groups, shape[axis] // self.groups, *shape[axis + 1 :]]
        x = ops.reshape(inputs, tuple(split))
        x = ops.cast(x, ops.result_type(x.dtype, "float32"))
        others = [i for i in range(1, len(split)) if i != axis]
        mean, variance = ops.moments(x, axes=others, keepdims=True)
        factor = ops.rsqrt(variance + self.epsilon)
        places = [1] * len(split)
        places[axis : axis + 2] = split[axis : axis + 2]
        if self.gamma is not None:
            factor = factor * ops.cast(ops.reshape(self.gamma, places), x.dtype)
        offset = -mean * factor
        if self.beta is not None:
            offset = offset + ops.cast(ops.reshape(self.beta, places), x.dtype)
        outputs = ops.cast(x * factor + offset, inputs.dtype)
        return ops.cast(ops.reshape(outputs, tuple(shape)), self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        _check_axes(self.axis, input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "groups": self.groups,
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            **weight_options(
                self,
                "beta_initializer",
                "gamma_initializer",
                "beta_regularizer",
                "gamma_regularizer",
                "beta_constraint",
                "gamma_constraint",
            ),
        }


@keras_export("keras.layers.UnitNormalization")
class UnitNormalization(Layer):
    """Brings vectors to Euclidean length 1.

    Args:
        axis: along which the vectors lie, an int or a list of them.
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(axis, int | list | tuple):
            raise TypeError(
                "Invalid value for `axis` argument: expected an int or a list/tuple of ints. "
                f"Received: axis={axis}"
            )
        self.axis = axis if isinstance(axis, int) else list(axis)
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The vectors over their lengths."""
        return ops.normalize(inputs, axis=self.axis, order=2, epsilon=1e-12)

    def compute_output_shape(self, input_shape: Any) -> Any:
        _check_axes(self.axis, input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@keras_export("keras.layers.RMSNormalization")
class RMSNormalization(Layer):
    """Divides by the root of the mean square and multiplies with a learned factor.

    Args:
        axis: over which the mean is taken, an int or a list of them.
        epsilon: is added to the mean square.
    """

    def __init__(self, axis: Any = -1, epsilon: float = 1e-6, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis, self.epsilon = axis, epsilon

    def build(self, input_shape: Any) -> None:
        axes = sorted(self.axis) if isinstance(self.axis, list | tuple) else [self.axis]
        shape = tuple(input_shape[a] for a in axes)
        self.axis = axes
        self.scale = self.add_weight(name="scale", shape=shape, initializer="ones")

    def call(self, x: Any) -> Any:
        """The scaled input."""
        return ops.rms_normalization(x, scale=self.scale, axis=self.axis, epsilon=self.epsilon)

    def compute_output_shape(self, input_shape: Any) -> Any:
        _check_axes(self.axis, input_shape)
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis, "epsilon": self.epsilon}
