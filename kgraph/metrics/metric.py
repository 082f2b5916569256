"""The interface of metrics."""

from collections.abc import Sequence
from typing import Any, Self

from kgraph import initializers, ops
from kgraph.registry import keras_export
from kgraph.utils.borrowed import borrowed_values
from kgraph.utils.dtypes import compute_dtype
from kgraph.utils.naming import auto_name

__all__ = ["Metric"]


@keras_export(["keras.Metric", "keras.metrics.Metric"])
class Metric:
    """Sums something up over batches.

    Subclasses make variables in `__init__` (`add_variable`), assign them in `update_state`, and
    read them in `result`. All of it is written with `keras.ops`, so that inside a training step
    it becomes part of its program.

    Args:
        dtype: that of the computation (a name or a dtype policy); None: the default float.
        name: None: the class's name in snake case, made unique.
    """

    # The direction in which the metric improves, "up" or "down", where that is known.
    _direction: str | None = None
    _variables: list[ops.Variable]
    _metrics: list["Metric"]

    def __init__(self, dtype: Any = None, name: str | None = None) -> None:
        object.__setattr__(self, "_variables", [])
        object.__setattr__(self, "_metrics", [])
        self.name = name or auto_name(type(self).__name__)
        self._dtype = compute_dtype(dtype)

    def __setattr__(self, name: str, value: Any) -> None:
        """Tracks the variables and metrics that are set as attributes."""
        tracked = self.__dict__.get("_variables")
        if tracked is not None:
            if isinstance(value, ops.Variable):
                self._track_variable(value)
            else:
                items = value if isinstance(value, (list, tuple)) else [value]
                for item in items:
                    if isinstance(item, Metric) and not any(m is item for m in self._metrics):
                        self._metrics.append(item)
        super().__setattr__(name, value)

    def _track_variable(self, variable: ops.Variable) -> None:
        if not any(known is variable for known in self._variables):
            self._variables.append(variable)

    @property
    def dtype(self) -> str:
        """The dtype of the computation."""
        return self._dtype

    @property
    def variables(self) -> list[ops.Variable]:
        """The metric's variables, and those of the metrics it holds."""
        return [*self._variables, *(v for metric in self._metrics for v in metric.variables)]

    def add_variable(
        self,
        shape: Sequence[int],
        initializer: Any,
        dtype: str | None = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> ops.Variable:
        """Makes a variable of the metric.

        Args:
            shape: its shape, all sizes known.
            initializer: an initializer or its name.
            dtype: its dtype; None: the default float.
            aggregation: "none", "mean", "sum" or "only_first_replica".
            name: its name.
        """
        if "_variables" not in self.__dict__:
            raise RuntimeError(
                f"{type(self).__name__}.__init__ must call `super().__init__()` before it adds "
                "variables."
            )
        with ops.name_scope(self.name.replace("/", ">"), caller=self):
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

    def add_weight(
        self,
        shape: Sequence[int] = (),
        initializer: Any = None,
        dtype: str | None = None,
        name: str | None = None,
    ) -> ops.Variable:
        """Makes a variable of the metric; the older name of `add_variable`."""
        return self.add_variable(
            shape=shape, initializer=initializer or "zeros", dtype=dtype, name=name
        )

    def reset_state(self) -> None:
        """Sets every variable to 0."""
        for variable in self.variables:
            variable.assign(ops.zeros(variable.shape, dtype=variable.dtype))

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch into account."""
        raise NotImplementedError(f"{type(self).__name__} must implement `update_state`.")

    def result(self) -> Any:
        """Returns the metric of all batches since the last reset."""
        raise NotImplementedError(f"{type(self).__name__} must implement `result`.")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch into account and returns the result."""
        self.update_state(*args, **kwargs)
        return self.result()

    def stateless_update_state(
        self, metric_variables: Sequence[Any], *args: Any, **kwargs: Any
    ) -> list[Any]:
        """Returns the values of the variables after a batch, from those before; assigns none."""
        self._check_values(metric_variables)
        variables = self.variables
        with borrowed_values(variables, metric_variables):
            self.update_state(*args, **kwargs)
            return [variable.value for variable in variables]

    def stateless_result(self, metric_variables: Sequence[Any]) -> Any:
        """Returns the result that belongs to these values of the variables."""
        self._check_values(metric_variables)
        with borrowed_values(self.variables, metric_variables):
            return self.result()

    def stateless_reset_state(self) -> list[Any]:
        """Returns the values of the variables after a reset; assigns none."""
        variables = self.variables
        with borrowed_values(variables, [variable.value for variable in variables]):
            self.reset_state()
            return [variable.value for variable in variables]

    def _check_values(self, values: Sequence[Any]) -> None:
        if len(values) != len(self.variables):
            raise ValueError(
                f"`metric_variables` of {self.name} needs {len(self.variables)} values, one per "
                f"variable; got {len(values)}."
            )

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Builds the metric that `get_config` described; its state starts anew."""
        return cls(**config)

    def _obj_type(self) -> str:
        return "Metric"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"
