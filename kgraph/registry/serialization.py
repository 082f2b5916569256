"""Objects as JSON and back, in Keras 3's form.

    {"module": "keras.layers", "class_name": "Dense", "config": {...}, "registered_name": None,
    "build_config": {...}}

Reading constructs only classes that are built in, registered, or given by the caller; it imports
and runs nothing that
a file names.
"""

import types
from collections.abc import Mapping
from typing import Any

import numpy as np

from kgraph.registry.custom_objects import (
    CustomObjectScope,
    get_registered_name,
    get_registered_object,
)
from kgraph.registry.exports import exported, exported_path, keras_export

__all__ = ["deserialize_keras_object", "serialize_keras_object"]

_PLAIN = (str, bool, int, float, type(None))


@keras_export(["keras.saving.serialize_keras_object", "keras.utils.serialize_keras_object"])
def serialize_keras_object(obj: Any) -> Any:  # noqa: C901, PLR0911  # a line per kind of object
    """`obj` as a structure that JSON can hold.

    Args:
        obj: a layer, model, optimizer, loss, ...; a function; a number, string or array; or a
            structure of these.

    Raises:
        TypeError: the object has no config.
        ValueError: it is a lambda, which is code.
    """
    if isinstance(obj, _PLAIN):
        return obj
    if isinstance(obj, dict):
        return {key: serialize_keras_object(value) for key, value in obj.items()}
    if isinstance(obj, list | tuple):
        items = [serialize_keras_object(item) for item in obj]
        return tuple(items) if isinstance(obj, tuple) else items
    if isinstance(obj, np.generic):
        return obj.item()
    if isinstance(obj, bytes):
        return {"class_name": "__bytes__", "config": {"value": obj.decode()}}
    if isinstance(obj, slice):
        config = {"start": obj.start, "stop": obj.stop, "step": obj.step}
        return {"class_name": "__slice__", "config": serialize_keras_object(config)}
    if obj is Ellipsis:
        return {"class_name": "__ellipsis__", "config": {}}
    if isinstance(obj, np.ndarray):
        return {
            "class_name": "__numpy__",
            "config": {"value": obj.tolist(), "dtype": obj.dtype.name},
        }
    if isinstance(obj, np.dtype) or (isinstance(obj, type) and issubclass(obj, np.generic)):
        return np.dtype(obj).name
    if isinstance(obj, types.FunctionType | types.BuiltinFunctionType | np.ufunc):
        return _function_config(obj)
    if isinstance(obj, type):
        return _named(obj, obj.__name__, {})
    if hasattr(obj, "get_config"):
        return _object_config(obj)
    raise TypeError(
        f"Cannot serialize {obj!r} of type {type(obj).__name__}: it has no `get_config()` method."
    )


def _function_config(function: Any) -> dict[str, Any]:
    if function.__name__ == "<lambda>":
        raise ValueError(
            "A lambda cannot be saved: files hold no code. Use a function with a name, and "
            "register it."
        )
    return {
        "module": "builtins",
        "class_name": "function",
        "config": get_registered_name(function),
        "registered_name": "function",
    }


def _named(cls: type, name: str, config: Any) -> dict[str, Any]:
    path = exported_path(cls)
    if path is not None and "keras.src" not in path:
        module, _, name = path.rpartition(".")
        return {"module": module, "class_name": name, "config": config, "registered_name": None}
    module = path.rpartition(".")[0] if path else cls.__module__
    return {
        "module": module,
        "class_name": name,
        "config": config,
        "registered_name": get_registered_name(cls),
    }


def _object_config(obj: Any) -> dict[str, Any]:
    cls = type(obj)
    found = _named(cls, cls.__name__, serialize_keras_object(obj.get_config()))
    for part in ("build_config", "compile_config"):
        getter = getattr(obj, f"get_{part}", None)
        config = getter() if getter is not None else None
        if config is not None:
            found[part] = serialize_keras_object(config)
    return found


@keras_export(["keras.saving.deserialize_keras_object", "keras.utils.deserialize_keras_object"])
def deserialize_keras_object(
    config: Any,
    custom_objects: Mapping[str, Any] | None = None,
    safe_mode: bool = True,
    **kwargs: Any,
) -> Any:
    """The object that `serialize_keras_object` described.

    Args:
        config: the structure.
        custom_objects: classes and functions by name.
        safe_mode: kept for compatibility; code in a config is never run.

    Raises:
        TypeError: the class or function is unknown; the message says how to make it known.
        ValueError: the config is damaged, or holds a lambda.
    """
    with CustomObjectScope(custom_objects):
        return _read(config)


def _read(config: Any) -> Any:
    if isinstance(config, str):
        found = get_registered_object(config)
        return config if found is None else found
    if isinstance(config, _PLAIN):
        return config
    if isinstance(config, list | tuple):
        return [_read(item) for item in config]
    if not isinstance(config, dict):
        return config
    if "class_name" not in config or "config" not in config:
        return {key: _read(value) for key, value in config.items()}
    name, inner = config["class_name"], config["config"]
    if name in _SPECIAL:
        return _SPECIAL[name](inner)
    if name == "__lambda__":
        raise ValueError(
            "The file holds a lambda, which is code and is not run. Rebuild the model with a named "
            "function."
        )
    if name == "function":
        return _find_function(config)
    return _construct(config)


def _array(inner: Any) -> Any:
    return np.array(inner["value"], dtype=inner["dtype"])


_SPECIAL = {
    "__bytes__": lambda inner: inner["value"].encode(),
    "__numpy__": _array,
    "__tensor__": _array,
    "__tuple__": lambda inner: tuple(_read(inner["value"] if isinstance(inner, dict) else inner)),
    "__slice__": lambda inner: slice(
        _read(inner["start"]), _read(inner["stop"]), _read(inner["step"])
    ),
    "__ellipsis__": lambda inner: Ellipsis,
}


def _find_function(config: dict[str, Any]) -> Any:
    name, registered = config["config"], config.get("registered_name")
    if not isinstance(name, str):
        raise ValueError(f"The config of a function must be its name; got {name!r}.")
    for candidate in (registered, name):
        found = get_registered_object(candidate) if isinstance(candidate, str) else None
        if found is not None:
            return found
    module = str(config.get("module"))
    for path in (
        f"{module}.{name}",
        f"keras.activations.{name}",
        f"keras.losses.{name}",
        f"keras.metrics.{name}",
        f"keras.ops.{name}",
    ):
        found = exported(path)
        if found is not None and not isinstance(found, type):
            return found
    raise TypeError(_unknown("function", name, registered))


def _find_class(config: dict[str, Any]) -> Any:
    name, module, registered = (
        config["class_name"],
        str(config.get("module")),
        config.get("registered_name"),
    )
    for candidate in (registered, name):
        found = get_registered_object(candidate) if isinstance(candidate, str) else None
        if found is not None:
            return found
    public = module.replace("keras.src.", "keras.")
    for path in (f"{module}.{name}", f"{public}.{name}", f"{public.rpartition('.')[0]}.{name}"):
        found = exported(path)
        if isinstance(found, type):
            return found
    raise TypeError(_unknown("class", name, registered))


def _unknown(kind: str, name: Any, registered: Any) -> str:
    return (
        f"Could not find the {kind} {name!r} (registered as {registered!r}). If it is your own, "
        "decorate it with "
        "`@kgraph.saving.register_keras_serializable()` and import it before loading, or pass "
        f"`custom_objects={{{name!r}: ...}}`."
    )


def _construct(config: dict[str, Any]) -> Any:
    cls = _find_class(config)
    if isinstance(cls, types.FunctionType):
        return cls
    inner = config["config"]
    if not isinstance(inner, dict):
        raise ValueError(
            f"The config of {config['class_name']!r} must be a dict; got {type(inner).__name__}."
        )
    if not hasattr(cls, "from_config"):
        raise TypeError(
            f"{config['class_name']!r} cannot be made from a config: it has no `from_config` "
            "method."
        )
    try:
        instance = cls.from_config(inner)
    except TypeError as e:
        raise TypeError(
            f"{config['class_name']!r} could not be made from its config: {e} The config: "
            f"{inner!r:.500}"
        ) from e
    if config.get("build_config") and hasattr(instance, "build_from_config"):
        instance.build_from_config(config["build_config"])
    if config.get("compile_config") and hasattr(instance, "compile_from_config"):
        instance.compile_from_config(config["compile_config"])
    return instance
