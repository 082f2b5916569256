"""Where a Functional model begins."""

from typing import Any

from kgraph import ops
from kgraph.layers.layer import Layer
from kgraph.ops import KerasTensor, Node
from kgraph.registry import keras_export

__all__ = ["Input", "InputLayer"]


@keras_export("keras.layers.InputLayer")
class InputLayer(Layer):
    """An input of a model; `Input` makes one and gives its tensor.

    Args:
        shape: without the batch; None for unknown sizes.
        batch_size: that of the batch, None where not known.
        dtype: "float32" by default (the default float type).
        sparse, ragged: only False or None.
        batch_shape: the shape with the batch, in place of `shape`.
        input_tensor: an existing KerasTensor to begin with.
        optional: the input may be None.
        name: of the layer.
    """

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        sparse: bool | None = None,
        ragged: bool | None = None,
        batch_shape: Any = None,
        input_tensor: Any = None,
        optional: bool = False,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        if "input_shape" in kwargs:
            shape = kwargs.pop("input_shape")
        if "batch_input_shape" in kwargs:
            batch_shape = kwargs.pop("batch_input_shape")
        if kwargs:
            raise ValueError(f"InputLayer: unrecognized arguments {sorted(kwargs)}.")
        if input_tensor is not None:
            batch_shape, dtype = input_tensor.shape, dtype or input_tensor.dtype
        elif shape is not None and batch_shape is not None:
            raise ValueError("You cannot pass both `shape` and `batch_shape` at the same time.")
        elif shape is None and batch_shape is None:
            raise ValueError("You must pass a `shape` argument.")
        if batch_shape is None:
            if isinstance(shape, int):
                raise ValueError(
                    f"`shape` must be a tuple of sizes without the batch; got {shape}. Did you "
                    f"mean ({shape},)?"
                )
            batch_shape = (batch_size, *shape)
        self._dtype = ops.standardize_dtype(dtype)
        self.sparse, self.ragged = bool(sparse), bool(ragged)
        tensor = (
            input_tensor
            if input_tensor is not None
            else KerasTensor(
                batch_shape, self._dtype, sparse=self.sparse, ragged=self.ragged, name=self.name
            )
        )
        self.batch_shape = tensor.shape
        self.optional = optional
        self._input_tensor = tensor
        Node(operation=self, call_args=(), call_kwargs={}, outputs=tensor)
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing is computed here."""
        raise NotImplementedError("An InputLayer is not called.")

    @property
    def dtype(self) -> str:
        """The dtype of the input."""
        return self._dtype

    def get_config(self) -> dict[str, Any]:
        return {
            "batch_shape": self.batch_shape,
            "dtype": self.dtype,
            "sparse": self.sparse,
            "ragged": self.ragged,
            "name": self.name,
            "optional": self.optional,
        }


@keras_export(["keras.layers.Input", "keras.Input"])
def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    sparse: bool | None = None,
    ragged: bool | None = None,
    batch_shape: Any = None,
    name: str | None = None,
    tensor: Any = None,
    optional: bool = False,
) -> Any:
    """The tensor of a new input: what layers are called on to make a Functional model.

    Args:
        shape: without the batch; None for unknown sizes.
        batch_size: that of the batch, None where not known.
        dtype: "float32" by default.
        batch_shape: the shape with the batch, in place of `shape`.
        name: of the input.
        tensor: an existing KerasTensor to begin with.
        optional: the input may be None.
    """
    layer = InputLayer(
        shape=shape,
        batch_size=batch_size,
        dtype=dtype,
        sparse=sparse,
        ragged=ragged,
        batch_shape=batch_shape,
        name=name,
        input_tensor=tensor,
        optional=optional,
    )
    return layer.output
