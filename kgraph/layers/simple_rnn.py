"""The plain recurrent layer: the output goes back into the input."""

from typing import Any

from kgraph.layers.recurrent_cell import CellRNN, RecurrentCell
from kgraph.layers.weight_options import passed_on
from kgraph.registry import keras_export

__all__ = ["SimpleRNN", "SimpleRNNCell"]


@keras_export("keras.layers.SimpleRNNCell")
class SimpleRNNCell(RecurrentCell):
    """One step: `(inputs, [h])` to `(h, [h])`.

    Args:
        units: the size of the state and of the output.
        activation: a name or function; None for none.
        use_bias: whether there is a bias.
        kernel_initializer, recurrent_initializer, bias_initializer, kernel_regularizer,
        recurrent_regularizer, bias_regularizer, kernel_constraint, recurrent_constraint,
        bias_constraint: names or objects.
        dropout, recurrent_dropout: the parts of the inputs and of h left out in training.
        seed: for the random numbers.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**passed_on(locals()))

    def call(self, sequence: Any, states: Any, training: bool = False) -> Any:
        """The next step."""
        h = states[0] if isinstance(states, list | tuple) else states
        for_inputs, for_h = self._step_masks(sequence, h, training)
        x = self._product(sequence, self.kernel, for_inputs)
        x = x if self.bias is None else x + self.bias
        h = self.activation(x + self._product(h, self.recurrent_kernel, for_h))
        return h, [h] if isinstance(states, list | tuple) else h


@keras_export("keras.layers.SimpleRNN")
class SimpleRNN(CellRNN):
    """A `SimpleRNNCell` over the steps; the arguments are those of `SimpleRNNCell` and `RNN`."""

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
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
        return_sequences: bool = False,
        return_state: bool = False,
        go_backwards: bool = False,
        stateful: bool = False,
        unroll: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(SimpleRNNCell, passed_on(locals()))

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        del config["seed"]  # Keras's config has none
        return config
