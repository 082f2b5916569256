"""AdamW: Adam with decoupled weight decay."""

from typing import Any

from kgraph.optimizers.adam import Adam
from kgraph.registry import keras_export

__all__ = ["AdamW"]


@keras_export("keras.optimizers.AdamW")
class AdamW(Adam):
    """AdamW (Loshchilov and Hutter): Adam, and every step takes a share of the weights away.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        weight_decay: the share of each weight, times the learning rate, that a step takes away.
        beta_1: the share of the old mean of the gradients that a step keeps.
        beta_2: the share of the old mean of their squares that a step keeps.
        epsilon: keeps the division finite.
        amsgrad: divide by the largest mean so far instead of the current one.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        if weight_decay is None:
            raise ValueError("`weight_decay` of AdamW must be a float; got None. Or use Adam.")
        super().__init__(
            learning_rate,
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
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
