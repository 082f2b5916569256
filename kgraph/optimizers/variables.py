"""The state of an optimizer: its variables, their names, their order in files."""

import warnings
from collections.abc import Mapping, MutableMapping, Sequence
from typing import Any

from kgraph import initializers, ops

__all__ = ["OptimizerVariables", "current"]


def current(x: Any) -> Any:
    """Returns the present value of a Variable; anything else as it is."""
    return x.value if isinstance(x, ops.Variable) else x


class OptimizerVariables:
    """Makes, tracks, saves and loads an optimizer's variables.

    The order in which they are made is their order in `variables` and in `.keras` files.
    """

    name: str
    built: bool
    _variables: list[ops.Variable]

    def __init__(self) -> None:
        super().__setattr__("_variables", [])

    def __setattr__(self, name: str, value: Any) -> None:
        """Tracks a Variable that is set as an attribute."""
        tracked = self.__dict__.get("_variables")
        if tracked is None:
            raise RuntimeError(
                f"{type(self).__name__}.__init__ must call `super().__init__()` before it sets "
                f"attributes; it set '{name}' first."
            )
        if isinstance(value, ops.Variable):
            self._track_variable(value)
        super().__setattr__(name, value)

    @property
    def variables(self) -> list[ops.Variable]:
        """All variables of the optimizer, in the order in which they were made."""
        return list(self._variables)

    def _track_variable(self, variable: ops.Variable) -> None:
        if not any(known is variable for known in self._variables):
            self._variables.append(variable)

    def _untrack_variable(self, variable: ops.Variable) -> None:
        self._variables[:] = [known for known in self._variables if known is not variable]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any = "zeros",
        dtype: str | None = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> ops.Variable:
        """Makes a variable of the optimizer.

        Args:
            shape: its shape, all sizes known.
            initializer: an initializer or its name.
            dtype: its dtype; None: the default float.
            aggregation: "none", "mean", "sum" or "only_first_replica".
            layout: must be None: the layout of state follows from that of the weights.
            name: its name.
        """
        if layout is not None:
            raise ValueError(f"`layout` of an optimizer variable must be None; got {layout!r}.")
        with ops.name_scope(self.name, caller=self):
            variable = ops.Variable(
                initializer=initializers.get(initializer),
                shape=tuple(shape),
                dtype=dtype,
                trainable=False,
                aggregation=aggregation,
                name=name,
            )
        self._track_variable(variable)
        return variable

    def add_variable_from_reference(
        self, reference_variable: ops.Variable, name: str | None = None, initializer: Any = "zeros"
    ) -> ops.Variable:
        """Makes a variable of the shape and dtype of a weight, named after its path and `name`."""
        path = reference_variable.path.replace("/", "_")
        return self.add_variable(
            shape=reference_variable.shape,
            initializer=initializer,
            dtype=reference_variable.dtype,
            name=f"{path}_{name or 'var'}",
        )

    def add_optimizer_variables(
        self, trainable_variables: Sequence[ops.Variable], name: Any, initializer: Any = "zeros"
    ) -> Any:
        """Makes one variable per weight and name.

        Args:
            trainable_variables: the weights.
            name: a name, or a list of names.
            initializer: one initializer, or one per name.

        Returns:
            A list in the order of the weights; for a list of names a tuple of such lists. A
            weight that its gradient overwrites has None in it: it needs no state.
        """
        names = [name] if isinstance(name, str) else list(name)
        if isinstance(initializer, (list, tuple)):
            makers = list(initializer)
        else:
            makers = [initializer] * len(names)
        if len(makers) != len(names):
            raise ValueError(
                f"add_optimizer_variables needs one initializer, or one per name; got "
                f"{len(names)} names {names} and {len(makers)} initializers."
            )
        made: tuple[list[Any], ...] = tuple([] for _ in names)
        for weight in trainable_variables:
            for into, variable_name, maker in zip(made, names, makers, strict=True):
                if weight.overwrite_with_gradient:
                    into.append(None)
                else:
                    into.append(self.add_variable_from_reference(weight, variable_name, maker))
        return made[0] if isinstance(name, str) else made

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Gives the variables the values `weights`, in order; ValueError when a shape differs."""
        if not self.built:
            raise ValueError(
                f"{self.name} is not built: call `optimizer.build(trainable_variables)` before "
                "`set_weights()`."
            )
        for index, (variable, value) in enumerate(zip(self._variables, weights, strict=False)):
            if tuple(variable.shape) != tuple(value.shape):
                raise ValueError(
                    f"set_weights: variable {index} ({variable.path}) of {self.name} has shape "
                    f"{tuple(variable.shape)}; got a value of shape {tuple(value.shape)}."
                )
            variable.assign(value)

    def save_own_variables(self, store: MutableMapping[str, Any]) -> None:
        """Writes the values into `store`, under "0", "1", ..."""
        for index, variable in enumerate(self._variables):
            store[str(index)] = variable.numpy()

    def load_own_variables(self, store: Mapping[str, Any]) -> None:
        """Reads the values that `save_own_variables` wrote; warns, and reads none, if they differ
        in number."""
        if len(store.keys()) != len(self._variables):
            hint = "" if self.built else " It has not been built yet."
            warnings.warn(
                f"The state of the optimizer '{self.name}' is not loaded: it has "
                f"{len(self._variables)} variables and the file has {len(store.keys())}.{hint}",
                stacklevel=2,
            )
            return
        for index, variable in enumerate(self._variables):
            variable.assign(store[str(index)])
