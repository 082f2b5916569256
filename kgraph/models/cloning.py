"""Copies of models: new layers of the same configs, with weights of their own."""

from collections.abc import Callable
from typing import Any

from kgraph.layers import Input, InputLayer
from kgraph.models.functional import Functional
from kgraph.models.sequential import Sequential
from kgraph.ops import KerasTensor
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object
from kgraph.utils import tree

__all__ = ["clone_model"]


@keras_export("keras.models.clone_model")
def clone_model(
    model: Any,
    input_tensors: Any = None,
    clone_function: Callable[[Any], Any] | None = None,
    call_function: Callable[..., Any] | None = None,
    recursive: bool = False,
    **kwargs: Any,
) -> Any:
    """A model of new layers, connected as those of `model`; the weights begin anew.

    Args:
        model: a model.
        input_tensors: KerasTensors to begin with, in place of new inputs.
        clone_function: makes a layer of a layer; by default one of the same config.
        call_function: calls a new layer: `call_function(layer, *args, **kwargs)`; Functional only.
        recursive: goes into models within the model, too.

    Raises:
        ValueError: an argument that does not go with this kind of model.
    """
    cache = kwargs.pop("cache", {})
    if kwargs:
        raise ValueError(f"clone_model: unexpected arguments {sorted(kwargs)}.")
    copy = _Cloner(clone_function, call_function, recursive, cache)
    if isinstance(model, Sequential):
        if call_function is not None:
            raise ValueError(
                "`call_function` is for Functional models; a Sequential model only lists layers."
            )
        return _compiled_as(model, _clone_sequential(model, copy, input_tensors))
    if isinstance(model, Functional) and (
        type(model).get_config is Functional.get_config or clone_function or input_tensors
    ):
        return _compiled_as(model, _clone_functional(model, copy, input_tensors))
    if clone_function or input_tensors or call_function:
        raise ValueError(
            "`clone_function`, `input_tensors` and `call_function` are for Sequential and "
            f"Functional models; got a {type(model).__name__}."
        )
    config = serialize_keras_object(model)
    return deserialize_keras_object(config, custom_objects={type(model).__name__: type(model)})


class _Cloner:
    """Makes each layer once, also where it is shared."""

    def __init__(self, make: Any, call: Any, recursive: bool, cache: dict[int, Any]) -> None:
        self.make = make or (lambda layer: type(layer).from_config(layer.get_config()))
        self.call = call
        self.recursive, self.cache = recursive, cache

    def __call__(self, layer: Any) -> Any:
        if id(layer) not in self.cache:
            self.cache[id(layer)] = self._made(layer)
        return self.cache[id(layer)]

    def _made(self, layer: Any) -> Any:
        if not self.recursive or not isinstance(layer, Sequential | Functional):
            return self.make(layer)
        call = None if isinstance(layer, Sequential) else self.call
        return clone_model(
            layer, clone_function=self.make, call_function=call, recursive=True, cache=self.cache
        )


def _clone_sequential(model: Sequential, copy: _Cloner, input_tensors: Any) -> Sequential:
    layers = [copy(layer) for layer in model.layers]
    first = model._chain[0] if model._chain else None
    own = first if isinstance(first, InputLayer) else None
    if input_tensors is not None:
        tensors = tree.flatten(input_tensors)
        if len(tensors) != 1 or not isinstance(tensors[0], KerasTensor):
            raise ValueError(
                "`input_tensors` of a Sequential model must be one KerasTensor. "
                f"Received: {input_tensors}"
            )
        layers.insert(0, Input(tensor=tensors[0], name=None if own is None else own.name))
    elif own is not None:
        shape = own.batch_shape
        layers.insert(0, Input(batch_shape=shape, dtype=own.dtype, name=own.name))
    return Sequential(layers, name=model.name, trainable=model.trainable)


def _clone_functional(model: Functional, copy: _Cloner, input_tensors: Any) -> Any:
    if input_tensors is None:
        input_tensors = tree.map_structure(
            lambda x: Input(
                batch_shape=x.shape, dtype=x.dtype, name=x._keras_history.operation.name
            ),
            model.input,
        )
    else:
        tree.assert_same_structure(input_tensors, model.input)

    def run(operation: Any, args: Any, kwargs: Any) -> Any:
        layer = copy(operation)
        return layer(*args, **kwargs) if copy.call is None else copy.call(layer, *args, **kwargs)

    outputs = model._run(tree.flatten(input_tensors), run)
    cls = type(model) if type(model).__init__ is Functional.__init__ else Functional
    return cls(input_tensors, outputs, name=model.name)


def _compiled_as(model: Any, clone: Any) -> Any:
    if model.compiled:
        clone.compile_from_config(model.get_compile_config())
    return clone
