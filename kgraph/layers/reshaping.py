"""Layers that arrange elements otherwise."""

import math
from typing import Any

from kgraph import config, ops
from kgraph.layers.input_spec import InputSpec
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["Flatten", "Permute", "RepeatVector", "Reshape"]


@keras_export("keras.layers.Flatten")
class Flatten(Layer):
    """All dims but the batch in one.

    Args:
        data_format: with "channels_first" the channels are moved to the end first.
    """

    def __init__(self, data_format: str | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.data_format = config.standardize_data_format(data_format)
        self.input_spec = InputSpec(min_ndim=1)

    def call(self, inputs: Any) -> Any:
        """The elements of each sample in a row."""
        rank = len(inputs.shape)
        if self.data_format == "channels_first" and rank > 2:
            inputs = ops.transpose(inputs, (0, *range(2, rank), 1))
        if rank == 1:
            return ops.expand_dims(inputs, -1)
        return ops.reshape(inputs, (inputs.shape[0], math.prod(inputs.shape[1:])))

    def compute_output_shape(self, input_shape: Any) -> Any:
        rest = input_shape[1:]
        return (input_shape[0], None if None in rest else math.prod(rest))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "data_format": self.data_format}


@keras_export("keras.layers.Reshape")
class Reshape(Layer):
    """The elements of each sample in another shape.

    Args:
        target_shape: without the batch; one size may be -1.
    """

    def __init__(self, target_shape: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.target_shape = tuple(target_shape)
        if sum(n == -1 for n in self.target_shape) > 1:
            raise ValueError(
                "There must be at most one unknown dimension in `target_shape`. Received: "
                f"target_shape={target_shape}."
            )
        self.built = True

    def call(self, inputs: Any) -> Any:
        """The elements in the shape."""
        return ops.reshape(inputs, (inputs.shape[0], *self._sizes(inputs.shape[1:])))

    def _sizes(self, rest: Any) -> tuple[Any, ...]:
        if -1 not in self.target_shape:
            return self.target_shape
        known = -math.prod(self.target_shape)
        total = math.prod(rest)
        if isinstance(total, int) and (known == 0 or total % known):
            raise ValueError(
                "The total size of the tensor must be unchanged. Received: "
                f"input_shape={tuple(rest)}, target_shape={self.target_shape}"
            )
        return tuple(total // known if n == -1 else n for n in self.target_shape)

    def compute_output_shape(self, input_shape: Any) -> Any:
        rest = input_shape[1:]
        if None in rest:
            return (input_shape[0], *[None if n == -1 else n for n in self.target_shape])
        sizes = self._sizes(rest)
        if math.prod(sizes) != math.prod(rest):
            raise ValueError(
                "The total size of the tensor must be unchanged. Received: "
                f"input_shape={tuple(rest)}, target_shape={self.target_shape}"
            )
        return (input_shape[0], *sizes)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "target_shape": self.target_shape}


@keras_export("keras.layers.Permute")
class Permute(Layer):
    """The dims of each sample in another order.

    Args:
        dims: the order, counted from 1 and without the batch.
    """

    def __init__(self, dims: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.dims = tuple(dims)
        if sorted(dims) != list(range(1, len(dims) + 1)):
            raise ValueError(
                "Invalid permutation argument `dims` for Permute Layer. The set of indices in "
                f"`dims` must be consecutive and start from 1. Received dims={dims}"
            )
        self.input_spec = InputSpec(ndim=len(self.dims) + 1)

    def call(self, inputs: Any) -> Any:
        """The transposed input."""
        return ops.transpose(inputs, axes=(0, *self.dims))

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], *[input_shape[d] for d in self.dims])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "dims": self.dims}


@keras_export("keras.layers.RepeatVector")
class RepeatVector(Layer):
    """Each vector n times.

    Args:
        n: how often.
    """

    def __init__(self, n: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if not isinstance(n, int):
            raise TypeError(f"Expected an integer value for `n`, got {type(n)}.")
        self.n = n
        self.input_spec = InputSpec(ndim=2)

    def call(self, inputs: Any) -> Any:
        """`(batch, features)` as `(batch, n, features)`."""
        return ops.repeat(ops.expand_dims(inputs, 1), self.n, axis=1)

    def compute_output_shape(self, input_shape: Any) -> Any:
        return (input_shape[0], self.n, input_shape[1])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "n": self.n}
