"""Recurrent layers: a cell that runs over the steps of a sequence."""

from typing import Any

from kgraph import ops
from kgraph.layers.layer import Layer
from kgraph.layers.stacked_cells import StackedRNNCells, sizes_of
from kgraph.ops import Variable
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object
from kgraph.utils import tree

__all__ = ["RNN"]


@keras_export("keras.layers.RNN")
class RNN(Layer):
    """Runs a cell over the steps of inputs `(batch, steps, ...)`.

    Args:
        cell: a layer with `call(inputs_at_step, states)` that gives `(output, states)`, and
            `state_size`; or a list of such layers, one upon the other.
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
        if isinstance(cell, list | tuple):
            cell = StackedRNNCells(cell)
        for name in ("call", "state_size"):
            if not hasattr(cell, name):
                raise ValueError(f"The RNN cell should have a `{name}`. Received: cell={cell}")
        super().__init__(**kwargs)
        self.cell = cell
        self.return_sequences, self.return_state = return_sequences, return_state
        self.go_backwards, self.stateful, self.unroll = go_backwards, stateful, unroll
        self.zero_output_for_mask = zero_output_for_mask
        self.supports_masking = True
        self.states: Any = None

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        if isinstance(self.cell, Layer) and not self.cell.built:
            self.cell.build((sequences_shape[0], *sequences_shape[2:]))
        if self.stateful and self.states is None:
            batch = sequences_shape[0]
            if batch is None:
                raise ValueError(
                    f"The stateful layer '{self.name}' needs inputs of a known batch size; got "
                    f"the shape {sequences_shape}. Give `Input(batch_shape=...)`."
                )
            self.states = tree.map_structure(
                lambda zeros: Variable(
                    zeros, dtype=self.variable_dtype, trainable=False, name="rnn_state"
                ),
                self.get_initial_state(batch),
            )

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Zeros for each state."""
        made = getattr(self.cell, "get_initial_state", None)
        if made is not None:
            state = made(batch_size=batch_size)
            return list(state) if tree.is_nested(state) else [state]
        sizes = sizes_of(self.cell.state_size)
        return [ops.zeros((batch_size, n), dtype=self.compute_dtype) for n in sizes]

    def reset_state(self) -> None:
        """Zeros for the states that a stateful layer keeps."""
        for state in tree.flatten(self.states or []):
            state.assign(ops.zeros_like(state))

    reset_states = reset_state

    def call(
        self, sequences: Any, initial_state: Any = None, mask: Any = None, training: bool = False
    ) -> Any:
        """The outputs, of the last step or of all, and the states where they were asked for."""
        states = self._first_states(sequences, initial_state)
        draws = getattr(self.cell, "draw_dropout_masks", None)
        if draws is not None:
            draws(sequences[:, 0], states, training)
        output, states = self._scan(sequences, states, mask, training)
        output = ops.cast(output, self.compute_dtype)
        states = tree.map_structure(lambda x: ops.cast(x, self.compute_dtype), list(states))
        if draws is not None:  # they belong to this call's trace
            draws(None, states, False)
        if self.stateful:
            pairs = zip(tree.flatten(self.states), tree.flatten(states), strict=True)
            for variable, value in pairs:
                variable.assign(value)
        return (output, *states) if self.return_state else output

    def _first_states(self, sequences: Any, initial_state: Any) -> list[Any]:
        if initial_state is None:
            batch = sequences.shape[0]
            initial_state = self.states if self.stateful else self.get_initial_state(batch)
            if self.stateful:
                expected = tree.flatten(self.states)[0].shape[0]
                if isinstance(batch, int) and batch != expected:
                    raise ValueError(
                        f"The stateful layer '{self.name}' was built for batches of {expected}; "
                        f"got one of {batch}."
                    )
        states = list(initial_state) if tree.is_nested(initial_state) else [initial_state]
        dtype = getattr(self.cell, "compute_dtype", self.compute_dtype)
        return tree.map_structure(lambda x: ops.convert_to_tensor(x, dtype=dtype), states)

    def _scan(self, sequences: Any, states: Any, mask: Any, training: bool) -> tuple[Any, Any]:
        """The output, of the last step or of all, and the last states."""
        xs = ops.swapaxes(sequences, 0, 1)
        if mask is not None:
            mask = ops.cast(mask, "bool")
            mask = ops.expand_dims(mask, -1) if len(mask.shape) == 2 else mask
            xs = (xs, ops.swapaxes(mask, 0, 1))

        def step(carry: Any, x: Any) -> Any:
            before = carry if self.return_sequences else carry[0]
            inputs, kept = x if mask is not None else (x, None)
            output, after = self._cell_step(inputs, before, training)
            if kept is not None:
                kept = ops.any(kept, axis=-1, keepdims=True)
                output = ops.where(kept, output, self._masked_output(before, output))
                after = tree.map_structure(lambda n, o: ops.where(kept, n, o), after, before)
            return (after, output) if self.return_sequences else ((after, output), None)

        if self.return_sequences:
            last, outputs = ops.scan(step, states, xs, reverse=self.go_backwards)
            if self.go_backwards:
                outputs = ops.flip(outputs, axis=0)
            return ops.swapaxes(outputs, 0, 1), last
        nothing = ops.zeros((sequences.shape[0], self._output_size()), dtype=sequences.dtype)
        (last, output), _ = ops.scan(step, (states, nothing), xs, reverse=self.go_backwards)
        return output, last

    def _cell_step(self, inputs: Any, states: Any, training: bool) -> tuple[Any, Any]:
        has_mode = isinstance(self.cell, Layer) and self.cell._call_has_training_arg
        mode = {"training": training} if has_mode else {}
        run = self.cell if callable(self.cell) else self.cell.call
        output, after = run(inputs, states, **mode)
        return output, list(after) if tree.is_nested(after) else [after]

    def _masked_output(self, states: Any, output: Any) -> Any:
        """What a step gives that the mask leaves out."""
        if self.zero_output_for_mask:
            return ops.zeros_like(output)
        return states[-1][0] if tree.is_nested(states[0]) else states[0]

    def _output_size(self) -> int:
        size = getattr(self.cell, "output_size", None)
        return int(sizes_of(self.cell.state_size)[0] if size is None else size)

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        batch, width = sequences_shape[0], self._output_size()
        output = (batch, sequences_shape[1], width) if self.return_sequences else (batch, width)
        if not self.return_state:
            return output
        sizes = sizes_of(self.cell.state_size)
        states = [
            [(batch, m) for m in n] if isinstance(n, list | tuple) else (batch, n) for n in sizes
        ]
        return (output, *states)

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = tree.flatten(previous_mask)[0]
        output = mask if self.return_sequences else None
        if not self.return_state:
            return output
        return [output, *[None] * len(sizes_of(self.cell.state_size))]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "return_sequences": self.return_sequences,
            "return_state": self.return_state,
            "go_backwards": self.go_backwards,
            "stateful": self.stateful,
            "unroll": self.unroll,
            "zero_output_for_mask": self.zero_output_for_mask,
            "cell": serialize_keras_object(self.cell),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described."""
        cell = deserialize_keras_object(config["cell"], custom_objects=custom_objects)
        return cls(**{**config, "cell": cell})
