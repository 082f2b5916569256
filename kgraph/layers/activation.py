"""Activations as layers."""

from typing import Any

from kgraph import activations, constraints, initializers, ops, regularizers
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["ELU", "Activation", "LeakyReLU", "PReLU", "ReLU", "Softmax"]


class _SameShape(Layer):
    """Base of layers whose output has the shape of the input."""

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape


@keras_export("keras.layers.Activation")
class Activation(_SameShape):
    """Applies a function.

    Args:
        activation: a name or function.
    """

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.activation = activations.get(activation)
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The function of the inputs."""
        return self.activation(inputs)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


@keras_export("keras.layers.ReLU")
class ReLU(_SameShape):
    """`max(x, 0)`, with an upper bound, a slope below the threshold, and a threshold.

    Args:
        max_value: the upper bound; None for none.
        negative_slope: the slope below the threshold.
        threshold: values below are damped.
    """

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value, optional in (
            ("max_value", max_value, True),
            ("negative_slope", negative_slope, False),
            ("threshold", threshold, False),
        ):
            if (value is None and not optional) or (value is not None and value < 0.0):
                raise ValueError(
                    f"{name} of a ReLU layer cannot be a negative value or None. Received: "
                    f"{name}={value}"
                )
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The rectified inputs."""
        return activations.relu(
            inputs,
            negative_slope=self.negative_slope,
            max_value=self.max_value,
            threshold=self.threshold,
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


@keras_export("keras.layers.LeakyReLU")
class LeakyReLU(_SameShape):
    """x where it is positive, else a fraction of it.

    Args:
        negative_slope: the fraction.
    """

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        if "alpha" in kwargs:
            negative_slope = kwargs.pop("alpha")
        super().__init__(**kwargs)
        if negative_slope is None or negative_slope < 0:
            raise ValueError(
                "The negative_slope value of a Leaky ReLU layer cannot be None or negative value. "
                f"Expected a float. Received: negative_slope={negative_slope}"
            )
        self.negative_slope = negative_slope
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The rectified inputs."""
        return activations.leaky_relu(inputs, negative_slope=self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "negative_slope": self.negative_slope}


@keras_export("keras.layers.ELU")
class ELU(_SameShape):
    """x where it is positive, else `alpha * (exp(x) - 1)`."""

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The function of the inputs."""
        return activations.elu(inputs, alpha=self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha}


@keras_export("keras.layers.Softmax")
class Softmax(_SameShape):
    """Exponentials that sum to 1 along an axis, or several.

    Args:
        axis: an int or a list of them.
    """

    def __init__(self, axis: Any = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis
        self.supports_masking = True
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """The softmax, where a mask is given over the elements that it keeps."""
        if mask is not None:
            lowest = -3e4 if inputs.dtype == "float16" else -1e9
            inputs = inputs + (1.0 - ops.cast(mask, inputs.dtype)) * lowest
        if isinstance(self.axis, tuple | list):
            if len(self.axis) > 1:
                return ops.exp(inputs - ops.logsumexp(inputs, axis=tuple(self.axis), keepdims=True))
            return activations.softmax(inputs, axis=self.axis[0])
        return activations.softmax(inputs, axis=self.axis)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "axis": self.axis}


@keras_export("keras.layers.PReLU")
class PReLU(_SameShape):
    """x where it is positive, else a learned fraction of it.

    Args:
        alpha_initializer, alpha_regularizer, alpha_constraint: of the fractions.
        shared_axes: axes along which one fraction serves.
    """

    def __init__(
        self,
        alpha_initializer: Any = "Zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = (
            None
            if shared_axes is None
            else list(shared_axes)
            if isinstance(shared_axes, list | tuple)
            else [shared_axes]
        )

    def build(self, input_shape: Any) -> None:
        shape = list(input_shape[1:])
        for axis in self.shared_axes or ():
            shape[axis - 1] = 1
        self.alpha = self.add_weight(
            shape=shape,
            name="alpha",
            initializer=self.alpha_initializer,
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )
        axes = {i: n for i, n in enumerate(input_shape) if i and i not in (self.shared_axes or ())}
        self.input_spec = InputSpec(ndim=len(input_shape), axes=axes)

    def call(self, inputs: Any) -> Any:
        """The rectified inputs."""
        return activations.relu(inputs) + -self.alpha * activations.relu(-inputs)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }
