"""FTRL: follow the regularised leader, for sparse linear models."""

from collections.abc import Sequence
from typing import Any

from kgraph import initializers, ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Ftrl"]


@keras_export("keras.optimizers.Ftrl")
class Ftrl(Optimizer):
    """FTRL-Proximal (McMahan and others): weights that l1 keeps at exactly 0.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        learning_rate_power: 0 or less: how fast the rate falls with the sum of squares.
        initial_accumulator_value: where the sums of squares start, 0 or more.
        l1_regularization_strength: 0 or more.
        l2_regularization_strength: 0 or more.
        l2_shrinkage_regularization_strength: 0 or more; added to the gradient.
        beta: the beta of the paper.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
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
        strengths = {
            "initial_accumulator_value": initial_accumulator_value,
            "l1_regularization_strength": l1_regularization_strength,
            "l2_regularization_strength": l2_regularization_strength,
            "l2_shrinkage_regularization_strength": l2_shrinkage_regularization_strength,
        }
        for argument, value in strengths.items():
            if value < 0.0:
                raise ValueError(f"`{argument}` of Ftrl must be 0 or more; got {value!r}.")
        if learning_rate_power > 0.0:
            raise ValueError(
                f"`learning_rate_power` of Ftrl must be 0 or less; got {learning_rate_power!r}."
            )
        self.learning_rate_power = learning_rate_power
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each weight's sum of squares and its linear term."""
        if self.built:
            return
        super().build(variables)
        self._accumulators_of_squares, self._linears = self.add_optimizer_variables(
            variables,
            ["accumulator", "linear"],
            initializer=[initializers.Constant(self.initial_accumulator_value), "zeros"],
        )

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Adds the gradient to both sums, and sets the weight to the minimum they describe."""
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, dtype)
        rate = self._rate(learning_rate, dtype)
        power = -self.learning_rate_power
        squares, linear = self._accumulators_of_squares[index], self._linears[index]
        weight = variable.value
        shrunk = gradient + 2 * self.l2_shrinkage_regularization_strength * weight
        old_power = ops.power(squares.value, power)
        total = squares.value + ops.square(gradient)
        new_power = ops.power(total, power)
        z = linear.value + (shrunk - (new_power - old_power) / rate * weight)
        l2 = self.l2_regularization_strength + self.beta / (2.0 * rate)
        quadratic = new_power / rate + 2 * l2
        l1 = self.l1_regularization_strength
        variable.assign((ops.clip(z, -l1, l1) - z) / quadratic)
        linear.assign(z)
        squares.assign(total)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }
