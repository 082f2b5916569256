"""The options of weights: initializers, regularizers, constraints."""

from typing import Any

from kgraph import constraints, initializers, regularizers

__all__ = ["passed_on", "take_options", "weight_options"]

_HOMES = {"initializer": initializers, "regularizer": regularizers, "constraint": constraints}


def take_options(layer: Any, **options: Any) -> None:
    """Keeps each option as an attribute, names turned into objects."""
    for name, value in options.items():
        setattr(layer, name, _home(name).get(value))


def weight_options(layer: Any, *names: str) -> dict[str, Any]:
    """The options of these names, fit for a config."""
    return {name: _home(name).serialize(getattr(layer, name)) for name in names}


def passed_on(arguments: dict[str, Any], **more: Any) -> dict[str, Any]:
    """What a constructor hands to its base's: its arguments, from its `locals()`, and `more`."""
    own = {name: value for name, value in arguments.items() if name not in ("self", "__class__")}
    return {**own.pop("kwargs", {}), **own, **more}


def _home(name: str) -> Any:
    return _HOMES[name.rpartition("_")[2]]
