"""Optimizers by name, and to and from configs."""

from collections.abc import Mapping
from typing import Any

from kgraph import registry
from kgraph.optimizers.adadelta import Adadelta
from kgraph.optimizers.adafactor import Adafactor
from kgraph.optimizers.adagrad import Adagrad
from kgraph.optimizers.adam import Adam
from kgraph.optimizers.adamax import Adamax
from kgraph.optimizers.adamw import AdamW
from kgraph.optimizers.ftrl import Ftrl
from kgraph.optimizers.lamb import Lamb
from kgraph.optimizers.lion import Lion
from kgraph.optimizers.nadam import Nadam
from kgraph.optimizers.optimizer import Optimizer
from kgraph.optimizers.rmsprop import RMSprop
from kgraph.optimizers.sgd import SGD
from kgraph.registry import keras_export
from kgraph.utils.named_objects import NamedObjects

__all__ = ["deserialize", "get", "serialize"]

_CLASSES = (
    Optimizer,
    Adadelta,
    Adafactor,
    Adagrad,
    Adam,
    Adamax,
    AdamW,
    Ftrl,
    Lamb,
    Lion,
    Nadam,
    RMSprop,
    SGD,
)

_OPTIMIZERS = NamedObjects(
    "optimizer", _CLASSES, aliases={cls.__name__.lower(): cls for cls in _CLASSES}
)


@keras_export("keras.optimizers.serialize")
def serialize(optimizer: Optimizer) -> Any:
    """Returns the config of an optimizer."""
    return registry.serialize_keras_object(optimizer)


@keras_export("keras.optimizers.deserialize")
def deserialize(config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
    """Builds the optimizer that a config or a name (in any case) describes."""
    name = config.get("class_name") if isinstance(config, Mapping) else config
    if isinstance(name, str) and name.lower() in _OPTIMIZERS.table:
        # A built-in class under any spelling: no need of its module.
        inner = config.get("config", {}) if isinstance(config, Mapping) else {}
        config = {"class_name": name.lower(), "config": inner}
    return _OPTIMIZERS.deserialize(config, custom_objects)


@keras_export("keras.optimizers.get")
def get(identifier: Any) -> Optimizer | None:
    """Returns the optimizer that a name, a config or an optimizer means.

    Raises:
        ValueError: the identifier means nothing; the message lists the nearest names.
    """
    if identifier is None:
        return None
    found = identifier
    if isinstance(identifier, (str, Mapping)):
        found = deserialize(identifier)
    if not isinstance(found, Optimizer):
        raise _OPTIMIZERS.unknown(identifier)
    return found
