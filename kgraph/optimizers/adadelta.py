"""Adadelta: steps in the units of the weight."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Adadelta"]


@keras_export("keras.optimizers.Adadelta")
class Adadelta(Optimizer):
    """Adadelta (Zeiler): steps as large as the last ones, against the gradient.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        rho: the share of the old mean squares that a step keeps.
        epsilon: keeps the division finite, and the first steps above 0.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
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
        self.rho = rho
        self.epsilon = epsilon

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each weight's mean squares of gradients and steps."""
        if self.built:
            return
        super().build(variables)
        self._accumulated_grads, self._accumulated_delta_vars = self.add_optimizer_variables(
            variables, ["accumulated_grad", "accumulated_delta_var"]
        )

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves both mean squares, and the weight by the quotient of their roots."""
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, dtype)
        rho = self.rho
        gradients, steps = self._accumulated_grads[index], self._accumulated_delta_vars[index]
        mean_square = rho * gradients.value + (1 - rho) * ops.square(gradient)
        gradients.assign(mean_square)
        step = -(
            ops.sqrt(steps.value + self.epsilon) * gradient / ops.sqrt(mean_square + self.epsilon)
        )
        steps.assign(rho * steps.value + (1 - rho) * ops.square(step))
        variable.assign(variable.value + self._rate(learning_rate, dtype) * step)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "epsilon": self.epsilon,
        }
