"""Adagrad: steps divided by the root of the sum of squared gradients."""

from collections.abc import Sequence
from typing import Any

from kgraph import initializers, ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Adagrad"]


@keras_export("keras.optimizers.Adagrad")
class Adagrad(Optimizer):
    """Adagrad (Duchi and others): the gradient divided by the root of the sum of all its squares.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        initial_accumulator_value: where the sums of squares start.
        epsilon: keeps the division finite.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.initial_accumulator_value = initial_accumulator_value
        self.epsilon = epsilon

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each weight's sum of squares."""
        if self.built:
            return
        super().build(variables)
        self._accumulators_of_squares = self.add_optimizer_variables(
            variables,
            "accumulator",
            initializer=initializers.Constant(self.initial_accumulator_value),
        )

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Adds the gradient's square up, and moves the weight along the quotient."""
        dtype = variable.dtype
        gradient = ops.cast(gradient, dtype)
        squares = self._accumulators_of_squares[self._get_variable_index(variable)]
        total = squares.value + ops.square(gradient)
        squares.assign(total)
        rate = self._rate(learning_rate, dtype)
        variable.assign(variable.value - rate * gradient / ops.sqrt(total + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
