"""Activations by name, and to and from configs."""

import types
from collections.abc import Callable, Mapping
from typing import Any

from kgraph import registry
from kgraph.activations import gated, normalized, piecewise, rectified, smooth
from kgraph.registry import keras_export
from kgraph.utils.named_objects import NamedObjects

__all__ = ["deserialize", "get", "serialize"]

_ACTIVATIONS = NamedObjects(
    "activation function",
    [
        getattr(module, name)
        for module in (gated, normalized, piecewise, rectified, smooth)
        for name in module.__all__
    ],
    aliases={"hard_swish": piecewise.hard_silu, "swish": smooth.silu},
)


@keras_export("keras.activations.serialize")
def serialize(activation: Callable[..., Any]) -> Any:
    """Returns the name of a built-in activation, or the config of any other one."""
    name = getattr(activation, "__name__", None)
    if name in _ACTIVATIONS.table and _ACTIVATIONS.table[name] is activation:
        return name
    config = registry.serialize_keras_object(activation)
    if not isinstance(config, dict) or "config" not in config:
        raise ValueError(
            f"The activation {activation!r} cannot be serialised: it is no built-in function; "
            "decorate it with `@keras.saving.register_keras_serializable()`."
        )
    if isinstance(activation, types.FunctionType) and isinstance(config["config"], str):
        config["config"] = registry.get_registered_name(activation)
    return config


@keras_export("keras.activations.deserialize")
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Returns the activation that `config`, a name or a dict, describes."""
    return _ACTIVATIONS.deserialize(config, custom_objects)


@keras_export("keras.activations.get")
def get(identifier: Any) -> Callable[..., Any]:
    """Returns the activation that a name, a config or a callable means; None means `linear`.

    Raises:
        ValueError: the identifier means nothing; the message lists the nearest names.
    """
    if identifier is None:
        return rectified.linear
    found: Callable[..., Any] = _ACTIVATIONS.get(identifier)
    return found
