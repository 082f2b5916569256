"""Nadam: Adam with Nesterov momentum."""

from collections.abc import Sequence
from typing import Any

from kgraph import config, ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Nadam"]


@keras_export("keras.optimizers.Nadam")
class Nadam(Optimizer):
    """Nadam (Dozat): Adam that looks ahead by one step of its momentum.

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
        """Makes each weight's two means, and the product of the momenta so far."""
        if self.built:
            return
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(
            variables, ["momentum", "velocity"]
        )
        dtype = variables[0].dtype if variables else config.floatx()
        self._u_product = ops.Variable(1.0, dtype=dtype, trainable=False)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[ops.Variable], learning_rate: Any
    ) -> None:
        product = self._u_product
        product.assign(product.value * self._momentum_at(0, product.dtype))
        super()._backend_update_step(grads, trainable_variables, learning_rate)

    def _momentum_at(self, offset: int, dtype: str) -> Any:
        """The momentum that the schedule gives for this step, or `offset` steps later."""
        return self._per_step(
            ("momentum", offset, dtype),
            lambda: (
                self.beta_1
                * (1.0 - 0.5 * ops.power(ops.cast(0.96, dtype), self._local_step(dtype) + offset))
            ),
        )

    def _scalars(self, dtype: str) -> tuple[Any, Any, Any]:
        """The factors of the mean and of the gradient in a step, and the mean square's share."""
        now, later = self._momentum_at(0, dtype), self._momentum_at(1, dtype)
        product = ops.cast(self._u_product.value, dtype)
        left = ops.power(ops.cast(self.beta_2, dtype), self._local_step(dtype))
        return later / (1 - product * later), (1 - now) / (1 - product), 1 - left

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves the means as Adam does, and the weight by the step ahead."""
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, dtype)
        m, v = self._momentums[index].value, self._velocities[index].value
        m = m + (gradient - m) * (1 - self.beta_1)
        v = v + (ops.square(gradient) - v) * (1 - self.beta_2)
        self._momentums[index].assign(m)
        self._velocities[index].assign(v)
        of_mean, of_gradient, started = self._per_step(
            ("nadam", dtype), lambda: self._scalars(dtype)
        )
        ahead = (of_mean * m + of_gradient * gradient) * self._rate(learning_rate, dtype)
        variable.assign(variable.value - ahead / (ops.sqrt(v / started) + self.epsilon))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
