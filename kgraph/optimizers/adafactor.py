"""Adafactor: mean squares kept by row and column."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.optimizer import Optimizer
from kgraph.registry import keras_export

__all__ = ["Adafactor"]


@keras_export("keras.optimizers.Adafactor")
class Adafactor(Optimizer):
    """Adafactor (Shazeer and Stern): Adam whose state is two vectors per matrix.

    Args:
        learning_rate: a float, a schedule, or a function without arguments.
        beta_2_decay: how fast the share of old squares grows with the steps.
        epsilon_1: keeps the mean squares above 0.
        epsilon_2: the least size of a weight, for the size of its steps.
        clip_threshold: the largest root mean square of a step.
        relative_step: let the rate fall with the root of the steps, unless a schedule.

    The further arguments are those of `Optimizer`.
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = beta_2_decay
        self.epsilon_1 = epsilon_1
        self.epsilon_2 = epsilon_2
        self.clip_threshold = clip_threshold
        self.relative_step = relative_step

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes each matrix's row and column means, and every weight's mean square."""
        if self.built:
            return
        super().build(variables)
        self._r: list[Any] = []
        self._c: list[Any] = []
        self._v: list[Any] = []
        for variable in variables:
            self._build_one(variable)

    def _build_one(self, variable: ops.Variable) -> None:
        shape = tuple(variable.shape)
        unused = variable.overwrite_with_gradient
        if len(shape) < 2:
            # Not factored. The two scalars only hold the places that files give them.
            for means in (self._r, self._c):
                means.append(ops.Variable(0, name=variable.name, trainable=False))
                self._track_variable(means[-1])
        elif unused:
            self._r.append(None)
            self._c.append(None)
        else:
            dtype, name = variable.dtype, variable.name
            self._r.append(self.add_variable(shape[:-1], dtype=dtype, name=name))
            self._c.append(self.add_variable(shape[:-2] + shape[-1:], dtype=dtype, name=name))
        self._v.append(None if unused else self.add_variable_from_reference(variable, "velocity"))

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Moves the mean squares, and the weight by a clipped step relative to its size."""
        dtype = variable.dtype
        index = self._get_variable_index(variable)
        gradient = ops.cast(gradient, dtype)
        rate, kept = self._per_step(
            ("adafactor", dtype), lambda: self._scalars(learning_rate, dtype)
        )
        size = ops.maximum(self.epsilon_2, _root_mean_square(variable.value)) * rate
        squares = ops.square(gradient) + self.epsilon_1
        if len(variable.shape) >= 2:
            rows, columns = self._r[index], self._c[index]
            r = kept * rows.value + (1 - kept) * ops.mean(squares, axis=-1)
            c = kept * columns.value + (1 - kept) * ops.mean(squares, axis=-2)
            rows.assign(r)
            columns.assign(c)
            share = r / ops.mean(r, axis=-1, keepdims=True)
            v = ops.expand_dims(share, -1) * ops.expand_dims(c, -2)
        else:
            v = kept * self._v[index].value + (1 - kept) * squares
        self._v[index].assign(v)
        step = gradient / ops.sqrt(v)
        step = step / ops.maximum(1.0, _root_mean_square(step) / self.clip_threshold)
        variable.assign(variable.value - size * step)

    def _scalars(self, learning_rate: Any, dtype: str) -> tuple[Any, Any]:
        """The rate of this step, and the share of the old mean squares that it keeps."""
        step = self._local_step(dtype)
        rate = ops.minimum(self._rate(learning_rate, dtype), 1 / ops.sqrt(step))
        return rate, 1 - ops.power(step, self.beta_2_decay)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }


def _root_mean_square(x: Any) -> Any:
    return ops.sqrt(ops.mean(ops.square(x)))
