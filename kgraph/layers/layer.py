"""The base of all layers."""

from __future__ import annotations

from functools import wraps
from typing import Any

from kgraph import ops, regularizers
from kgraph.ir import FLOATS
from kgraph.layers.call_context import autocast, context, inside_call, outside_of_calls
from kgraph.layers.call_masks import carry, fill_in
from kgraph.layers.call_spec import CallSpec, is_tensor_like, shape_of, signature_of, specs_of
from kgraph.layers.input_spec import assert_input_compatibility
from kgraph.layers.layer_state import LayerState, trainable_changes
from kgraph.ops import KerasTensor, Tensor, Variable
from kgraph.registry import keras_export, serialize_keras_object
from kgraph.utils import tree
from kgraph.utils.dtype_policy import get_policy
from kgraph.utils.masking import get_keras_mask, set_keras_mask

__all__ = ["Layer"]


def _as_built(build: Any) -> Any:
    """`build` in the layer's name scope; notes the shapes, so that a file can say them."""
    parameters = list(signature_of(build).parameters)[1:]

    @wraps(build)
    def run(self: Layer, *args: Any, **kwargs: Any) -> None:
        self._check_super_called()
        with self._named_scope():
            self._path = ops.current_path()
            build(self, *args, **kwargs)
        self.built = True
        self._build_shapes = {**dict(zip(parameters, args, strict=False)), **kwargs}
        self._locked = True

    return run


@keras_export(["keras.Layer", "keras.layers.Layer"])
class Layer(LayerState):
    """A function of tensors with state.

    A subclass makes its weights in `build(input_shape)` with `add_weight` and computes in
    `call(inputs, ...)`. Other layers that it holds as attributes are part of it.

    Args:
        activity_regularizer: a regularizer of the output.
        trainable: whether its weights are trained.
        dtype: a dtype or a dtype policy.
        autocast: casts float inputs to the compute dtype.
        name: made from the class's by default.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in cls.__dict__:
            cls.build = _as_built(cls.__dict__["build"])  # type: ignore[method-assign]  # wrapped

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
            raise ValueError(
                f"Unrecognized keyword arguments passed to {type(self).__name__}: {kwargs}"
            )
        self._input_shape_arg = None if input_shape is None else tuple(input_shape)
        self.activity_regularizer = regularizers.get(activity_regularizer)
        self.input_spec: Any = None
        self.autocast = autocast
        self.supports_masking = type(self).compute_mask is not Layer.compute_mask
        self._dtype_policy = get_policy(dtype)
        self._trainable = bool(trainable)
        self._trainable_variables = []
        self._non_trainable_variables = []
        self._losses = []
        self._parent_path = None
        self._path: str | None = None
        self._build_shapes: dict[str, Any] | None = None
        self._locked = False
        self._call_step: Any = None
        self._flags: tuple[int, Any] = (-1, ())
        self.built = False

    def _obj_type(self) -> str:
        return "Layer"

    # ---- what a subclass writes ----

    @_as_built
    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of a shape (None for unknown sizes). Runs once."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Computes the outputs."""
        raise NotImplementedError(
            f"Layer {type(self).__name__} does not have a `call()` method implemented."
        )

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output for inputs of a shape, by tracing `call`."""
        shapes = args[0] if args else next(iter(kwargs.values()))
        return shape_of(self._traced_spec(specs_of(shapes, self.compute_dtype)))

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        """The mask of the output: that of the input, where the layer supports masks."""
        return previous_mask

    # ---- calls ----

    @property
    def _call_has_training_arg(self) -> bool:
        return "training" in signature_of(type(self).call).parameters

    @property
    def _call_has_mask_arg(self) -> bool:
        return "mask" in signature_of(type(self).call).parameters

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Builds the layer if need be, then computes.

        On KerasTensors it records a node. On arrays, outside of a trace, the whole call runs as one
        compiled program.
        """
        self._check_super_called()
        args = tree.map_structure(self._converted, args)
        kwargs = tree.map_structure(self._converted, kwargs)
        has_training = self._call_has_training_arg
        training_given = None if has_training else kwargs.pop("training", None)
        try:
            spec = CallSpec(type(self).call, args, kwargs)
        except TypeError as e:
            raise TypeError(
                f"{type(self).__name__} '{self.name}' was called with arguments that its `call` "
                f"does not take: {e}"
            ) from None
        self._check_positional(args)
        assert_input_compatibility(self.input_spec, spec.first, self.name)
        if not self.built:
            with self._named_scope():
                self._build(spec)
            assert_input_compatibility(self.input_spec, spec.first, self.name)
        training = self._training(spec, training_given)
        if has_training and training is not None:
            args = _positional(spec, args, "training")
            kwargs["training"] = spec.arguments["training"] = training
        fill_in(self, spec, kwargs)
        previous_mask = kwargs.get("mask")
        if previous_mask is None:
            previous_mask = tree.map_structure(get_keras_mask, spec.first)
        if any(isinstance(x, KerasTensor) for x in tree.flatten((args, kwargs))):
            outputs = self._recorded(args, kwargs, spec.first, previous_mask)
        elif context.depth == 0 and ops.current_trace() is None:
            outputs = self._compiled_call(args, kwargs, training, previous_mask)
        else:
            outputs = self._traced_call(args, kwargs, training)
            carry(self, spec.first, outputs, previous_mask)
        return outputs

    def _converted(self, x: Any) -> Any:
        """Arrays as arrays, floats in the compute dtype."""
        if not is_tensor_like(x):
            return x
        array = x if isinstance(x, Tensor | KerasTensor | Variable) else ops.convert_to_tensor(x)
        dtype, wanted = ops.dtype(array), self.input_dtype
        if self.autocast and dtype != wanted and dtype in FLOATS and wanted in FLOATS:
            array = ops.cast(array, wanted)
        mask = None if array is x else get_keras_mask(x)
        if mask is not None:
            set_keras_mask(array, mask)
        return array

    def _check_positional(self, args: Any) -> None:
        for leaf in tree.flatten(args):
            if leaf is not None and not is_tensor_like(leaf):
                raise ValueError(
                    f"Only tensors may be passed to layer '{self.name}' by position; give others "
                    f"by name. Received: {leaf!r:.80} of type {type(leaf).__name__}."
                )

    def _training(self, spec: CallSpec, given: Any) -> Any:
        """The mode: given, else that of the surrounding call, else the default of `call`."""
        value = spec.arguments.get("training")
        if given is None and "training" in spec.given:
            given = value
        if given is not None:
            return given if isinstance(given, Tensor) else bool(given)
        if context.training is not None:
            return context.training
        return value

    def _build(self, spec: CallSpec) -> None:
        """Calls `build` with the shapes it asks for.

        A layer without a `build` of its own has layers that build themselves when `call` runs.
        """
        parameters = list(signature_of(type(self).build).parameters.values())[1:]
        names = [p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)]
        if len(names) <= 1:
            found = {names[0] if names else "input_shape": shape_of(spec.first)}
        else:
            shapes = spec.shapes()
            by_name = {f"{name}_shape": shape for name, shape in shapes.items()}
            found = {name: by_name[name] for name in names if name in by_name}
            found = found or dict(zip(names, shapes.values(), strict=False))
        with outside_of_calls():
            self.build(**found)

    def _recorded(self, args: Any, kwargs: Any, first: Any, previous_mask: Any) -> Any:
        """The call as a node of the graph of KerasTensors."""
        outputs = self.compute_output_spec(*args, **kwargs)
        carry(self, first, outputs, previous_mask)
        ops.Node(operation=self, call_args=args, call_kwargs=kwargs, outputs=outputs)
        return outputs

    def _compiled_call(self, args: Any, kwargs: Any, training: Any, previous_mask: Any) -> Any:
        """The call as a program of its own; losses and masks come out of it as well."""
        if self._call_step is None:
            self._call_step = ops.Step(self._call_for_step, name=self.name, donate=True)
        changes = trainable_changes()
        if self._flags[0] != changes:  # frozen layers compute otherwise: batch normalisation
            self._flags = (changes, tuple(x.trainable for x in self._flatten_layers()))
        outputs, masks, losses = self._call_step(
            args, kwargs, training, previous_mask, self._flags[1]
        )
        for leaf, mask in zip(tree.flatten(outputs), masks, strict=True):
            if mask is not None:
                set_keras_mask(leaf, mask)
        self._clear_losses()
        for layer, loss in losses:
            layer._losses.append(loss)
        return outputs

    def _call_for_step(
        self, args: Any, kwargs: Any, training: Any, previous_mask: Any, flags: Any
    ) -> Any:
        outputs = self._traced_call(args, kwargs, training)
        first = CallSpec(type(self).call, args, kwargs).first
        carry(self, first, outputs, previous_mask)
        masks = [get_keras_mask(leaf) for leaf in tree.flatten(outputs)]
        losses = [(layer, loss) for layer in self._flatten_layers() for loss in layer._losses]
        return outputs, masks, losses

    def _traced_call(self, args: Any, kwargs: Any, training: Any) -> Any:
        """Runs `call` as part of the surrounding trace, or of the surrounding call."""
        if context.depth == 0:
            self._clear_losses()
        try:
            with (
                inside_call(training),
                ops.layer_scope(self.name),
                self._named_scope(),
                autocast(self),
            ):
                outputs = self.call(*args, **kwargs)
                self._check_outputs(outputs)
                self._regularize(outputs)
        except Exception as e:
            e.add_note(f"In the call of layer '{self.name}' ({type(self).__name__}).")
            raise
        return outputs

    def _regularize(self, outputs: Any) -> None:
        if self.activity_regularizer is None:
            return
        for leaf in tree.flatten(outputs):
            loss = self.activity_regularizer(leaf)
            if leaf.shape:  # per sample, so that the batch size does not matter
                loss = ops.divide_no_nan(loss, ops.cast(ops.shape(leaf)[0], ops.dtype(loss)))
            self.add_loss(loss)

    def _check_outputs(self, outputs: Any) -> None:
        leaves = tree.flatten(outputs)
        for leaf in leaves:
            if is_tensor_like(leaf) or (leaf is None and outputs is not None):
                continue
            hint = " Is a `return` missing?" if leaf is None else ""
            raise TypeError(
                f"The `call` of layer '{self.name}' ({type(self).__name__}) must return tensors, "
                f"or tuples, lists or dicts of them; got {leaf!r:.80} of type "
                f"{type(leaf).__name__}.{hint}"
            )

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensors with the shapes and dtypes of the outputs."""
        if type(self).compute_output_shape is Layer.compute_output_shape:
            return self._traced_spec(*args, **kwargs)
        spec = CallSpec(type(self).call, args, kwargs)
        names = list(signature_of(type(self).compute_output_shape).parameters)[1:]
        if len(names) <= 1:
            shape = self.compute_output_shape(shape_of(spec.first))
        else:
            by_name = {f"{name}_shape": s for name, s in spec.shapes().items()}
            found = {n: by_name[n] for n in names if n in by_name}
            shape = self.compute_output_shape(**found)
        return specs_of(shape, self.compute_dtype)

    def _traced_spec(self, *args: Any, **kwargs: Any) -> Any:
        """The outputs' shapes and dtypes, by tracing `call` on symbolic sizes."""

        def run(*a: Any, **k: Any) -> Any:
            return self._traced_call(a, k, k.get("training"))

        return ops.compute_output_spec(run, *args, **kwargs)

    def stateless_call(
        self,
        trainable_variables: Any,
        non_trainable_variables: Any,
        *args: Any,
        return_losses: bool = False,
        **kwargs: Any,
    ) -> Any:
        """The outputs for given values of the variables, which keep their own.

        Returns:
            The outputs, the new values of the non-trainable variables, and the losses where they
            were asked for.
        """
        from kgraph.utils.borrowed import borrowed_values

        if not self.built:
            raise ValueError(f"Build the layer '{self.name}' before calling `stateless_call`.")
        own = [*self.trainable_variables, *self.non_trainable_variables]
        values = [*trainable_variables, *non_trainable_variables]
        if len(own) != len(values):
            raise ValueError(
                f"`stateless_call` of '{self.name}' needs the values of {len(own)} variables; got "
                f"{len(values)}."
            )
        with borrowed_values(own, values):
            outputs = self(*args, **kwargs)
            changed = [v.value for v in self.non_trainable_variables]
            losses = self.losses if return_losses else None
        return (outputs, changed) if losses is None else (outputs, changed, losses)

    # ---- configuration ----

    @property
    def path(self) -> str | None:
        """The name within the names of the layers around it; None before the layer is built."""
        return self._path

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes an equal layer of."""
        config: dict[str, Any] = {"name": self.name}
        parameters = signature_of(type(self).__init__).parameters
        if type(self).get_config is Layer.get_config:
            if self._auto_config is None:
                raise NotImplementedError(
                    f"Layer {type(self).__name__} was made with arguments that cannot be stored "
                    "as they are: it must override `get_config()`."
                )
            config.update(self._auto_config)
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
        if shapes is None:
            return None
        if len(shapes) == 1:
            return {"input_shape": next(iter(shapes.values()))}
        return {"shapes_dict": shapes}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Builds the layer for the shapes of `get_build_config`."""
        if config and "input_shape" in config:
            shape = tree_of_shapes(config["input_shape"])
            if type(self).build is Layer.build and self._layers and shape is not None:
                self._traced_spec(specs_of(shape, self.compute_dtype))
            self.build(shape)
        elif config and "shapes_dict" in config:
            shapes = {name: tree_of_shapes(s) for name, s in config["shapes_dict"].items()}
            self.build(**shapes)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def tree_of_shapes(value: Any) -> Any:
    """Lists that JSON made of shapes as tuples again."""
    if isinstance(value, dict):
        return {key: tree_of_shapes(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        if all(item is None or isinstance(item, int) for item in value):
            return tuple(value)
        return [tree_of_shapes(item) for item in value]
    return value


def _positional(spec: CallSpec, args: Any, keyword: str) -> Any:
    """The positional arguments without the one that is given by name from now on."""
    names = list(spec.arguments)
    return tuple(x for i, x in enumerate(args) if i >= len(names) or names[i] != keyword)
