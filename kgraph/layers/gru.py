"""Gated recurrent units (Cho et al., 2014)."""

from typing import Any

from kgraph import ops
from kgraph.layers.recurrent_cell import CellRNN, RecurrentCell
from kgraph.layers.weight_options import passed_on
from kgraph.registry import keras_export

__all__ = ["GRU", "GRUCell"]


@keras_export("keras.layers.GRUCell")
class GRUCell(RecurrentCell):
    """One step: `(inputs, [h])` to `(h, [h])`; the gates are update, reset, candidate.

    Args:
        units: the size of the state and of the output.
        activation, recurrent_activation: of the candidate and of the gates.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
        recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
        bias_constraint: names or objects.
        dropout, recurrent_dropout: the parts of the inputs and of h left out in training.
        reset_after: the reset gate acts after the product with the recurrent kernel, not before.
        seed: for the random numbers.
    """

    gates = 3
    settings = ("reset_after",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        reset_after: bool = True,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))

    def _bias_shape(self) -> tuple[int, ...]:
        return (2, 3 * self.units) if self.reset_after else (3 * self.units,)

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """The next step."""
        h = states[0] if isinstance(states, list | tuple) else states
        n = self.units
        for_inputs, for_h = self._step_masks(inputs, h, training)
        x = self._product(inputs, self.kernel, for_inputs)
        if self.bias is not None:
            x = x + (self.bias[0] if self.reset_after else self.bias)
        if self.reset_after:
            inner = self._product(h, self.recurrent_kernel, for_h)
            inner = inner if self.bias is None else inner + self.bias[1]
        else:
            inner = self._product(h, self.recurrent_kernel[:, : 2 * n], for_h)
        update = self.recurrent_activation(x[:, :n] + inner[:, :n])
        reset = self.recurrent_activation(x[:, n : 2 * n] + inner[:, n : 2 * n])
        if self.reset_after:
            candidate = reset * inner[:, 2 * n :]
        else:
            kept = h * for_h[2] if for_h else h
            candidate = ops.matmul(reset * kept, self.recurrent_kernel[:, 2 * n :])
        candidate = self.activation(x[:, 2 * n :] + candidate)
        h = update * h + (1 - update) * candidate
        return h, [h] if isinstance(states, list | tuple) else h


@keras_export("keras.layers.GRU")
class GRU(CellRNN):
    """A `GRUCell` over the steps of a sequence; the arguments are those of `GRUCell` and `RNN`."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        reset_after: bool = True,
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(GRUCell, passed_on(locals()))
