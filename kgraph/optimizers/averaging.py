"""Moving averages of the weights, and putting them in the weights' place."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.variables import OptimizerVariables, current

__all__ = ["WeightAveraging"]


class WeightAveraging(OptimizerVariables):
    """The part of an optimizer that keeps exponential moving averages of the weights."""

    use_ema: bool
    ema_momentum: float
    ema_overwrite_frequency: int | None
    _averages: list[Any]
    _trainable_variables: list[ops.Variable]

    @property
    def iterations(self) -> Any:
        """The number of updates made so far."""
        raise NotImplementedError

    def _update_averages(self) -> None:
        """Moves the averages towards the weights; overwrites the weights when that is due."""
        iterations = current(self.iterations)
        due = None
        if self.ema_overwrite_frequency:
            due = ops.equal(ops.mod(iterations + 1, self.ema_overwrite_frequency), 0)
        for variable, average in zip(self._trainable_variables, self._averages, strict=True):
            if average is None:
                continue
            # The first step's average is the weight itself.
            momentum = self.ema_momentum * ops.cast(ops.not_equal(iterations, 0), variable.dtype)
            average.assign(momentum * average.value + (1 - momentum) * variable.value)
            if due is not None:
                variable.assign(ops.where(due, average.value, variable.value))

    def finalize_variable_values(self, var_list: Sequence[ops.Variable]) -> None:
        """Ends a training: with `use_ema`, gives the weights the values of their averages."""
        if not self.use_ema:
            return
        if len(var_list) != len(self._averages):
            raise ValueError(
                f"{self.name} keeps averages of {len(self._averages)} weights; "
                f"finalize_variable_values got {len(var_list)}."
            )
        for variable, average in zip(var_list, self._averages, strict=True):
            if average is not None:
                variable.assign(average.value)
