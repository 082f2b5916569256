"""The built-in objects of one kind (losses, metrics, ...), found by the names users write."""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kgraph import registry
from kgraph.utils.naming import to_snake_case

__all__ = ["NamedObjects"]


class NamedObjects:
    """A table from names to classes and functions, with Keras's rules for reading an identifier.

    Args:
        kind: what the objects are, for messages ("loss").
        objects: classes and functions; each is known by its `__name__`.
        aliases: further names.
        snake_case: classes are known by their name in snake case too.
    """

    def __init__(
        self,
        kind: str,
        objects: Iterable[Any],
        aliases: Mapping[str, Any] | None = None,
        snake_case: bool = False,
    ) -> None:
        self.kind = kind
        self.table: dict[str, Any] = {}
        for value in objects:
            self.table[value.__name__] = value
            if snake_case:
                self.table[to_snake_case(value.__name__)] = value
        self.table.update(aliases or {})

    def find(self, name: str) -> Any:
        """Returns the class or function `name`, built in or registered; ValueError otherwise."""
        found = self.table.get(name)
        if found is None:
            found = registry.get_registered_object(name)
        if found is None:
            raise self.unknown(name)
        return found

    def unknown(self, name: object) -> ValueError:
        """Returns the error for an identifier that means nothing, with the nearest names."""
        message = f"Could not interpret {self.kind} identifier: {name!r}."
        if isinstance(name, str):
            by_folded = {known.lower(): known for known in self.table}
            near = difflib.get_close_matches(name.lower(), by_folded, n=3, cutoff=0.5)
            if near:
                message += f" Did you mean {' or '.join(repr(by_folded[n]) for n in near)}?"
            else:
                message += f" Known names: {', '.join(sorted(self.table))}."
        else:
            message += (
                f" Expected a name, a config, a callable or a {self.kind}; "
                f"got an object of type {type(name).__name__}."
            )
        return ValueError(message)

    def deserialize(self, config: Any, custom_objects: Mapping[str, Any] | None = None) -> Any:
        """Builds the object that `config` describes.

        A config that names its module goes to the registry; a bare name, or a dict of
        "class_name" and "config" alone, is read from this table (`custom_objects` first).
        """
        if config is None:
            return None
        if isinstance(config, Mapping):
            if config.get("module") or config.get("registered_name"):
                return registry.deserialize_keras_object(config, custom_objects=custom_objects)
            if not isinstance(config.get("class_name"), str):
                raise ValueError(
                    f"The config of a {self.kind} needs the key 'class_name', a string; "
                    f"got {dict(config)!r}."
                )
            name, inner = config["class_name"], config.get("config", {})
        else:
            name, inner = config, {}
        if custom_objects and name in custom_objects:
            found = custom_objects[name]
        else:
            found = self.find(name)
        if not inspect.isclass(found):
            return found
        from_config: Callable[[Any], Any] | None = getattr(found, "from_config", None)
        return from_config(dict(inner or {})) if from_config else found(**(inner or {}))

    def get(self, identifier: Any) -> Any:
        """Turns None, a name, a config, a class or a callable into a callable (or None)."""
        if identifier is None:
            return None
        if isinstance(identifier, Mapping):
            found = self.deserialize(identifier)
        elif isinstance(identifier, str):
            found = self.find(identifier)
        else:
            found = identifier
        if inspect.isclass(found):
            found = found()
        if not callable(found):
            raise self.unknown(identifier)
        return found
