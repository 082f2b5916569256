"""Layers that bring values to mean 0 and variance 1."""

from typing import Any

from kgraph import constraints, initializers, ops, regularizers
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["BatchNormalization", "LayerNormalization"]


@keras_export("keras.layers.BatchNormalization")
class BatchNormalization(Layer):
    """Normalises each channel: in training by the batch's mean and variance, else by their moving
    averages.

    Args:
        axis: that of the channels.
        momentum: of the moving averages.
        epsilon: is added to the variance.
        center, scale: whether there are a learned offset (beta) and factor (gamma).
        beta_initializer, gamma_initializer, moving_mean_initializer, moving_variance_initializer,
        beta_regularizer,
        gamma_regularizer, beta_constraint, gamma_constraint: names or objects.
        synchronized, renorm, renorm_clipping, renorm_momentum: only the defaults.
    """

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        renorm: bool = False,
        renorm_clipping: Any = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name, value in (
            ("synchronized", synchronized),
            ("renorm", renorm),
            ("renorm_clipping", renorm_clipping),
        ):
            if value:
                raise ValueError(f"BatchNormalization: `{name}` is not supported; got {value!r}.")
        self.axis, self.momentum, self.epsilon = int(axis), momentum, epsilon
        self.center, self.scale = center, scale
        self.synchronized, self.renorm, self.renorm_clipping, self.renorm_momentum = (
            synchronized,
            renorm,
            renorm_clipping,
            renorm_momentum,
        )
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.moving_mean_initializer = initializers.get(moving_mean_initializer)
        self.moving_variance_initializer = initializers.get(moving_variance_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        if not -len(input_shape) <= self.axis < len(input_shape):
            raise ValueError(
                f"BatchNormalization '{self.name}': `axis` must be one of the dims of the input "
                f"shape {input_shape}; got {self.axis}."
            )
        channels = input_shape[self.axis]
        if channels is None:
            raise ValueError(
                f"BatchNormalization '{self.name}': axis {self.axis} of the input must be known; "
                f"got the shape {input_shape}."
            )
        shape = (channels,)
        if self.scale:
            self.gamma = self.add_weight(
                shape=shape,
                name="gamma",
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                shape=shape,
                name="beta",
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )
        self.moving_mean = self.add_weight(
            shape=shape,
            name="moving_mean",
            initializer=self.moving_mean_initializer,
            trainable=False,
            autocast=False,
        )
        self.moving_variance = self.add_weight(
            shape=shape,
            name="moving_variance",
            initializer=self.moving_variance_initializer,
            trainable=False,
            autocast=False,
        )
        self.input_spec = InputSpec(ndim=len(input_shape), axes={self.axis: channels})

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """The normalised inputs; in training the moving averages are updated."""
        dtype = inputs.dtype
        x = ops.cast(inputs, "float32") if dtype in ("float16", "bfloat16") else inputs
        rank = len(x.shape)
        axes = [i for i in range(rank) if i != self.axis % rank]
        if training and self.trainable:
            mean, variance = (
                ops.moments(x, axes=axes) if mask is None else _masked_moments(x, axes, mask)
            )
            self.moving_mean.assign(self.moving_mean * self.momentum + mean * (1.0 - self.momentum))
            self.moving_variance.assign(
                self.moving_variance * self.momentum + variance * (1.0 - self.momentum)
            )
        else:
            mean, variance = (
                ops.cast(self.moving_mean, x.dtype),
                ops.cast(self.moving_variance, x.dtype),
            )
        offset = None if self.beta is None else ops.cast(self.beta, x.dtype)
        factor = None if self.gamma is None else ops.cast(self.gamma, x.dtype)
        outputs = ops.batch_normalization(
            x,
            mean=mean,
            variance=variance,
            axis=self.axis,
            offset=offset,
            scale=factor,
            epsilon=self.epsilon,
        )
        return ops.cast(outputs, dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "moving_mean_initializer": initializers.serialize(self.moving_mean_initializer),
            "moving_variance_initializer": initializers.serialize(self.moving_variance_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
            "synchronized": self.synchronized,
            "renorm": self.renorm,
            "renorm_clipping": self.renorm_clipping,
            "renorm_momentum": self.renorm_momentum,
        }


def _masked_moments(x: Any, axes: list[int], mask: Any) -> tuple[Any, Any]:
    """Mean and variance over the steps that the mask keeps."""
    weights = ops.cast(mask, x.dtype)
    while len(weights.shape) < len(x.shape):
        weights = ops.expand_dims(weights, -1)
    weights = ops.broadcast_to(weights, x.shape)
    total = ops.sum(weights, axis=axes)
    mean = ops.sum(weights * x, axis=axes) / (total + 1e-7)
    shape = [1 if i in axes else -1 for i in range(len(x.shape))]
    distance = x - ops.reshape(mean, shape)
    return mean, ops.sum(weights * distance * distance, axis=axes) / (total + 1e-7)


@keras_export("keras.layers.LayerNormalization")
class LayerNormalization(Layer):
    """Normalises each sample along the given axes.

    Args:
        axis: an int or a list of them.
        epsilon: is added to the variance.
        center, scale: whether there are a learned offset (beta) and factor (gamma).
        beta_initializer, gamma_initializer, beta_regularizer, gamma_regularizer, beta_constraint,
        gamma_constraint:
        names or objects.
    """

    def __init__(
        self,
        axis: Any = -1,
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
        if kwargs.pop("rms_scaling", False):
            raise ValueError(
                "LayerNormalization: `rms_scaling` is not supported. Use RMSNormalization."
            )
        super().__init__(**kwargs)
        if not isinstance(axis, int | list | tuple):
            raise TypeError(
                "Expected an int or a list/tuple of ints for the argument 'axis', but received: "
                f"{axis!r}"
            )
        self.axis = list(axis) if isinstance(axis, list | tuple) else axis
        self.epsilon, self.center, self.scale = epsilon, center, scale
        self.beta_initializer = initializers.get(beta_initializer)
        self.gamma_initializer = initializers.get(gamma_initializer)
        self.beta_regularizer = regularizers.get(beta_regularizer)
        self.gamma_regularizer = regularizers.get(gamma_regularizer)
        self.beta_constraint = constraints.get(beta_constraint)
        self.gamma_constraint = constraints.get(gamma_constraint)
        self.supports_masking = True
        self.autocast = False
        self.gamma: Any = None
        self.beta: Any = None

    def build(self, input_shape: Any) -> None:
        self.axis = self.axis if isinstance(self.axis, list) else [self.axis]
        if any(not -len(input_shape) <= a < len(input_shape) for a in self.axis):
            raise ValueError(
                f"LayerNormalization '{self.name}': `axis` must name dims of the input shape "
                f"{input_shape}; got {self.axis}."
            )
        shape = tuple(input_shape[a] for a in self.axis)
        if self.scale:
            self.gamma = self.add_weight(
                name="gamma",
                shape=shape,
                initializer=self.gamma_initializer,
                regularizer=self.gamma_regularizer,
                constraint=self.gamma_constraint,
                autocast=False,
            )
        if self.center:
            self.beta = self.add_weight(
                name="beta",
                shape=shape,
                initializer=self.beta_initializer,
                regularizer=self.beta_regularizer,
                constraint=self.beta_constraint,
                autocast=False,
            )

    def call(self, inputs: Any) -> Any:
        """The normalised inputs."""
        x = ops.cast(inputs, "float32") if inputs.dtype in ("float16", "bfloat16") else inputs
        rank = len(x.shape)
        axes = sorted(a % rank for a in (self.axis if isinstance(self.axis, list) else [self.axis]))
        mean, variance = ops.moments(x, axes=axes, keepdims=True)
        outputs = (x - mean) * ops.rsqrt(variance + self.epsilon)
        shape = [x.shape[i] if i in axes else 1 for i in range(rank)]
        if self.gamma is not None:
            outputs = outputs * ops.cast(ops.reshape(self.gamma, shape), outputs.dtype)
        if self.beta is not None:
            outputs = outputs + ops.cast(ops.reshape(self.beta, shape), outputs.dtype)
        return ops.cast(outputs, self.compute_dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        for axis in self.axis if isinstance(self.axis, list) else [self.axis]:
            if axis >= len(input_shape) or axis < -len(input_shape):
                raise ValueError(
                    f"Axis {axis} is out of bounds for input shape {input_shape}. Received: "
                    f"axis={self.axis}"
                )
        return input_shape

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "axis": self.axis,
            "epsilon": self.epsilon,
            "center": self.center,
            "scale": self.scale,
            "rms_scaling": False,
            "beta_initializer": initializers.serialize(self.beta_initializer),
            "gamma_initializer": initializers.serialize(self.gamma_initializer),
            "beta_regularizer": regularizers.serialize(self.beta_regularizer),
            "gamma_regularizer": regularizers.serialize(self.gamma_regularizer),
            "beta_constraint": constraints.serialize(self.beta_constraint),
            "gamma_constraint": constraints.serialize(self.gamma_constraint),
        }
