"""Several recurrent cells as one."""

from typing import Any

from kgraph import ops
from kgraph.layers.layer import Layer
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object
from kgraph.utils import tree

__all__ = ["StackedRNNCells", "sizes_of"]


def sizes_of(state_size: Any) -> list[Any]:
    """The sizes of the states, one or several, as a list."""
    return list(state_size) if isinstance(state_size, list | tuple) else [state_size]


def _output_size(cell: Any) -> int:
    size = getattr(cell, "output_size", None)
    return int(sizes_of(cell.state_size)[0] if size is None else size)


@keras_export("keras.layers.StackedRNNCells")
class StackedRNNCells(Layer):
    """Cells one upon the other: the output of each is the input of the next.

    Args:
        cells: a list of cells.
    """

    def __init__(self, cells: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for cell in cells:
            for name in ("call", "state_size"):
                if not hasattr(cell, name):
                    raise ValueError(f"All cells must have a `{name}`. Received: {cell}")
        self.cells = cells

    @property
    def state_size(self) -> list[Any]:
        """The sizes of the states of each cell."""
        return [cell.state_size for cell in self.cells]

    @property
    def output_size(self) -> int:
        """That of the last cell."""
        return _output_size(self.cells[-1])

    def get_initial_state(self, batch_size: Any = None) -> list[Any]:
        """Zeros for each state of each cell."""
        states: list[Any] = []
        for cell in self.cells:
            made = getattr(cell, "get_initial_state", None)
            if made is not None:
                states.append(made(batch_size=batch_size))
                continue
            zeros = [
                ops.zeros((batch_size, n), dtype=self.compute_dtype)
                for n in sizes_of(cell.state_size)
            ]
            states.append(zeros if isinstance(cell.state_size, list | tuple) else zeros[0])
        return states

    def build(self, input_shape: Any) -> None:
        for cell in self.cells:
            if isinstance(cell, Layer) and not cell.built:
                cell.build(input_shape)
            input_shape = (input_shape[0], _output_size(cell))

    def draw_dropout_masks(self, inputs: Any, states: Any, training: bool) -> None:
        """Draws the masks of all cells, for all steps of a call."""
        for cell, state in zip(self.cells, states, strict=True):
            if hasattr(cell, "draw_dropout_masks"):
                own = list(state) if tree.is_nested(state) else [state]
                cell.draw_dropout_masks(inputs, own, training)
            if inputs is not None:
                inputs = ops.zeros((inputs.shape[0], _output_size(cell)), dtype=inputs.dtype)

    def call(self, inputs: Any, states: Any, training: bool = False, **kwargs: Any) -> Any:
        """One step of all cells."""
        new = []
        for cell, state in zip(self.cells, states, strict=True):
            nested = tree.is_nested(state)
            has_mode = isinstance(cell, Layer) and cell._call_has_training_arg
            mode = {"training": training} if has_mode else {}
            run = cell if callable(cell) else cell.call
            inputs, after = run(inputs, list(state) if nested else [state], **mode, **kwargs)
            after = list(after) if tree.is_nested(after) else [after]
            new.append(after if nested or len(after) > 1 else after[0])
        return inputs, new

    def get_config(self) -> dict[str, Any]:
        cells = [serialize_keras_object(cell) for cell in self.cells]
        return {**super().get_config(), "cells": cells}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The cells that `get_config` described."""
        read = [deserialize_keras_object(c, custom_objects=custom_objects) for c in config["cells"]]
        return cls(**{**config, "cells": read})
