"""The base of all layers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import numpy as np

from kgraph import constraints, initializers, ops, regularizers
from kgraph.ir import FLOATS, KGraphError
from kgraph.layers.call_spec import CallSpec, is_tensor_like, shape_of, signature_of
from kgraph.layers.input_spec import assert_input_compatibility
from kgraph.layers.tracking import held, own_variables
from kgraph.ops import KerasTensor, Operation, Tensor, Variable
from kgraph.registry import keras_export, serialize_keras_object
from kgraph.utils import tree
from kgraph.utils.dtype_policy import DTypePolicy, get_policy
from kgraph.utils.masking import get_keras_mask, set_keras_mask

__all__ = ["Layer"]


class _CallContext(threading.local):
    """What a running call tells the layers that it calls."""

    def __init__(self) -> None:
        self.depth = 0
        self.training: bool | None = None


_context = _CallContext()


@keras_export(["keras.Layer", "keras.layers.Layer"])
class Layer(Operation):
    """A function of tensors with state.

    A subclass makes its weights in `build(input_shape)` with `add_weight` and computes in `call(inputs, ...)`. Other
    layers that it holds as attributes are part of it.

    Args:
        activity_regularizer: a regularizer of the output.
        trainable: whether its weights are trained.
        dtype: a dtype or a dtype policy.
        autocast: casts float inputs to the compute dtype.
        name: made from the class's by default.
    """

    _untracked: frozenset[str] = frozenset()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _as_built(cls.__dict__["build"])  # type: ignore[method-assign]  # the same with a frame

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(name=name)
        input_shape = kwargs.pop("input_shape", None)
        if "input_dim" in kwargs:
            input_shape = (kwargs.pop("input_dim"),)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}")
        self._input_shape_arg = None if input_shape is None else tuple(input_shape)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec: Any = None
        self.autocast = autocast
        self.supports_masking = False
        self._dtype_policy = get_policy(dtype)
        self._trainable = bool(trainable)
        self._trainable_variables: list[Variable] = []
        self._non_trainable_variables: list[Variable] = []
        self._losses: list[Any] = []
        self._build_shapes: dict[str, Any] | None = None
        self._called = False
        self._call_step: Any = None
        self.built = False

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, Variable) and "_trainable_variables" in self.__dict__:
            self._track(value)
        object.__setattr__(self, name, value)

    def _track(self, variable: Variable) -> None:
        if not any(variable is v for v in (*self._trainable_variables, *self._non_trainable_variables)):
            (self._trainable_variables if variable.trainable else self._non_trainable_variables).append(variable)

    def _obj_type(self) -> str:
        return "Layer"

    # ---- what a subclass writes ----

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of a shape (None for unknown sizes). Runs once, before the first call."""
        self.built = True

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs."""
        raise NotImplementedError(f"Layer {type(self).__name__} does not have a `call()` method implemented.")

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output for inputs of a shape, by tracing `call` unless a subclass knows better."""
        spec = tree_of_specs(args[0] if args else next(iter(kwargs.values())), self.compute_dtype)
        return shape_of(self.compute_output_spec(spec))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output: that of the input, where the layer supports masks."""
        return previous_mask

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
            initializer: a name, a function of shape and dtype, or an array; by default Glorot uniform for floats and
                zeros for others.
            dtype: the variable dtype of the layer by default.
            trainable: whether optimizers change it.
            autocast: whether it is read in the layer's compute dtype.
            regularizer, constraint: names or objects.
            name: of the variable.
        """
        shape = () if shape is None else tuple(shape)
        dtype = ops.standardize_dtype(dtype) if dtype is not None else self.variable_dtype
        if initializer is None:
            initializer = "glorot_uniform" if dtype in FLOATS else "zeros"
        found = initializers.get(initializer)
        with ops.name_scope(self.name, caller=self):
            variable = Variable(
                initializer=found, shape=shape, dtype=dtype, trainable=trainable, autocast=autocast, aggregation=aggregation, name=name
            )
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = overwrite_with_gradient
        self._track(variable)
        return variable

    @property
    def _layers(self) -> list["Layer"]:
        return held(self, Layer)

    @property
    def variables(self) -> list[Variable]:
        """All variables: weights, and the state of seed generators and metrics."""
        from kgraph.random import SeedGenerator

        own = [*own_variables(self), *[g.state for g in held(self, SeedGenerator)]]
        return _unique([*own, *[v for layer in self._layers for v in layer.variables]])

    @property
    def weights(self) -> list[Variable]:
        """The weights of the layer and of those that it holds."""
        return _unique([*own_variables(self), *[v for layer in self._layers for v in layer.weights]])

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
            ValueError: their number or a shape differs.
        """
        own = self.weights
        if len(own) != len(weights):
            raise ValueError(f"You called `set_weights(weights)` on the layer '{self.name}' with {len(weights)} weights; it has {len(own)}.")
        for variable, value in zip(own, weights, strict=True):
            if tuple(np.shape(value)) != tuple(variable.shape):
                raise ValueError(f"Layer '{self.name}': the weight {variable.path} has the shape {tuple(variable.shape)}; got {tuple(np.shape(value))}.")
        for variable, value in zip(own, weights, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """The number of numbers in the weights. Raises ValueError before the layer is built."""
        if not self.built and not self.weights:
            raise ValueError(f"You tried to call `count_params` on the layer '{self.name}', which is not built yet.")
        return sum(int(np.prod(v.shape)) for v in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's own variables to `store["0"]`, `store["1"]`, ..."""
        for i, variable in enumerate(own_variables(self)):
            store[f"{i}"] = variable

    def load_own_variables(self, store: Any) -> None:
        """Reads them back. Raises ValueError where their number or a shape differs."""
        own = own_variables(self)
        if len(store.keys()) != len(own):
            hint = "" if self.built else " The layer was never built, so it has no variables to load into."
            raise ValueError(f"Layer '{self.name}' has {len(own)} variables; the file has {len(store.keys())} for it.{hint}")
        for i, variable in enumerate(own):
            value = store[f"{i}"]
            if tuple(value.shape) != tuple(variable.shape):
                raise ValueError(f"Layer '{self.name}': the weight {variable.path} has the shape {tuple(variable.shape)}; the file has {tuple(value.shape)}.")
            variable.assign(value)

    # ---- dtypes ----

    @property
    def dtype_policy(self) -> DTypePolicy:
        """The dtypes to compute in and to keep variables in."""
        return self._dtype_policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        self._dtype_policy = get_policy(value)

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

    # ---- losses ----

    def add_loss(self, loss: Any) -> None:
        """Adds a scalar, or a list of them, to what is minimised; call it in `call`."""
        self._losses.extend(x for x in tree.flatten(loss) if x is not None)

    @property
    def losses(self) -> list[Any]:
        """The losses that were added in the last call, and those of the regularizers of trainable weights."""
        found = [loss for layer in self._flatten_layers() for loss in layer._losses]
        for v in self.trainable_weights:
            if v.regularizer is not None:
                found.append(v.regularizer(v.value if not isinstance(v.value, np.ndarray) else v))
        return found

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()

    def _flatten_layers(self, include_self: bool = True, recursive: bool = True) -> list["Layer"]:
        """The layers below, depth first."""
        found: dict[int, Layer] = {id(self): self} if include_self else {}
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
    def _metrics(self) -> list[Any]:
        from kgraph.metrics import Metric

        return held(self, Metric)

    # ---- calls ----

    @property
    def _call_has_training_arg(self) -> bool:
        return "training" in signature_of(type(self).call).parameters

    @property
    def _call_has_mask_arg(self) -> bool:
        return "mask" in signature_of(type(self).call).parameters

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Builds the layer if need be, then computes.

        On KerasTensors it records a node. On arrays, outside of a trace, the whole call runs as one compiled program.
        """
        args = tree.map_structure(self._converted, args)
        kwargs = tree.map_structure(self._converted, kwargs)
        training_given = kwargs.pop("training", None) if not self._call_has_training_arg else None
        try:
            spec = CallSpec(type(self).call, args, kwargs)
        except TypeError as e:
            raise TypeError(f"{type(self).__name__} '{self.name}' was called with arguments that its `call` does not take: {e}") from None
        self._check_inputs(spec)
        training = self._training(spec, training_given)
        if self._call_has_training_arg and training is not None:
            kwargs["training"] = training
            spec.arguments["training"] = training
        self._fill_masks(spec, kwargs)
        if not self.built:
            self._build(spec)
        assert_input_compatibility(self.input_spec, spec.first, self.name)
        symbolic = any(isinstance(x, KerasTensor) for x in tree.flatten((args, kwargs)))
        if symbolic:
            outputs = self.symbolic_call(*_positional(spec, args, kwargs, training), **kwargs)
        elif _context.depth == 0 and ops.current_trace() is None:
            return self._compiled_call(args, kwargs, training)
        else:
            outputs = self._traced_call(args, kwargs, training)
        self._set_masks(spec, outputs)
        self._called = True
        return outputs

    def _converted(self, x: Any) -> Any:
        """Arrays as arrays, floats in the compute dtype."""
        if x is None or isinstance(x, str | bool):
            return x
        if isinstance(x, Tensor | KerasTensor | Variable) or is_tensor_like(x):
            array = x if isinstance(x, Tensor | KerasTensor | Variable) else ops.convert_to_tensor(x)
            if self.autocast and ops.dtype(array) in FLOATS and ops.dtype(array) != self.input_dtype and self.input_dtype in FLOATS:
                mask = get_keras_mask(x)
                array = ops.cast(array, self.input_dtype)
                if mask is not None:
                    set_keras_mask(array, mask)
            return array
        return x

    def _check_inputs(self, spec: CallSpec) -> None:
        for leaf in tree.flatten(spec.first):
            if leaf is not None and not is_tensor_like(leaf):
                raise ValueError(f"Only input tensors may be passed as positional arguments to layer '{self.name}'; got {leaf!r} of type {type(leaf).__name__}.")

    def _training(self, spec: CallSpec, given: Any) -> bool | None:
        """The mode: given, else that of the surrounding call, else the default of `call`."""
        if given is not None:
            return bool(given)
        value = spec.arguments.get("training")
        if "training" in spec.given and value is not None:
            return bool(value) if not isinstance(value, Tensor) else value  # type: ignore[return-value]
        if _context.depth and _context.training is not None:
            return _context.training
        return value if value is None or not isinstance(value, Tensor) else None

    def _fill_masks(self, spec: CallSpec, kwargs: dict[str, Any]) -> None:
        """Masks that travel with the inputs become the arguments `mask` or `<name>_mask`."""
        parameters = signature_of(type(self).call).parameters
        for i, name in enumerate(spec.tensor_names):
            target = "mask" if i == 0 and "mask" in parameters else f"{name}_mask"
            if target in parameters and spec.arguments.get(target) is None:
                masks = tree.map_structure(get_keras_mask, spec.arguments[name])
                if any(m is not None for m in tree.flatten(masks)):
                    kwargs[target] = spec.arguments[target] = masks

    def _build(self, spec: CallSpec) -> None:
        parameters = [p for p in list(signature_of(type(self).build).parameters.values())[1:] if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        shapes = spec.shapes()
        if len(parameters) <= 1:
            found = {parameters[0].name if parameters else "input_shape": shape_of(spec.first)}
        else:
            by_name = {f"{name}_shape": shape for name, shape in shapes.items()}
            found = {p.name: by_name[p.name] for p in parameters if p.name in by_name}
            if not found:
                found = {p.name: s for p, s in zip(parameters, shapes.values(), strict=False)}
        with _outside_of_calls():
            self.build(**found)
        self.built = True

    def _compiled_call(self, args: Any, kwargs: Any, training: bool | None) -> Any:
        """The call as a program of its own; losses and masks come out of it as well."""
        if self._call_step is None:
            self._call_step = ops.Step(self._call_for_step, name=self.name, donate=True)
        outputs, masks, losses = self._call_step(args, kwargs, training)
        for leaf, mask in zip(tree.flatten(outputs), masks, strict=True):
            if mask is not None:
                set_keras_mask(leaf, mask)
        owners = [layer for layer in self._flatten_layers() for _ in layer._losses]
        self._clear_losses()
        for layer, loss in zip(owners, losses, strict=False):
            layer._losses.append(loss)
        self._called = True
        return outputs

    def _call_for_step(self, args: Any, kwargs: Any, training: bool | None) -> Any:
        outputs = self._traced_call(args, kwargs, training)
        self._set_masks(CallSpec(type(self).call, args, kwargs), outputs)
        leaves = tree.flatten(outputs)
        losses = [loss for layer in self._flatten_layers() for loss in layer._losses]
        return outputs, [get_keras_mask(leaf) for leaf in leaves], losses

    def _traced_call(self, args: Any, kwargs: Any, training: bool | None) -> Any:
        if _context.depth == 0:
            self._clear_losses()
        before = (_context.depth, _context.training)
        _context.depth += 1
        if training is not None:
            _context.training = training
        try:
            with ops.layer_scope(self.name), ops.name_scope(self.name, caller=self), ops.AutocastScope(self._autocast_dtype()):
                outputs = self.call(*args, **kwargs)
                self._check_outputs(outputs)
                if self.activity_regularizer is not None:
                    for leaf in tree.flatten(outputs):
                        self.add_loss(self.activity_regularizer(leaf))
        finally:
            _context.depth, _context.training = before
        return outputs

    def _autocast_dtype(self) -> str | None:
        return self.compute_dtype if self.autocast and self.compute_dtype in FLOATS else None

    def _check_outputs(self, outputs: Any) -> None:
        for leaf in tree.flatten(outputs):
            if leaf is None and outputs is not None:
                continue
            if not is_tensor_like(leaf) and not isinstance(leaf, int | float | bool):
                raise TypeError(
                    f"The `call` of layer '{self.name}' ({type(self).__name__}) must return tensors, or tuples, lists or dicts of them; "
                    f"got {leaf!r:.80} of type {type(leaf).__name__}."
                )

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Records a node; returns KerasTensors in the structure of the outputs."""
        return super().symbolic_call(*args, **kwargs)

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensors with the shapes and dtypes of the outputs."""
        if type(self).compute_output_shape is not Layer.compute_output_shape:
            spec = CallSpec(type(self).call, args, kwargs)
            names = list(signature_of(type(self).compute_output_shape).parameters)[1:]
            shapes = spec.shapes()
            if len(names) <= 1:
                shape = self.compute_output_shape(shape_of(spec.first))
            else:
                by_name = {f"{name}_shape": s for name, s in shapes.items()}
                shape = self.compute_output_shape(**{n: by_name[n] for n in names if n in by_name})
            return _specs_of_shapes(shape, self.compute_dtype)
        if args:
            args = tuple(args)
        try:
            return ops.compute_output_spec(lambda *a, **k: self._traced_call(a, k, k.get("training")), *args, **kwargs)
        except (TypeError, ValueError, AttributeError, NotImplementedError) as e:
            if isinstance(e, KGraphError | NotImplementedError):
                raise
            raise type(e)(f"Layer '{self.name}' ({type(self).__name__}) failed on symbolic inputs: {e}") from e

    def _set_masks(self, spec: CallSpec, outputs: Any) -> None:
        leaves = tree.flatten(outputs)
        if not leaves or all(get_keras_mask(leaf) is not None for leaf in leaves):
            return
        inputs = spec.first
        masks = tree.map_structure(get_keras_mask, inputs)
        has_mask = any(m is not None for m in tree.flatten(masks))
        overridden = type(self).compute_mask is not Layer.compute_mask
        if not has_mask and not overridden:
            return
        if has_mask and not self.supports_masking and not overridden:
            return
        found = self.compute_mask(inputs, masks)
        for leaf, mask in zip(leaves, tree.flatten(found) if tree.is_nested(found) else [found] * len(leaves), strict=False):
            if mask is not None and is_tensor_like(leaf):
                set_keras_mask(leaf, mask)

    def stateless_call(self, trainable_variables: Any, non_trainable_variables: Any, *args: Any, **kwargs: Any) -> Any:
        """The outputs for given values of the variables, and the new values of the non-trainable ones."""
        from kgraph.utils.borrowed import borrowed_values

        own = [*self.trainable_variables, *self.non_trainable_variables]
        with borrowed_values(own, [*trainable_variables, *non_trainable_variables]):
            outputs = self(*args, **kwargs)
            changed = [v.value for v in self.non_trainable_variables]
        return outputs, changed

    # ---- configuration ----

    @property
    def path(self) -> str:
        """The name, within the paths of the layers that hold it where that is known."""
        return self.name

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes an equal layer of."""
        config: dict[str, Any] = {"name": self.name}
        if type(self).get_config is Layer.get_config:
            if self._auto_config is None:
                raise NotImplementedError(
                    f"Layer {type(self).__name__} was made with arguments that cannot be stored as they are: it must override `get_config()`."
                )
            config.update(self._auto_config)
            parameters = signature_of(type(self).__init__).parameters
            if not any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
                return {key: value for key, value in config.items() if key in parameters}
        config["trainable"] = self.trainable
        config["dtype"] = serialize_keras_object(self.dtype_policy)
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        return config

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes that the layer was built for; None before."""
        shapes = self._build_shapes
        if not shapes:
            return None
        return {"input_shape": next(iter(shapes.values()))} if len(shapes) == 1 else {"shapes_dict": shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shapes of `get_build_config`."""
        if config and "input_shape" in config:
            self.build(_as_shape(config["input_shape"]))
        elif config and "shapes_dict" in config:
            self.build(**{name: _as_shape(shape) for name, shape in config["shapes_dict"].items()})

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _as_built(build: Any) -> Any:
    """`build` in the layer's name scope; notes the shapes, so that a file can say them."""
    parameters = list(signature_of(build).parameters)[1:]

    @wraps(build)
    def run(self: Layer, *args: Any, **kwargs: Any) -> None:
        with ops.name_scope(self.name, caller=self):
            build(self, *args, **kwargs)
        self.built = True
        self._build_shapes = {**dict(zip(parameters, args, strict=False)), **kwargs}

    return run


def _as_shape(value: Any) -> Any:
    """Lists that JSON made of shapes as tuples again."""
    if isinstance(value, dict):
        return {key: _as_shape(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if all(item is None or isinstance(item, int) for item in value):
            return tuple(value)
        return type(value)(_as_shape(item) for item in value)
    return value


def _is_shape(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(d is None or isinstance(d, int) for d in value)


def tree_of_specs(shapes: Any, dtype: str) -> Any:
    """KerasTensors of shapes, in their structure."""
    return _specs_of_shapes(shapes, dtype)


def _specs_of_shapes(shapes: Any, dtype: str) -> Any:
    if _is_shape(shapes):
        return KerasTensor(shapes, dtype)
    if isinstance(shapes, dict):
        return {key: _specs_of_shapes(shape, dtype) for key, shape in shapes.items()}
    if isinstance(shapes, list | tuple):
        return type(shapes)(_specs_of_shapes(shape, dtype) for shape in shapes)
    raise ValueError(f"Expected a shape or a structure of shapes; got {shapes!r}.")


def _unique(items: list[Any]) -> list[Any]:
    return list({id(item): item for item in items}.values())


def _positional(spec: CallSpec, args: Any, kwargs: Any, training: Any) -> Any:
    """The positional arguments, the mode left to the keyword that it now has."""
    names = list(spec.arguments)
    return tuple(x for i, x in enumerate(args) if not (i < len(names) and names[i] == "training" and "training" in kwargs))


@contextmanager
def _outside_of_calls() -> Iterator[None]:
    """Building is no part of the call that asks for it: layers called in it on arrays run by themselves."""
    before = (_context.depth, _context.training)
    _context.training = None
    try:
        yield
    finally:
        _context.depth, _context.training = before
