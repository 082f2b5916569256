"""Long short-term memory (Hochreiter and Schmidhuber, 1997), with forget gates."""

from typing import Any

from kgraph import ops
from kgraph.layers.recurrent_cell import CellRNN, RecurrentCell
from kgraph.layers.weight_options import passed_on
from kgraph.registry import keras_export

__all__ = ["LSTM", "LSTMCell"]


@keras_export("keras.layers.LSTMCell")
class LSTMCell(RecurrentCell):
    """One step: `(inputs, [h, c])` to `(h, [h, c])`; the gates are input, forget, cell, output.

    Args:
        units: the size of the states and of the output.
        activation, recurrent_activation: of the cell and of the gates.
        use_bias: whether there is a bias.
        unit_forget_bias: the bias of the forget gate begins with ones.
        kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
        recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
        bias_constraint: names or objects.
        dropout, recurrent_dropout: the parts of the inputs and of h left out in training.
        seed: for the random numbers.
    """

    gates = 4
    settings = ("unit_forget_bias",)

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        dropout: float = 0.0,
        recurrent_dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))
        self.state_size = [units, units]

    def _bias_initializer(self) -> Any:
        if not self.unit_forget_bias:
            return self.bias_initializer
        n = self.units

        def first(shape: Any, dtype: Any = None) -> Any:
            begin = self.bias_initializer((n,), dtype=dtype)
            rest = self.bias_initializer((2 * n,), dtype=dtype)
            return ops.concatenate([begin, ops.ones((n,), dtype=dtype), rest], axis=0)

        return first

    def call(self, inputs: Any, states: Any, training: bool = False) -> Any:
        """The next step."""
        h, c = states
        for_inputs, for_h = self._step_masks(inputs, h, training)
        z = self._product(inputs, self.kernel, for_inputs)
        if self.bias is not None:  # before what needs h, so that it can be done for all steps
            z = z + self.bias
        z = z + self._product(h, self.recurrent_kernel, for_h)
        i, f, g, o = ops.split(z, 4, axis=1)
        c = self.recurrent_activation(f) * c + self.recurrent_activation(i) * self.activation(g)
        h = self.recurrent_activation(o) * self.activation(c)
        return h, [h, c]


@keras_export("keras.layers.LSTM")
class LSTM(CellRNN):
    """An `LSTMCell` over the steps of a sequence; arguments as of `LSTMCell` and `RNN`."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
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
        use_cudnn: Any = "auto",
        **kwargs: Any,
    ) -> None:
        super().__init__(LSTMCell, passed_on(locals()))
