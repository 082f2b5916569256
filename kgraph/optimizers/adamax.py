"""Adamax: Adam with the largest gradient instead of the mean square."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Adamax"]


@keras_export("keras.optimizers.Adamax")
class Adamax(Optimizer):
    """Adamax (Kingma and Ba): the mean gradient divided by its largest recent absolute value.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        beta_1: the share of the old mean of the gradients that a step keeps.
        beta_2: the share of the old largest value that a step keeps.
        epsilon: keeps the division finite.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each weight's mean and largest value."""
        if self.built:
            return
        super().build(variables)
        self._m, self._u = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves the mean and the largest value, and the weight along the quotient."""
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, dtype)
        m, u = self._m[index].value, self._u[index].value
        m = m + (gradient - m) * (1 - self.beta_1)
        u = ops.maximum(self.beta_2 * u, ops.abs(gradient))
        self._m[index].assign(m)
        self._u[index].assign(u)
        started = self._per_step(
            ("adamax", dtype),
            lambda: 1 - ops.power(ops.cast(self.beta_1, dtype), self._local_step(dtype)),
        )
        rate = self._rate(learning_rate, dtype)
        variable.assign(variable.value - rate * m / (started * (u + self.epsilon)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
