"""A dense layer whose product is written as an Einstein sum."""

import re
from typing import Any

from kgraph import activations, constraints, initializers, ops, regularizers
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["EinsumDense"]


@keras_export("keras.layers.EinsumDense")
class EinsumDense(Layer):
    """`activation(einsum(equation, inputs, kernel) + bias)`.

    Args:
        equation: such as "abc,cd->abd".
        output_shape: without the batch; None for sizes that are those of the input.
        activation: a name or function; None for none.
        bias_axes: the letters of the output along which there is a bias.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        kernel_constraint,
        bias_constraint: names or objects.
        lora_rank, lora_alpha, gptq_unpacked_column_size, quantization_config: only None.
    """

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        activation: Any = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        lora_rank: int | None = None,
        lora_alpha: float | None = None,
        gptq_unpacked_column_size: int | None = None,
        quantization_config: Any = None,
        **kwargs: Any,
    ) -> None:
        if lora_rank is not None or quantization_config is not None:
            raise ValueError(
                "EinsumDense: `lora_rank` and `quantization_config` are not supported."
            )
        super().__init__(**kwargs)
        self.equation = equation
        self.partial_output_shape = (
            (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        )
        self.bias_axes = bias_axes
        self.activation = activations.get(activation)
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.bias: Any = None

    def _letters(self, rank: int) -> tuple[str, str, str]:
        """The letters of input, kernel and output; an ellipsis stands for further dims."""
        match = re.fullmatch(
            r"([a-zA-Z.]+),([a-zA-Z]+)->([a-zA-Z.]+)", self.equation.replace(" ", "")
        )
        if match is None:
            raise ValueError(
                f"Invalid einsum equation '{self.equation}'. Equations must be in the form "
                "'[X],[Y]->[Z]'."
            )
        left, kernel, out = match.groups()
        free = iter(c for c in "zyxwvutsrqponm" if c not in self.equation)
        extra = "".join(next(free) for _ in range(rank - len(left.replace("...", ""))))
        return left.replace("...", extra), kernel, out.replace("...", extra)

    def _sizes(self, input_shape: Any) -> tuple[dict[str, Any], tuple[str, str, str]]:
        left, kernel, out = self._letters(len(input_shape))
        sizes = dict(zip(left, input_shape, strict=True))
        given = self.partial_output_shape
        named = zip(out[len(out) - len(given) :], given, strict=True)
        sizes.update({letter: size for letter, size in named if size is not None})
        return sizes, (left, kernel, out)

    def build(self, input_shape: Any) -> None:
        sizes, (_, kernel, out) = self._sizes(input_shape)
        shape = tuple(sizes[letter] for letter in kernel)
        if None in shape:
            raise ValueError(
                f"EinsumDense '{self.name}': all sizes of the kernel must be known; got {shape} "
                f"for the input shape {input_shape}."
            )
        self.kernel = self.add_weight(
            name="kernel",
            shape=shape,
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.bias_axes is not None:
            first = min(out.index(letter) for letter in self.bias_axes)
            bias = tuple(sizes[letter] if letter in self.bias_axes else 1 for letter in out[first:])
            self.bias = self.add_weight(
                name="bias",
                shape=bias,
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, inputs: Any, training: Any = None) -> Any:
        """The sum, plus the bias, through the activation."""
        x = ops.einsum(
            ",".join(self._letters(len(inputs.shape))[:2])
            + "->"
            + self._letters(len(inputs.shape))[2],
            inputs,
            self.kernel,
        )
        if self.bias is not None:
            x = x + self.bias
        return x if self.activation is None else self.activation(x)

    def compute_output_shape(self, input_shape: Any) -> Any:
        _, (_, _, out) = self._sizes(input_shape)
        given = self.partial_output_shape  # a size that is given as None stays unknown, as in Keras
        kept = len(out) - len(given)
        if not self.equation.strip().endswith("..."):
            return (*input_shape[:kept], *given)
        return (input_shape[0], *given, *input_shape[len(input_shape) - kept + 1 :])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "output_shape": self.partial_output_shape,
            "equation": self.equation,
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "quantization_config": None,
        }
