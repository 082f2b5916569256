"""Schedules that fall steadily: exponentially, with the inverse of time, by a power."""

from typing import Any

from kgraph import config, ops
from kgraph.optimizers.schedules.schedule import LearningRateSchedule, check_decay_steps
from kgraph.registry import keras_export

__all__ = ["ExponentialDecay", "InverseTimeDecay", "PolynomialDecay"]


class _RateDecay(LearningRateSchedule):
    """The arguments that two of the schedules share."""

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool,
        name: str,
    ) -> None:
        check_decay_steps(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.decay_rate = decay_rate
        self.staircase = staircase
        self.name = name

    def _periods(self, step: Any) -> Any:
        """How many times `decay_steps` have passed; whole periods only with `staircase`."""
        periods = ops.cast(step, config.floatx()) / self.decay_steps
        return ops.floor(periods) if self.staircase else periods

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "decay_rate": self.decay_rate,
            "staircase": self.staircase,
            "name": self.name,
        }


@keras_export("keras.optimizers.schedules.ExponentialDecay")
class ExponentialDecay(_RateDecay):
    """`initial_learning_rate * decay_rate ** (step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the steps after which the rate is `decay_rate` times what it was.
        decay_rate: the factor.
        staircase: fall only at multiples of `decay_steps`.
        name: a name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "ExponentialDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> Any:
        decay = ops.power(ops.cast(self.decay_rate, config.floatx()), self._periods(step))
        return self.initial_learning_rate * decay


@keras_export("keras.optimizers.schedules.InverseTimeDecay")
class InverseTimeDecay(_RateDecay):
    """`initial_learning_rate / (1 + decay_rate * step / decay_steps)`.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the steps that count as 1 unit of time.
        decay_rate: how much the divisor grows in a unit.
        staircase: fall only at multiples of `decay_steps`.
        name: a name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        decay_rate: float,
        staircase: bool = False,
        name: str = "InverseTimeDecay",
    ) -> None:
        super().__init__(initial_learning_rate, decay_steps, decay_rate, staircase, name)

    def __call__(self, step: Any) -> Any:
        return self.initial_learning_rate / (1 + self.decay_rate * self._periods(step))


@keras_export("keras.optimizers.schedules.PolynomialDecay")
class PolynomialDecay(LearningRateSchedule):
    """Falls to `end_learning_rate` in `decay_steps` steps, by a power of what is left of them.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the steps until the end.
        end_learning_rate: the rate from then on.
        power: 1 for a straight line.
        cycle: start anew after the end, with the next multiple of `decay_steps` as the end.
        name: a name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        end_learning_rate: float = 0.0001,
        power: float = 1.0,
        cycle: bool = False,
        name: str = "PolynomialDecay",
    ) -> None:
        check_decay_steps(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.end_learning_rate = end_learning_rate
        self.power = power
        self.cycle = cycle
        self.name = name

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, config.floatx())
        end: Any = self.decay_steps
        if self.cycle:
            # Step 0 belongs to the first cycle, though no whole one has passed yet.
            end = end * ops.maximum(ops.ceil(step / self.decay_steps), 1.0)
        else:
            step = ops.minimum(step, float(self.decay_steps))
        left = ops.power(1 - step / end, self.power)
        span = self.initial_learning_rate - self.end_learning_rate
        return span * left + self.end_learning_rate

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "end_learning_rate": self.end_learning_rate,
            "power": self.power,
            "cycle": self.cycle,
            "name": self.name,
        }
