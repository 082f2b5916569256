"""A recurrent layer in both directions."""

from typing import Any

from kgraph import ops
from kgraph.layers.layer import Layer
from kgraph.registry import deserialize_keras_object, keras_export, serialize_keras_object

__all__ = ["Bidirectional"]

_MODES = ("sum", "mul", "ave", "concat", None)


@keras_export("keras.layers.Bidirectional")
class Bidirectional(Layer):
    """Runs a recurrent layer from the first step to the last, and another one back.

    Args:
        layer: the layer that runs forward; it is copied.
        merge_mode: how the two outputs become one: "sum", "mul", "ave", "concat"; None: a pair.
        weights: kept for compatibility.
        backward_layer: the layer that runs back; by default a copy of `layer`.
    """

    def __init__(
        self,
        layer: Any,
        merge_mode: str | None = "concat",
        weights: Any = None,
        backward_layer: Any = None,
        **kwargs: Any,
    ) -> None:
        for what, value in (("layer", layer), ("backward_layer", backward_layer)):
            if not isinstance(value, Layer) and (what == "layer" or value is not None):
                raise ValueError(f"Bidirectional: `{what}` must be a layer. Received: {value!r}")
        if merge_mode not in _MODES:
            raise ValueError(
                f"Invalid merge mode. Received: {merge_mode}; expected one of {_MODES}"
            )
        super().__init__(**kwargs)
        self.forward_layer: Any = _copied(layer, "forward_")
        if backward_layer is None:
            self.backward_layer: Any = _copied(layer, "backward_", go_backwards=True)
        else:
            self.backward_layer = backward_layer
        self._check_pair()
        for part in (self.forward_layer, self.backward_layer):
            if getattr(part, "zero_output_for_mask", None) is not None:
                part.zero_output_for_mask = part.return_sequences
        self.merge_mode = merge_mode
        self.stateful = layer.stateful
        self.return_sequences = layer.return_sequences
        self.return_state = layer.return_state
        self.supports_masking = True
        self.input_spec = layer.input_spec

    def _check_pair(self) -> None:
        forward, backward = self.forward_layer, self.backward_layer
        if forward.go_backwards == backward.go_backwards:
            raise ValueError(
                "Bidirectional: of the two layers one must have `go_backwards=True`; both have "
                f"{forward.go_backwards}."
            )
        for name in ("stateful", "return_sequences", "return_state"):
            if getattr(forward, name) != getattr(backward, name):
                raise ValueError(
                    f"Bidirectional: both layers must have the same `{name}`; got "
                    f"{getattr(forward, name)} and {getattr(backward, name)}."
                )

    def build(self, sequences_shape: Any, initial_state_shape: Any = None) -> None:
        for part in (self.forward_layer, self.backward_layer):
            if not part.built:
                part.build(sequences_shape)

    def reset_state(self) -> None:
        """Zeros for the states that stateful layers keep."""
        self.forward_layer.reset_state()
        self.backward_layer.reset_state()

    reset_states = reset_state

    @property
    def states(self) -> Any:
        """The states that stateful layers keep; None for others."""
        if self.forward_layer.states and self.backward_layer.states:
            return (*self.forward_layer.states, *self.backward_layer.states)
        return None

    def call(
        self,
        sequences: Any,
        initial_state: Any = None,
        mask: Any = None,
        training: bool | None = None,
    ) -> Any:
        """The merged outputs, and the states of both layers where they were asked for."""
        half = 0 if initial_state is None else len(initial_state) // 2
        results = []
        for part, begin in ((self.forward_layer, 0), (self.backward_layer, half)):
            more: dict[str, Any] = {}
            if initial_state is not None:
                more["initial_state"] = list(initial_state[begin : begin + half])
            if part._call_has_mask_arg and mask is not None:
                more["mask"] = mask
            if part._call_has_training_arg:
                more["training"] = training
            results.append(part(sequences, **more))
        states: tuple[Any, ...] = ()
        if self.return_state:
            states = (*results[0][1:], *results[1][1:])
            results = [result[0] for result in results]
        y, back = (ops.cast(result, self.compute_dtype) for result in results)
        if self.return_sequences:
            back = ops.flip(back, axis=1)
        if self.merge_mode is None:
            return (y, back, *states)
        output = self._merged(y, back)
        return (output, *states) if self.return_state else output

    def _merged(self, y: Any, back: Any) -> Any:
        if self.merge_mode == "concat":
            return ops.concatenate([y, back], axis=-1)
        if self.merge_mode == "mul":
            return y * back
        return y + back if self.merge_mode == "sum" else (y + back) / 2

    def compute_output_shape(self, sequences_shape: Any, initial_state_shape: Any = None) -> Any:
        shape = self.forward_layer.compute_output_shape(sequences_shape)
        states: tuple[Any, ...] = ()
        if self.return_state:
            shape, states = shape[0], tuple(shape[1:])
        if self.merge_mode == "concat":
            shape = (*shape[:-1], 2 * shape[-1])
        if self.merge_mode is None:
            return (shape, shape, *states, *states)
        return (shape, *states, *states) if self.return_state else shape

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        mask = previous_mask[0] if isinstance(previous_mask, list | tuple) else previous_mask
        output = mask if self.return_sequences else None
        return (output, output) if self.merge_mode is None else output

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "merge_mode": self.merge_mode,
            "layer": serialize_keras_object(self.forward_layer),
            "backward_layer": serialize_keras_object(self.backward_layer),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The layer that `get_config` described."""
        read = dict(config)
        for name in ("layer", "backward_layer"):
            if read.get(name) is not None:
                read[name] = deserialize_keras_object(read[name], custom_objects=custom_objects)
        return cls(**read)


def _copied(layer: Any, prefix: str, **changes: Any) -> Any:
    """A new layer of the same config, with a name that says its direction."""
    described = serialize_keras_object(layer)
    name = f"{prefix}{layer.name.removeprefix(prefix)}"
    described["config"] = {**described["config"], **changes, "name": name}
    return deserialize_keras_object(described, custom_objects={type(layer).__name__: type(layer)})
