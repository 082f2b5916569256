"""One update from the gradients of several steps."""

from collections.abc import Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.variables import OptimizerVariables

__all__ = ["GradientAccumulation"]


class GradientAccumulation(OptimizerVariables):
    """The part of an optimizer that adds gradients up until an update is due."""

    gradient_accumulation_steps: int | None
    _iterations: ops.Variable
    _learning_rate: Any

    def _build_accumulators(self, variables: Sequence[ops.Variable]) -> None:
        self._accumulators = {
            id(variable): self.add_variable_from_reference(variable, "gradient_accumulator")
            for variable in variables
        }

    def _update(self, gradients: list[Any], variables: list[ops.Variable]) -> None:
        """Makes one update; the optimizer's own."""
        raise NotImplementedError

    def _accumulation_is_due(self) -> Any:
        steps = self.gradient_accumulation_steps
        return ops.equal(ops.mod(self._iterations.value + 1, steps), 0)

    def _accumulate(self, gradients: list[Any], variables: list[ops.Variable]) -> None:
        """Makes an update of the mean gradient when it is due, else only adds the gradients up.

        The update is computed in every step and selected: a step stays one straight program.
        """
        steps = self.gradient_accumulation_steps
        due = self._accumulation_is_due()
        accumulators = [self._accumulators[id(variable)] for variable in variables]
        sums = [g + a.value for g, a in zip(gradients, accumulators, strict=True)]
        frozen = {
            id(v) for v in (self._iterations, self._learning_rate, *self._accumulators.values())
        }
        state = [*variables, *(v for v in self._variables if id(v) not in frozen)]
        before = [variable.value for variable in state]
        self._update([total / steps for total in sums], variables)
        for variable, old in zip(state, before, strict=True):
            variable.assign(ops.where(due, variable.value, old))
        for accumulator, total in zip(accumulators, sums, strict=True):
            accumulator.assign(ops.where(due, ops.zeros_like(total), total))

    def _overwrite_with_gradients(
        self, pairs: list[tuple[Any, ops.Variable]]
    ) -> list[tuple[Any, ops.Variable]]:
        """Assigns weights that are their own next value (scales of float8); returns the rest."""
        for gradient, variable in pairs:
            if not variable.overwrite_with_gradient:
                continue
            if self.gradient_accumulation_steps:
                accumulator = self._accumulators[id(variable)]
                highest = ops.maximum(gradient, accumulator.value)
                due = self._accumulation_is_due()
                variable.assign(ops.where(due, highest, variable.value))
                accumulator.assign(ops.where(due, ops.zeros_like(highest), highest))
            else:
                variable.assign(gradient)
        return [pair for pair in pairs if not pair[1].overwrite_with_gradient]
