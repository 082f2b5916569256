"""Lion: steps of one size, in the direction of a mean gradient."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Lion"]


@keras_export("keras.optimizers.Lion")
class Lion(Optimizer):
    """Lion (Chen and others): the sign of a mean gradient, times the learning rate.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        beta_1: the share of the mean in the direction; the rest is the gradient.
        beta_2: the share of the old mean that a step keeps.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        if not 0 < beta_1 <= 1:
            raise ValueError(
                "`beta_1` of Lion must be above 0 and at most 1 (at 0 it would be the sign of "
                f"the gradient alone); got {beta_1!r}."
            )
        self.beta_1 = beta_1
        self.beta_2 = beta_2

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each weight's mean gradient."""
        if self.built:
            return
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves the weight by the sign of the mean, and the mean towards the gradient."""
        dtype = variable.dtype
        gradient = ops.cast(gradient, dtype)
        beta_1, beta_2 = self.beta_1, self.beta_2
        momentum = self._momentums[self._get_variable_index(variable)]
        m = momentum.value
        direction = ops.sign(m * beta_1 + gradient * (1.0 - beta_1))
        variable.assign(variable.value - self._rate(learning_rate, dtype) * direction)
        momentum.assign(m * beta_2 + gradient * (1.0 - beta_2))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
        }
