"""What a layer holds: its variables, the layers in it, losses, metrics, dtypes."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kgraph import constraints, initializers, ops, regularizers
from kgraph.ir import FLOATS
from kgraph.layers.tracking import held, holds, own_variables
from kgraph.ops import Operation, Tensor, Variable
from kgraph.random import SeedGenerator
from kgraph.utils import tree
from kgraph.utils.dtype_policy import DTypePolicy, get_policy

__all__ = ["LayerState", "trainable_changes"]


class _Counter:
    """How often any layer was frozen or thawed: compiled calls look at it."""

    value = 0


_changes = _Counter()


def trainable_changes() -> int:
    """A number that grows whenever `trainable` of any layer is set."""
    return _changes.value


class LayerState(Operation):
    """The part of `Layer` that knows nothing of calls."""

    _untracked: frozenset[str] = frozenset()
    _mutable_when_built = False

    # set by Layer.__init__; here for those who read
    built: bool
    _trainable: bool
    _trainable_variables: list[Variable]
    _non_trainable_variables: list[Variable]
    _losses: list[Any]
    _dtype_policy: DTypePolicy
    _parent_path: str | None
    _locked: bool

    def __setattr__(self, name: str, value: Any) -> None:
        own = self.__dict__
        if isinstance(value, Variable) and "_trainable_variables" in own:
            self._check_lock(value)
            self._track(value)
        elif isinstance(value, LayerState):
            self._check_lock(value)
        object.__setattr__(self, name, value)

    def _check_lock(self, value: Any) -> None:
        if self.__dict__.get("_locked") and not self._mutable_when_built and not holds(self, value):
            raise ValueError(
                f"Layer '{self.name}' is built: no variables or layers can be added to it any "
                f"more. Make them in `__init__()` or `build()`. Received: {value!r:.80}"
            )

    def _track(self, variable: Variable) -> None:
        if any(variable is v for v in (*self._trainable_variables, *self._non_trainable_variables)):
            return
        kind = self._trainable_variables if variable.trainable else self._non_trainable_variables
        kind.append(variable)
        if not self._trainable:
            variable.trainable = False

    def _named_scope(self) -> ops.name_scope:
        """The name scope of the layer: where it was first built or called, whoever calls it."""
        if self._parent_path is None:
            object.__setattr__(self, "_parent_path", ops.current_path())
        return ops.name_scope(self.name, caller=self)

    # ---- weights ----

    def add_weight(
        self,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Variable:
        """Makes a weight of the layer.

        Args:
            shape: its shape; () by default.
            initializer: a name, a function of shape and dtype, or an array; by default Glorot
                uniform for floats and zeros for others.
            dtype: the variable dtype of the layer by default.
            trainable: whether optimizers change it.
            autocast: whether it is read in the layer's compute dtype.
            regularizer, constraint: names or objects.
            aggregation: kept for compatibility.
            overwrite_with_gradient: whether an optimizer assigns the gradient itself.
            name: of the variable.
        """
        self._check_super_called()
        shape = () if shape is None else tuple(shape)
        if None in shape:
            raise ValueError(
                f"Layer '{self.name}': the shape of the weight {name!r} must be fully known; got "
                f"{shape}. A size of the layer's input that it needs is None."
            )
        dtype = ops.standardize_dtype(dtype) if dtype is not None else self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtype in FLOATS else "zeros"
        with self._named_scope():
            variable = Variable(
                initializer=initializers.get(initializer),
                shape=shape,
                dtype=dtype,
                trainable=trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._track(variable)
        return variable

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Variable:
        """The same as `add_weight`."""
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=trainable,
            autocast=autocast,
            regularizer=regularizer,
            constraint=constraint,
            name=name,
        )

    def _check_super_called(self) -> None:
        if "_trainable_variables" not in self.__dict__:
            raise RuntimeError(
                f"In the layer {type(self).__name__}, `super().__init__()` must come first in "
                "`__init__()`."
            )

    @property
    def _layers(self) -> list[Any]:
        return held(self, LayerState)

    @property
    def variables(self) -> list[Variable]:
        """All variables: weights, and the state of seed generators."""
        own = [*own_variables(self), *[g.state for g in held(self, SeedGenerator)]]
        return _unique([*own, *[v for layer in self._layers for v in layer.variables]])

    @property
    def weights(self) -> list[Variable]:
        """The weights of the layer and of those that it holds."""
        inner = [v for layer in self._layers for v in layer.weights]
        return _unique([*own_variables(self), *inner])

    @property
    def trainable_variables(self) -> list[Variable]:
        """The variables that are trained; none of a frozen layer."""
        return [v for v in self.variables if v.trainable] if self.trainable else []

    @property
    def non_trainable_variables(self) -> list[Variable]:
        """The variables that are not trained."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that are trained; none of a frozen layer."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that are not trained."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def trainable(self) -> bool:
        """Whether the layer is trained; setting it sets that of all that it holds."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        self._trainable = bool(value)
        _changes.value += 1
        for variable in self._trainable_variables:
            variable.trainable = bool(value)
        for layer in self._layers:
            layer.trainable = bool(value)

    def get_weights(self) -> list[np.ndarray]:
        """Copies of the weights."""
        return [v.numpy() for v in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets all weights, given in the order of `weights`.

        Raises:
            ValueError: their number or a shape differs; no weight is changed then.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(
                f"You called `set_weights(weights)` on the layer '{self.name}' with "
                f"{len(weights)} weights, but it expects {len(own)}."
            )
        for variable, value in zip(own, weights, strict=True):
            if tuple(np.shape(value)) != tuple(variable.shape):
                raise ValueError(
                    f"Layer '{self.name}': the weight {variable.path} has the shape "
                    f"{tuple(variable.shape)}; the given one has {tuple(np.shape(value))}."
                )
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of numbers in the weights. Raises ValueError before the layer is built."""
        if not self.built:
            raise ValueError(
                f"You tried to call `count_params` on the layer '{self.name}', which is not built "
                "yet. Call it on some data, or call `build(input_shape)`."
            )
        return sum(math.prod(v.shape) for v in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's own variables to `store["0"]`, `store["1"]`, ..."""
        for i, variable in enumerate(own_variables(self)):
            store[f"{i}"] = variable

    def load_own_variables(self, store: Any) -> None:
        """Reads them back. Raises ValueError where their number or a shape differs."""
        own = own_variables(self)
        if len(store.keys()) != len(own):
            hint = "" if self.built else " The layer was never built: it has none to load into."
            raise ValueError(
                f"Layer '{self.name}' has {len(own)} variables; the file has {len(store.keys())} "
                f"for it.{hint}"
            )
        for i, variable in enumerate(own):
            value = store[f"{i}"]
            if tuple(value.shape) != tuple(variable.shape):
                raise ValueError(
                    f"Layer '{self.name}': the weight {variable.path} has the shape "
                    f"{tuple(variable.shape)}; the file has {tuple(value.shape)}."
                )
            variable.assign(value)

    # ---- dtypes ----

    @property
    def dtype_policy(self) -> DTypePolicy:
        """The dtypes to compute in and to keep variables in."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._dtype_policy = get_policy(value)
        _changes.value += 1

    @property
    def dtype(self) -> str:
        """The dtype of the variables."""
        return self.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """The dtype of the computation."""
        return self._dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:
        """The dtype of the variables."""
        return self._dtype_policy.variable_dtype

    @property
    def input_dtype(self) -> str:
        """The dtype that inputs are cast to."""
        return self.compute_dtype

    # ---- losses and metrics ----

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar, or a list of them, to what is minimised; call it in `call`."""
        self._losses.extend(item for item in tree.flatten(loss) if item is not None)

    @property
    def losses(self) -> list[Any]:
        """What the last call added, and the losses of the regularizers of trainable weights."""
        layers = self._flatten_layers()
        found = [loss for layer in layers for loss in layer._losses if not _is_dead(loss)]
        regularized = [v for v in self.trainable_weights if v.regularizer is not None]
        return [*found, *[v.regularizer(v) for v in regularized]]

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list[Any]:
        """The layers below, depth first."""
        found: dict[int, Any] = {id(self): self} if include_self else {}
        pending = list(reversed(self._layers))
        while pending:
            layer = pending.pop()
            if id(layer) not in found and layer is not self:
                found[id(layer)] = layer
                if recursive:
                    pending += reversed(layer._layers)
        return list(found.values())

    @property
    def metrics(self) -> list[Any]:
        """The metrics that the layer holds, and those of its layers."""
        return [m for layer in self._flatten_layers() for m in layer._metrics]

    @property
    def metrics_variables(self) -> list[Variable]:
        """The state of these metrics."""
        return [v for metric in self.metrics for v in metric.variables]

    @property
    def _metrics(self) -> list[Any]:
        return [item for item in held(self, object) if _is_metric(item)]


def _is_dead(loss: Any) -> bool:
    """Is it a tensor of a trace that has ended?"""
    return isinstance(loss, Tensor) and not loss.trace.alive


def _unique(items: list[Any]) -> list[Any]:
    return list({id(item): item for item in items}.values())


def _is_metric(item: Any) -> bool:
    """By what it can do: layers know no more of `kgraph.metrics`, which stands beside them."""
    cls = type(item)
    return hasattr(cls, "update_state") and hasattr(cls, "reset_state") and hasattr(cls, "result")
