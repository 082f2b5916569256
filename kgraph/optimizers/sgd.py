"""Stochastic gradient descent."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["SGD"]


@keras_export("keras.optimizers.SGD")
class SGD(Optimizer):
    """Gradient descent, with momentum where `momentum` is not 0.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        momentum: the share of the last step that a step keeps, 0 to 1.
        nesterov: look ahead by one step of the momentum (Nesterov).

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        if not isinstance(momentum, float) or not 0 <= momentum <= 1:
            raise ValueError(
                f"`momentum` of SGD must be a float between 0.0 and 1.0; got {momentum!r}."
            )
        self.momentum = momentum
        self.nesterov = nesterov

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each weight's momentum, where there is any."""
        if self.built:
            return
        super().build(variables)
        self.momentums = (
            self.add_optimizer_variables(variables, "momentum") if self.momentum != 0 else []
        )

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves the weight against its gradient."""
        dtype = variable.dtype
        step = ops.cast(gradient, dtype) * self._rate(learning_rate, dtype)
        if self.momentum == 0:
            variable.assign(variable.value - step)
            return
        momentum = self.momentums[self._get_variable_index(variable)]
        velocity = momentum.value * self.momentum - step
        momentum.assign(velocity)
        if self.nesterov:
            velocity = velocity * self.momentum - step
        variable.assign(variable.value + velocity)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "nesterov": self.nesterov,
        }
