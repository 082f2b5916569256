"""Taking a share of the weights away at every step, and which weights that leaves out."""

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from kgraph import ops
from kgraph.optimizers.variables import OptimizerVariables, current

__all__ = ["DecayFilter", "WeightDecay"]


class DecayFilter:
    """Says of each variable whether weight decay applies to it.

    Args:
        variables: these do not decay.
        names: neither do those whose name matches one of these regular expressions.
    """

    def __init__(self, variables: Iterable[Any] = (), names: Iterable[str] = ()) -> None:
        # The variables themselves are kept: an id alone could be given to another object.
        self._variables = {id(variable): variable for variable in variables}
        names = sorted(set(names))
        self._pattern = re.compile("|".join(names)) if names else None

    def includes(self, variable: Any) -> bool:
        """Tells whether `variable` decays."""
        if id(variable) in self._variables:
            return False
        return self._pattern is None or self._pattern.search(variable.name) is None


class WeightDecay(OptimizerVariables):
    """The part of an optimizer that decays weights."""

    weight_decay: float | None
    learning_rate: Any
    _decay_filter: DecayFilter

    def _per_step(self, key: Any, make: Callable[[], Any]) -> Any:
        """Evaluates `make` once per step; the optimizer's own."""
        raise NotImplementedError

    def exclude_from_weight_decay(
        self,
        var_list: Iterable[ops.Variable] | None = None,
        var_names: Iterable[str] | None = None,
    ) -> None:
        """Leaves weights out of weight decay; to be called before the optimizer is built.

        Args:
            var_list: these weights.
            var_names: the weights whose name matches one of these regular expressions.
        """
        if self.built:
            raise ValueError(
                f"exclude_from_weight_decay() must be called before {self.name} is built."
            )
        self._decay_filter = DecayFilter(var_list or (), var_names or ())

    def _apply_weight_decay(self, variables: Sequence[ops.Variable]) -> None:
        if self.weight_decay is None:
            return
        learning_rate = self.learning_rate
        rate = current(learning_rate)
        for variable in variables:
            if self._decay_filter.includes(variable):
                share = self._decay_share(rate, variable.dtype)
                variable.assign(variable.value - variable.value * share)

    def _decay_share(self, rate: Any, dtype: str) -> Any:
        decay = self.weight_decay
        return self._per_step(("decay", dtype), lambda: ops.cast(rate, dtype) * decay)
