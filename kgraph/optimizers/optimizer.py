"""The interface of optimizers, and what all of them share."""

import inspect
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Self

from kgraph import config, ops, registry
from kgraph.optimizers import clipping
from kgraph.optimizers.accumulation import GradientAccumulation
from kgraph.optimizers.arguments import check_arguments
from kgraph.optimizers.averaging import WeightAveraging
from kgraph.optimizers.schedules import LearningRateSchedule
from kgraph.optimizers.variables import current
from kgraph.optimizers.weight_decay import DecayFilter, WeightDecay
from kgraph.registry import keras_export
from kgraph.utils.borrowed import borrowed_values
from kgraph.utils.naming import auto_name

__all__ = ["Optimizer"]


@keras_export(["keras.Optimizer", "keras.optimizers.Optimizer"])
class Optimizer(GradientAccumulation, WeightAveraging, WeightDecay):
    """Changes weights along their gradients.

    Subclasses write `build(variables)`, which makes their state, `update_step(gradient,
    variable, learning_rate)`, which assigns one weight's new value, and `get_config`.

    Args:
        learning_rate: a float, a `LearningRateSchedule`, or a function without arguments.
        weight_decay: None, or the share of each weight, times the learning rate, that a step
            takes away.
        clipnorm: None, or the largest L2 norm of each gradient.
        clipvalue: None, or the largest absolute value of a gradient's elements.
        global_clipnorm: None, or the largest L2 norm of all gradients together.
        use_ema: keep exponential moving averages of the weights.
        ema_momentum: the share of the old average that a step keeps.
        ema_overwrite_frequency: None, or the number of steps after which the averages replace
            the weights.
        loss_scale_factor: None, or a factor on the loss that gradients are divided by again.
        gradient_accumulation_steps: None, or the number (2 or more) of steps whose mean
            gradient makes one update.
        name: None: the class's name in snake case, made unique.
    """

    def __init__(
        self,
        learning_rate: Any,
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
        super().__init__()
        if kwargs.pop("decay", None) is not None:
            warnings.warn(
                "The argument `decay` has no effect; use a learning rate schedule.", stacklevel=3
            )
        if kwargs:
            known = ", ".join(inspect.signature(type(self).__init__).parameters)
            raise ValueError(
                f"{type(self).__name__} does not know the argument(s) {sorted(kwargs)}. "
                f"It has: {known}."
            )
        check_arguments(
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            gradient_accumulation_steps,
        )
        self.name = auto_name(type(self).__name__) if name is None else name
        self.weight_decay = weight_decay
        self.clipnorm = clipnorm
        self.global_clipnorm = global_clipnorm
        self.clipvalue = clipvalue
        self.use_ema = use_ema
        self.ema_momentum = ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._trainable_variables: list[ops.Variable] = []
        self._indices: dict[int, int] = {}
        self._decay_filter = DecayFilter()
        self._step_values: dict[Any, Any] | None = None
        with ops.name_scope(self.name, caller=self):
            self._iterations = ops.Variable(
                0,
                name="iteration",
                dtype="int",
                trainable=False,
                aggregation="only_first_replica",
            )
        if callable(learning_rate):
            self._learning_rate: Any = learning_rate
        elif isinstance(learning_rate, float):
            with ops.name_scope(self.name, caller=self):
                self._learning_rate = ops.Variable(
                    learning_rate,
                    name="learning_rate",
                    dtype=config.floatx(),
                    trainable=False,
                    aggregation="only_first_replica",
                )
        else:
            raise ValueError(
                f"`learning_rate` of {type(self).__name__} must be a float, a "
                "LearningRateSchedule or a function that returns the learning rate; got "
                f"{learning_rate!r} of type {type(learning_rate).__name__}."
            )

    @property
    def iterations(self) -> Any:
        """The number of updates made so far."""
        if self.gradient_accumulation_steps:
            return ops.floor_divide(self._iterations.value, self.gradient_accumulation_steps)
        return self._iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate's variable, or the value of the schedule at this step."""
        if isinstance(self._learning_rate, LearningRateSchedule):
            return self._learning_rate(self._iterations.value)
        if isinstance(self._learning_rate, ops.Variable):
            return self._learning_rate
        return self._learning_rate()

    @learning_rate.setter
    def learning_rate(self, learning_rate: Any) -> None:
        previous = self._learning_rate
        if callable(learning_rate):
            self._learning_rate = learning_rate
            if isinstance(previous, ops.Variable):
                self._untrack_variable(previous)
        elif isinstance(previous, ops.Variable):
            previous.assign(learning_rate)
        else:
            raise TypeError(
                f"The learning rate of {self.name} is {previous!r}, a function of the step: a "
                "number cannot be assigned to it. Construct the optimizer with a float "
                "`learning_rate` to change it later."
            )

    def build(self, variables: Sequence[ops.Variable]) -> None:
        """Makes the state for the weights `variables`; later steps are about these only."""
        if self.use_ema:
            self._averages = self.add_optimizer_variables(variables, "average")
        if self.gradient_accumulation_steps:
            self._build_accumulators(variables)
        self._indices = {id(variable): index for index, variable in enumerate(variables)}
        self._trainable_variables = list(variables)
        self.built = True

    def _get_variable_index(self, variable: ops.Variable) -> int:
        return self._indices[id(variable)]

    def update_step(self, gradient: Any, variable: ops.Variable, learning_rate: Any) -> None:
        """Assigns `variable`, and the state that belongs to it, their next values."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement "
            "`update_step(gradient, variable, learning_rate)`."
        )

    def assign(self, variable: ops.Variable, value: Any) -> None:
        """Assigns `value` to a weight or to a variable of the optimizer."""
        variable.assign(value)

    def assign_add(self, variable: ops.Variable, value: Any) -> None:
        """Adds `value` to a weight or to a variable of the optimizer."""
        variable.assign_add(value)

    def assign_sub(self, variable: ops.Variable, value: Any) -> None:
        """Subtracts `value` from a weight or from a variable of the optimizer."""
        variable.assign_sub(value)

    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, ops.Variable]]) -> Any:
        """Makes one step from pairs of gradient and weight; returns the step counter."""
        pairs = list(grads_and_vars)
        self.apply([pair[0] for pair in pairs], [pair[1] for pair in pairs])
        return self._iterations

    def apply(
        self, grads: Sequence[Any], trainable_variables: Sequence[ops.Variable] | None = None
    ) -> None:
        """Makes one step.

        Args:
            grads: one gradient per weight, of its shape; None where there is none.
            trainable_variables: the weights; None: those of `build`. The first call builds.
        """
        if len(grads) == 0:
            return
        variables = self._variables_for(grads, trainable_variables)
        with ops.name_scope(self.name, caller=self):
            pairs = self._pairs_with_gradient(grads, variables)
            pairs = self._overwrite_with_gradients(pairs)
            if pairs:
                self._step_values = {}
                try:
                    self._apply_to(pairs)
                finally:
                    self._step_values = None
        self._iterations.assign_add(1)

    def _variables_for(
        self, grads: Sequence[Any], variables: Sequence[ops.Variable] | None
    ) -> list[ops.Variable]:
        if variables is None:
            if not self.built:
                raise ValueError(
                    f"{self.name} is not built: call `build(trainable_variables)` first, or pass "
                    "the weights to `apply(grads, trainable_variables)`."
                )
            variables = self._trainable_variables
        else:
            variables = list(variables)
            if not self.built:
                with ops.name_scope(self.name, caller=self):
                    self.build(variables)
                self.built = True
            for variable in variables:
                if id(variable) not in self._indices:
                    raise ValueError(
                        f"{self.name} was built for {len(self._indices)} other weights and has "
                        f"no state for '{variable.path}'. Make a new optimizer for new weights."
                    )
        if len(grads) != len(variables):
            raise ValueError(
                f"{self.name} needs one gradient per weight: expected {len(variables)}; got "
                f"{len(grads)}."
            )
        return variables

    def _pairs_with_gradient(
        self, grads: Sequence[Any], variables: Sequence[ops.Variable]
    ) -> list[tuple[Any, ops.Variable]]:
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        missing = [v.path for g, v in zip(grads, variables, strict=True) if g is None]
        if not pairs:
            raise ValueError(
                f"None of the {len(variables)} weights has a gradient: the loss does not depend "
                "on them."
            )
        if missing:
            warnings.warn(
                f"The loss does not depend on the weights {missing}: they have no gradient and "
                "stay as they are. Was a `loss` given to `model.compile()`?",
                stacklevel=4,
            )
        return pairs

    def _apply_to(self, pairs: list[tuple[Any, ops.Variable]]) -> None:
        gradients = [gradient for gradient, _ in pairs]
        variables = [variable for _, variable in pairs]
        if self.loss_scale_factor is not None:
            gradients = [gradient / self.loss_scale_factor for gradient in gradients]
        if self.gradient_accumulation_steps:
            self._accumulate(gradients, variables)
        else:
            self._update(gradients, variables)
        if self.use_ema:
            self._update_averages()
        for variable in variables:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))

    def _update(self, gradients: list[Any], variables: list[ops.Variable]) -> None:
        gradients = self._clip_gradients(gradients)
        self._apply_weight_decay(variables)
        self._backend_update_step(gradients, variables, self.learning_rate)

    def _backend_update_step(
        self, grads: Sequence[Any], trainable_variables: Sequence[ops.Variable], learning_rate: Any
    ) -> None:
        """Updates all weights; for optimizers that first update state of their own."""
        rate = current(learning_rate)
        for gradient, variable in zip(grads, trainable_variables, strict=True):
            self.update_step(gradient, variable, rate)

    def _per_step(self, key: Any, make: Callable[[], Any]) -> Any:
        """Returns `make()`, evaluated once per step and key: scalars that all weights share."""
        if self._step_values is None:
            return make()
        if key not in self._step_values:
            self._step_values[key] = make()
        return self._step_values[key]

    def _local_step(self, dtype: str) -> Any:
        """The number of this update, from 1, as a scalar of `dtype`."""

        return self._per_step(
            ("step", dtype), lambda: ops.cast(current(self.iterations) + 1, dtype)
        )

    def _rate(self, learning_rate: Any, dtype: str) -> Any:
        """The learning rate as a scalar of `dtype`."""
        return self._per_step(("rate", dtype), lambda: ops.cast(learning_rate, dtype))

    def _clip_gradients(self, grads: list[Any]) -> list[Any]:
        if self.clipnorm and self.clipnorm > 0:
            return [clipping.clip_by_norm(gradient, self.clipnorm) for gradient in grads]
        if self.global_clipnorm and self.global_clipnorm > 0:
            return clipping.clip_by_global_norm(grads, self.global_clipnorm)
        if self.clipvalue and self.clipvalue > 0:
            return [clipping.clip_by_value(gradient, self.clipvalue) for gradient in grads]
        return grads

    def stateless_apply(
        self,
        optimizer_variables: Sequence[Any],
        grads: Sequence[Any],
        trainable_variables: Sequence[Any],
    ) -> tuple[list[Any], list[Any]]:
        """Makes one step from given values, and returns the new ones; no variable changes.

        Args:
            optimizer_variables: values of `self.variables`.
            grads: one gradient per weight.
            trainable_variables: values of the weights.

        Returns:
            The new values of the weights, and of the optimizer's variables.
        """
        if not self.built:
            raise ValueError(
                f"{self.name} is not built: call `build(trainable_variables)` before "
                "`stateless_apply`."
            )
        for given, own, what in (
            (optimizer_variables, self._variables, "optimizer_variables"),
            (trainable_variables, self._trainable_variables, "trainable_variables"),
        ):
            if len(given) != len(own):
                raise ValueError(
                    f"`{what}` of stateless_apply needs {len(own)} values, one per variable; "
                    f"got {len(given)}."
                )
        variables = [*self._trainable_variables, *self._variables]
        with borrowed_values(variables, [*trainable_variables, *optimizer_variables]):
            self.apply(grads)
            values = [variable.value for variable in variables]
        count = len(self._trainable_variables)
        return values[:count], values[count:]

    def scale_loss(self, loss: Any) -> Any:
        """Returns the loss to differentiate: times `loss_scale_factor`, where there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def get_config(self) -> dict[str, Any]:
        """Returns the constructor's arguments, fit for JSON."""
        if isinstance(self._learning_rate, ops.Variable):
            learning_rate: Any = float(self._learning_rate.numpy())
        else:
            learning_rate = registry.serialize_keras_object(self._learning_rate)
        return {
            "name": self.name,
            "learning_rate": learning_rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "global_clipnorm": self.global_clipnorm,
            "clipvalue": self.clipvalue,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
        }

    @classmethod
    def from_config(
        cls, config: dict[str, Any], custom_objects: Mapping[str, Any] | None = None
    ) -> Self:
        """Builds the optimizer that `get_config` described; its state starts anew."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = registry.deserialize_keras_object(
                config["learning_rate"], custom_objects=custom_objects
            )
        return cls(**config)

    def _obj_type(self) -> str:
        return "Optimizer"
