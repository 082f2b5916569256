"""Lamb: Adam with steps in proportion to the size of each weight."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Lamb"]


@keras_export("keras.optimizers.Lamb")
class Lamb(Optimizer):
    """Lamb (You and others): the direction of Adam, with the length of the weight times the rate.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        beta_1: the share of the old mean of the gradients that a step keeps.
        beta_2: the share of the old mean of their squares that a step keeps.
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
        """Makes each weight's two means."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves the means as Adam does, and the weight by the rate times its own length."""
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, dtype)
        m, v = self._momentums[index].value, self._velocities[index].value
        m = m + (gradient - m) * (1 - self.beta_1)
        v = v + (ops.square(gradient) - v) * (1 - self.beta_2)
        self._momentums[index].assign(m)
        self._velocities[index].assign(v)
        started_1 = self._started(self.beta_1, dtype)
        started_2 = self._started(self.beta_2, dtype)
        step = (m / started_1) / (ops.sqrt(v / started_2) + self.epsilon)
        weight_norm = ops.sqrt(ops.sum(ops.square(variable.value)))
        step_norm = ops.sqrt(ops.sum(ops.square(step)))
        both = ops.logical_and(weight_norm > 0, step_norm > 0)
        ratio = ops.where(both, ops.divide(weight_norm, step_norm), 1.0)
        variable.assign(variable.value - ratio * self._rate(learning_rate, dtype) * step)

    def _started(self, beta: float, dtype: str) -> Any:
        """The share of a mean that does not stem from its start at 0."""
        return self._per_step(
            ("started", beta, dtype),
            lambda: 1.0 - ops.power(ops.cast(beta, dtype), self._local_step(dtype)),
        )

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
