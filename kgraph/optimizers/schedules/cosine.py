"""Schedules that fall along half a cosine, once or again and again."""

import math
from typing import Any

from kgraph import config, ops
from kgraph.optimizers.schedules.schedule import LearningRateSchedule, check_decay_steps
from kgraph.registry import keras_export

__all__ = ["CosineDecay", "CosineDecayRestarts"]


@keras_export("keras.optimizers.schedules.CosineDecay")
class CosineDecay(LearningRateSchedule):
    """Rises linearly to `warmup_target`, if there is one, then falls along half a cosine.

    Args:
        initial_learning_rate: the rate at step 0.
        decay_steps: the steps of the fall.
        alpha: the rate at the end, as a share of the rate where the fall begins.
        name: a name.
        warmup_target: the rate at the end of the rise; None: no rise.
        warmup_steps: the steps of the rise.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        decay_steps: float,
        alpha: float = 0.0,
        name: str = "CosineDecay",
        warmup_target: float | None = None,
        warmup_steps: float = 0,
    ) -> None:
        check_decay_steps(decay_steps)
        self.initial_learning_rate = initial_learning_rate
        self.decay_steps = decay_steps
        self.alpha = alpha
        self.name = name
        self.warmup_target = warmup_target
        self.warmup_steps = warmup_steps

    def __call__(self, step: Any) -> Any:
        step = ops.cast(step, config.floatx())
        if self.warmup_target is None:
            return self._fall(step, self.initial_learning_rate)
        if self.warmup_steps == 0:
            return self._fall(step, self.warmup_target)
        rise = self.warmup_target - self.initial_learning_rate
        risen = rise * (step / self.warmup_steps) + self.initial_learning_rate
        fallen = self._fall(step - self.warmup_steps, self.warmup_target)
        return ops.where(step < self.warmup_steps, risen, fallen)

    def _fall(self, step: Any, start: float) -> Any:
        share = ops.minimum(step, float(self.decay_steps)) / self.decay_steps
        cosine = 0.5 * (1.0 + ops.cos(math.pi * share))
        return start * ((1 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "decay_steps": self.decay_steps,
            "alpha": self.alpha,
            "name": self.name,
            "warmup_target": self.warmup_target,
            "warmup_steps": self.warmup_steps,
        }


@keras_export("keras.optimizers.schedules.CosineDecayRestarts")
class CosineDecayRestarts(LearningRateSchedule):
    """Falls along half a cosine, and starts anew at its end (Loshchilov and Hutter's SGDR).

    Args:
        initial_learning_rate: the rate at step 0.
        first_decay_steps: the steps of the first fall.
        t_mul: each fall lasts this many times as long as the one before.
        m_mul: and starts from this many times its rate.
        alpha: the least rate, as a share of the initial one.
        name: a name.
    """

    def __init__(
        self,
        initial_learning_rate: float,
        first_decay_steps: float,
        t_mul: float = 2.0,
        m_mul: float = 1.0,
        alpha: float = 0.0,
        name: str = "SGDRDecay",
    ) -> None:
        check_decay_steps(first_decay_steps, "first_decay_steps")
        self.initial_learning_rate = initial_learning_rate
        self.first_decay_steps = first_decay_steps
        self._t_mul = t_mul
        self._m_mul = m_mul
        self.alpha = alpha
        self.name = name

    def __call__(self, step: Any) -> Any:
        dtype = config.floatx()
        periods = ops.cast(step, dtype) / self.first_decay_steps
        growth = float(self._t_mul)
        if growth == 1.0:
            restarts = ops.floor(periods)
            share = periods - restarts
        else:
            # The falls before restart i last (1 - growth**i) / (1 - growth) first falls.
            restarts = ops.floor(ops.log(1.0 - periods * (1.0 - growth)) / math.log(growth))
            length = ops.power(ops.cast(growth, dtype), restarts)
            share = (periods - (1.0 - length) / (1.0 - growth)) / length
        start = ops.power(ops.cast(self._m_mul, dtype), restarts)
        cosine = 0.5 * start * (1.0 + ops.cos(math.pi * share))
        return self.initial_learning_rate * ((1 - self.alpha) * cosine + self.alpha)

    def get_config(self) -> dict[str, Any]:
        return {
            "initial_learning_rate": self.initial_learning_rate,
            "first_decay_steps": self.first_decay_steps,
            "t_mul": self._t_mul,
            "m_mul": self._m_mul,
            "alpha": self.alpha,
            "name": self.name,
        }
