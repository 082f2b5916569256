"""Names for users' own classes and functions."""

import inspect
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, Self, TypeVar

from kgraph.registry.exports import keras_export

__all__ = [
    "CustomObjectScope", "custom_object_scope", "get_custom_objects", "get_registered_name",
    "get_registered_object", "register_keras_serializable",
]  # fmt: skip

Registered = TypeVar("Registered")

_CUSTOM: dict[str, Any] = {}
_NAMES: dict[Any, str] = {}
_NOTHING: Mapping[str, Any] = MappingProxyType({})
_SCOPE: ContextVar[Mapping[str, Any]] = ContextVar("custom_objects", default=_NOTHING)


@keras_export(
    [
        "keras.saving.CustomObjectScope",
        "keras.saving.custom_object_scope",
        "keras.utils.CustomObjectScope",
        "keras.utils.custom_object_scope",
    ]
)
class CustomObjectScope:
    """Inside the block, these names mean these classes and functions.

    Args:
        custom_objects: objects by name.
    """

    def __init__(self, custom_objects: Mapping[str, Any] | None) -> None:
        self.custom_objects = dict(custom_objects or {})
        self._tokens: list[Any] = []

    def __enter__(self) -> Self:
        self._tokens.append(_SCOPE.set({**_SCOPE.get(), **self.custom_objects}))
        return self

    def __exit__(self, *args: object) -> None:
        _SCOPE.reset(self._tokens.pop())


custom_object_scope = CustomObjectScope


@keras_export(["keras.saving.get_custom_objects", "keras.utils.get_custom_objects"])
def get_custom_objects() -> dict[str, Any]:
    """The table of registered objects; a name may be added to it directly."""
    return _CUSTOM


@keras_export(
    ["keras.saving.register_keras_serializable", "keras.utils.register_keras_serializable"]
)
def register_keras_serializable(
    package: str = "Custom", name: str | None = None
) -> Callable[[Registered], Registered]:
    """A decorator that gives a class or function the name `package>name` in files.

    Args:
        package: says whose name it is.
        name: None: that of the class or function.
    """

    def register(item: Registered) -> Registered:
        if inspect.isclass(item) and not hasattr(item, "get_config"):
            raise ValueError(
                f"Cannot register {item.__name__}: a class must have a `get_config()` method."
            )
        own = name if name is not None else getattr(item, "__name__", type(item).__name__)
        registered = f"{package}>{own}"
        _CUSTOM[registered] = item
        _NAMES[item] = registered
        return item

    return register


@keras_export(["keras.saving.get_registered_name", "keras.utils.get_registered_name"])
def get_registered_name(obj: Any) -> str:
    """The name that `obj` was registered under, or that of the class or function."""
    try:
        return _NAMES.get(obj) or str(obj.__name__)
    except TypeError:
        return str(obj.__name__)


@keras_export(["keras.saving.get_registered_object", "keras.utils.get_registered_object"])
def get_registered_object(
    name: str,
    custom_objects: Mapping[str, Any] | None = None,
    module_objects: Mapping[str, Any] | None = None,
) -> Any:
    """The object of a name, from the open scopes, the table, then the arguments; else None."""
    for table in (_SCOPE.get(), _CUSTOM, custom_objects or {}, module_objects or {}):
        if name in table:
            return table[name]
    return None
