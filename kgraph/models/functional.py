"""Models made of the graph between KerasTensors."""

import warnings
from typing import Any

from kgraph import ops
from kgraph.layers import Layer
from kgraph.layers.call_spec import is_tensor_like, specs_of
from kgraph.models.functional_config import functional_config
from kgraph.models.model import Model
from kgraph.models.network import Network, with_own_inputs
from kgraph.models.trainer import Trainer
from kgraph.ops import KerasTensor, Tensor, Variable
from kgraph.registry import keras_export
from kgraph.utils import tree
from kgraph.utils.masking import get_keras_mask, set_keras_mask

__all__ = ["Functional"]


@keras_export(["keras.src.models.functional.Functional", "keras.models.Functional"])
class Functional(Model):
    """The model from `inputs` to `outputs`, structures of KerasTensors."""

    _untracked = Model._untracked | {"_nodes", "_all_nodes"}
    _mutable_when_built = True

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, inputs: Any, outputs: Any, name: str | None = None, **kwargs: Any) -> None:
        trainable = kwargs.pop("trainable", None)
        if not hasattr(self, "compiled"):
            Trainer.__init__(self)
        for what, part in (("inputs", inputs), ("outputs", outputs)):
            for x in tree.flatten(part):
                if not isinstance(x, KerasTensor):
                    raise ValueError(
                        f"All `{what}` values must be KerasTensors. Received: {x!r} of type "
                        f"{type(x).__name__}"
                    )
        Layer.__init__(self, name=name, **kwargs)
        inputs, outputs = with_own_inputs(inputs, outputs, self.name)
        self._inputs_struct, self._outputs_struct = inputs, outputs
        self._inputs: list[KerasTensor] = tree.flatten(inputs)
        self._outputs: list[KerasTensor] = tree.flatten(outputs)
        network = Network(self._inputs, self._outputs, self.name)
        self._operations: list[Any] = network.operations
        self._nodes = [node for node in network.nodes if not node.is_input]
        self._all_nodes = network.nodes
        self.built = True
        if trainable is not None:
            self.trainable = trainable

    def _obj_type(self) -> str:
        return "Functional"

    def _is_graph_network(self) -> bool:
        return True

    @property
    def layers(self) -> list[Layer]:
        """The layers, in the order in which they run."""
        return [op for op in self._operations if isinstance(op, Layer)]

    @property
    def operations(self) -> list[Any]:
        """The layers and ops, in the order in which they run."""
        return list(self._operations)

    @property
    def inputs(self) -> list[KerasTensor]:
        """The inputs, flat."""
        return self._inputs

    @property
    def outputs(self) -> list[KerasTensor]:
        """The outputs, flat."""
        return self._outputs

    @property
    def input(self) -> Any:
        """The inputs, in their structure."""
        return self._inputs_struct

    @property
    def output(self) -> Any:
        """The outputs, in their structure."""
        return self._outputs_struct

    @property
    def input_shape(self) -> Any:
        """The shape of the input, or those of the inputs, flat."""
        return self._inputs[0].shape if len(self._inputs) == 1 else [x.shape for x in self._inputs]

    @property
    def output_shape(self) -> Any:
        """The shape of the output, or those of the outputs, flat."""
        outputs = self._outputs
        return outputs[0].shape if len(outputs) == 1 else [x.shape for x in outputs]

    @property
    def input_names(self) -> list[str]:
        """The names of the input layers."""
        return [x._keras_history.operation.name for x in self._inputs]

    @property
    def output_names(self) -> list[str]:
        """What losses and metrics call the outputs: a dict's keys, else the layers' names."""
        if isinstance(self._outputs_struct, dict) and not any(
            tree.is_nested(v) for v in self._outputs_struct.values()
        ):
            return sorted(self._outputs_struct)
        return [x._keras_history.operation.name for x in self._outputs]

    def call(self, inputs: Any, training: bool | None = None, mask: Any = None) -> Any:
        """Runs the operations in order."""
        given = self._standardized(inputs)
        for x, m in zip(given, tree.flatten(mask), strict=False):
            if m is not None:
                set_keras_mask(x, m)

        def run(operation: Any, args: Any, kwargs: Any) -> Any:
            if training is not None and getattr(operation, "_call_has_training_arg", False):
                kwargs["training"] = training  # the graph holds the mode of its own making
            return operation(*args, **kwargs)

        return self._run(given, run)

    def _run(self, inputs: list[Any], call: Any) -> Any:
        """The outputs, each operation run by `call(operation, args, kwargs)`."""
        values: dict[int, Any] = {}
        for x, value in zip(self._inputs, inputs, strict=True):
            values[id(x)] = value
        for node in self._nodes:
            args, kwargs = node.arguments.fill_in(values)
            results = call(node.operation, args, kwargs)
            for x, value in zip(node.output_tensors, tree.flatten(results), strict=True):
                values[id(x)] = value
        return tree.map_structure(lambda x: values[id(x)], self._outputs_struct)

    def _standardized(self, inputs: Any) -> list[Any]:
        """The inputs in the order of the model's, of its dtypes, a last axis of 1 adjusted."""
        struct = self._inputs_struct
        if isinstance(inputs, dict) and not (
            isinstance(struct, dict) and set(struct) == set(inputs)
        ):
            names = sorted(struct) if isinstance(struct, dict) else self.input_names
            missing = [n for n in names if n not in inputs]
            extra = sorted(set(inputs) - set(names))
            if missing or (extra and len(names) == 1):
                raise ValueError(
                    f"The model '{self.name}' expects the inputs {names}; missing: {missing}, got: "
                    f"{sorted(inputs)}."
                )
            if extra:  # as the columns of a table that holds more than the model looks at
                warnings.warn(
                    f"The model '{self.name}' has the inputs {names}; {extra} are not used.",
                    stacklevel=2,
                )
            flat = [inputs[n] for n in names]
        else:
            flat = tree.flatten(inputs)
        if len(flat) != len(self._inputs):
            raise ValueError(
                f"The model '{self.name}' expects {len(self._inputs)} input(s), "
                f"{self.input_names}; got {len(flat)}."
            )
        return [self._fitted(x, wanted) for x, wanted in zip(flat, self._inputs, strict=True)]

    def _fitted(self, x: Any, wanted: KerasTensor) -> Any:
        if x is None:
            return None
        shape = [d if isinstance(d, int) else None for d in x.shape]
        expected = list(wanted.shape)
        name = wanted._keras_history.operation.name
        if len(shape) == len(expected) + 1 and shape[-1] == 1:
            x, shape = ops.squeeze(x, axis=-1), shape[:-1]
        elif len(shape) == len(expected) - 1 and expected[-1] == 1:
            x, shape = ops.expand_dims(x, axis=-1), [*shape, 1]
        fits = len(shape) == len(expected) and all(
            a is None or b is None or a == b for a, b in zip(shape[1:], expected[1:], strict=True)
        )
        if not fits:
            raise ValueError(
                f"Input '{name}' of the model '{self.name}' is incompatible: expected "
                f"shape={tuple(expected)}, found shape={tuple(shape)}."
            )
        return x if ops.dtype(x) == wanted.dtype else ops.cast(x, wanted.dtype)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """The shape of the outputs for inputs of a shape."""
        specs = specs_of(input_shape, self.compute_dtype)
        given = zip(tree.flatten(specs), self._inputs, strict=True)
        typed = [KerasTensor(x.shape, wanted.dtype) for x, wanted in given]
        return tree.map_structure(lambda x: x.shape, self._spec(typed))

    def compute_output_spec(
        self, inputs: Any, training: bool | None = None, mask: Any = None
    ) -> Any:
        return self._spec(self._standardized(inputs))

    def _spec(self, inputs: list[Any]) -> Any:
        if all(
            x is not None and x.shape == y.shape for x, y in zip(inputs, self._inputs, strict=True)
        ):
            return tree.map_structure(lambda x: KerasTensor(x.shape, x.dtype), self._outputs_struct)
        return self._run(inputs, lambda op, args, kwargs: op.compute_output_spec(*args, **kwargs))

    def _converted(self, x: Any) -> Any:
        """Arrays as they are: `call` brings each to the dtype of its input."""
        if not is_tensor_like(x) or isinstance(x, Tensor | KerasTensor | Variable):
            return x
        array = ops.convert_to_tensor(x)
        set_keras_mask(array, get_keras_mask(x))
        return array

    def _check_positional(self, args: Any) -> None:
        """Any structure: `call` says which input does not fit."""

    def get_config(self) -> dict[str, Any]:
        if type(self) is not Functional and type(self).__init__ is not Functional.__init__:
            return Layer.get_config(self)
        return functional_config(self)

    def get_build_config(self) -> dict[str, Any] | None:
        return {"input_shape": None}

    def build_from_config(self, config: dict[str, Any]) -> None:
        """Its layers are built by now."""
