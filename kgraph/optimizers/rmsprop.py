"""RMSprop: steps divided by the root of the mean squared gradient."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["RMSprop"]


@keras_export("keras.optimizers.RMSprop")
class RMSprop(Optimizer):
    """RMSprop (Hinton): the gradient divided by the root of its mean square.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        rho: the share of the old mean square that a step keeps.
        momentum: the share of the last step that a step keeps.
        epsilon: keeps the division finite.
        centered: divide by the standard deviation instead.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.momentum = momentum
        self.epsilon = epsilon
        self.centered = centered

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each weight's mean square, and what `momentum` and `centered` need."""
        if self.built:
            return
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        if self.momentum > 0:
            self._momentums = self.add_optimizer_variables(variables, "momentum")
        if self.centered:
            self._average_gradients = self.add_optimizer_variables(variables, "average_gradient")

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves the mean square towards the gradient's, and the weight along the quotient."""
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, dtype)
        rho = self.rho
        mean_square = rho * self._velocities[index].value + (1 - rho) * ops.square(gradient)
        self._velocities[index].assign(mean_square)
        if self.centered:
            average = self._average_gradients[index]
            mean = rho * average.value + (1 - rho) * gradient
            average.assign(mean)
            denominator = mean_square - ops.square(mean) + self.epsilon
        else:
            denominator = mean_square + self.epsilon
        step = self._rate(learning_rate, dtype) * gradient / ops.sqrt(denominator)
        if self.momentum > 0:
            momentum = self._momentums[index]
            step = self.momentum * momentum.value + step
            momentum.assign(step)
        variable.assign(variable.value - step)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
