"""Adam: steps scaled by running means of the gradients and their squares."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Adam"]


@keras_export("keras.optimizers.Adam")
class Adam(Optimizer):
    """Adam (Kingma and Ba): the mean gradient divided by the root of the mean squared gradient.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        beta_1: the share of the old mean of the gradients that a step keeps.
        beta_2: the share of the old mean of their squares that a step keeps.
        epsilon: keeps the division finite.
        amsgrad: divide by the largest mean so far instead of the current one.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.amsgrad = amsgrad

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each weight's two means (with `amsgrad` three)."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat")

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves the means towards the gradient, and the weight along their quotient."""
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        momentum, velocity = self._momentums[index], self._velocities[index]
        gradient = ops.cast(gradient, dtype)
        step_size = self._per_step(
            ("adam", dtype), lambda: self._corrected_step_size(learning_rate, dtype)
        )
        m, v = momentum.value, velocity.value
        m = m + (gradient - m) * (1 - self.beta_1)
        v = v + (ops.square(gradient) - v) * (1 - self.beta_2)
        momentum.assign(m)
        velocity.assign(v)
        if self.amsgrad:
            v = ops.maximum(self._velocity_hats[index].value, v)
            self._velocity_hats[index].assign(v)
        variable.assign(variable.value - m * step_size / (ops.sqrt(v) + self.epsilon))

    def _corrected_step_size(self, learning_rate: Any, dtype: str) -> Any:
        """The learning rate, corrected for means that started at 0."""
        step = self._local_step(dtype)
        left_1 = ops.power(ops.cast(self.beta_1, dtype), step)
        left_2 = ops.power(ops.cast(self.beta_2, dtype), step)
        return self._rate(learning_rate, dtype) * ops.sqrt(1 - left_2) / (1 - left_1)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }
