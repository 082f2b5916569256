"""Recurrent layers: a cell that runs over the steps of a sequence."""

from typing import Any

from kgraph import ops
from kgraph.layers.layer import Layer
from kgraph.ops import Variable
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object
from kgraph.utils import tree

__all__ = ["RNN"]


@keras_export("keras.layers.RNN")
class RNN(Layer):
    """Runs a cell over the steps of inputs `(batch, steps, ...)`.

    Args:
        cell: a layer with `call(inputs_at_step, states)` that returns `(output, states)`, and `state_size`.
        return_sequences: gives the outputs of all steps, not only the last.
        return_state: also gives the last states.
        go_backwards: begins with the last step.
        stateful: begins with the states of the batch before.
        unroll: kept for compatibility; the loop is one op of the program.
        zero_output_for_mask: a step that the mask leaves out gives zeros, not the output before it.
    """

    def __init__(
        self,
        cell: Any,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        zero_output_for_mask: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        for name in ("call", "state_size"):
            if not hasattr(cell, name):
                raise ValueError(f"The RNN cell should have a `{name}`. Received: cell={cell}")
        self.cell = cell
        self.return_sequences, self.return_state, self.go_backwards = return_sequences, return_state, go_backwards
        self.stateful, self.unroll, self.zero_output_for_mask = stateful, unroll, zero_output_for_mask
        self.supports_masking = True
        self.states: Any = None

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful:
            if sequences_shape[0] is None:
                raise ValueError(f"The stateful layer '{self.name}' needs inputs of a known batch size: give Input(batch_shape=...).")
            self.states = [Variable(_zeros, (sequences_shape[0], n), self.variable_dtype, trainable=False, name="rnn_state") for n in _sizes(self.cell.state_size)]

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Zeros for each state."""
        if hasattr(self.cell, "get_initial_state"):
            return tree.flatten(self.cell.get_initial_state(batch_size=batch_size))
        return [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in _sizes(self.cell.state_size)]

    def reset_states(self) -> None:
        """Zeros for the states that a stateful layer keeps."""
        for state in self.states or ():
            state.assign(ops.zeros_like(state))

    reset_state = reset_states

    def call(self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False) -> Any:
        """The outputs, of the last step or of all, and the states where they were asked for."""
        if initial_state is not None:
            states = tree.flatten(initial_state)
        elif self.stateful:
            states = [s.value for s in self.states]
        else:
            states = self.get_initial_state(sequences.shape[0])
        states = [ops.cast(s, sequences.dtype) for s in states]
        if hasattr(self.cell, "prepare_dropout"):
            self.cell.prepare_dropout(sequences, states, training)
        last, outputs, states = self._scan(sequences, states, mask)
        if self.stateful:
            for variable, value in zip(self.states, states, strict=True):
                variable.assign(value)
        result = outputs if self.return_sequences else last
        return (result, *states) if self.return_state else result

    def _scan(self, sequences: Any, states: list[Any], mask: Any) -> tuple[Any, Any, list[Any]]:
        """The last output, all outputs `(batch, steps, ...)`, and the last states."""
        steps = ops.moveaxis(sequences, 1, 0)
        kept = None if mask is None else ops.moveaxis(ops.expand_dims(ops.cast(mask, "bool"), -1), 1, 0)
        size = _sizes(getattr(self.cell, "output_size", None) or self.cell.state_size)[0]
        first = ops.zeros((sequences.shape[0], size), dtype=sequences.dtype)

        def step(carry: Any, x: Any) -> Any:
            before, held = carry[0], list(carry[1:])
            inputs, keep = x if kept is not None else (x, None)
            output, new = self.cell.call(inputs, held)
            new = tree.flatten(new)
            if keep is not None:
                new = [ops.where(keep, n, o) for n, o in zip(new, held, strict=True)]
                shown = ops.where(keep, output, ops.zeros_like(output) if self.zero_output_for_mask else before)
                output = ops.where(keep, output, before)
            else:
                shown = output
            return (output, *new), shown

        xs = steps if kept is None else (steps, kept)
        carry, outputs = ops.scan(step, (first, *states), xs, reverse=self.go_backwards)
        if self.go_backwards:
            outputs = ops.flip(outputs, axis=0)
        return carry[0], ops.moveaxis(outputs, 0, 1), list(carry[1:])

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, sizes = sequences_shape[0], _sizes(self.cell.state_size)
        width = _sizes(getattr(self.cell, "output_size", None) or self.cell.state_size)[0]
        output = (batch, sequences_shape[1], width) if self.return_sequences else (batch, width)
        return (output, *[(batch, n) for n in sizes]) if self.return_state else output

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = tree.flatten(previous_mask)[0] if previous_mask is not None else None
        output = mask if self.return_sequences else None
        return [output, *[None] * len(_sizes(self.cell.state_size))] if self.return_state else output

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            **({"cell": serialize_keras_object(self.cell)} if type(self) is RNN else {}),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        if "cell" in config:
            config = {**config, "cell": deserialize_keras_object(config["cell"], custom_objects=custom_objects)}
        return cls(**config)


def _zeros(shape: Any, dtype: Any = None) -> Any:
    return ops.zeros(shape, dtype=dtype)


def _sizes(value: Any) -> list[int]:
    return list(value) if isinstance(value, list | tuple) else [value]
