"""Operations: what can be called on KerasTensors and leaves a node in their graph."""

from __future__ import annotations

import inspect
from typing import Any

from kgraph.ops._keras_tensor import KerasTensor, Node, any_symbolic_tensors
from kgraph.ops._spec import compute_output_spec
from kgraph.utils import tree
from kgraph.utils.naming import auto_name

__all__ = ["Operation"]

_PLAIN = (str, int, float, bool, type(None))


class Operation:
    """Base of everything with a `call`: functions of `keras.ops`, layers, models.

    Called on KerasTensors it records a node and gives KerasTensors; otherwise it runs `call`.

    Args:
        name: a name without "/"; made from the class's by default.
    """

    _auto_config: dict[str, Any] | None = None

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__new__(cls)
        object.__setattr__(instance, "_auto_config", _plain_arguments(cls, args, kwargs))
        return instance

    def __init__(self, name: str | None = None) -> None:
        if name is None:
            name = auto_name(type(self).__name__)
        if not isinstance(name, str) or "/" in name:
            raise ValueError(
                f"Argument `name` must be a string without '/'; got {name!r}, of type "
                f"{type(name).__name__}."
            )
        self.name = name
        self._inbound_nodes: list[Node] = []
        self._outbound_nodes: list[Node] = []

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Runs `call`, or records a node where an argument is a KerasTensor."""
        if any_symbolic_tensors(args, kwargs):
            return self.symbolic_call(*args, **kwargs)
        return self.call(*args, **kwargs)

    def symbolic_call(self, *args: Any, **kwargs: Any) -> Any:
        """Records a node; returns KerasTensors in the structure of the outputs."""
        outputs = self.compute_output_spec(*args, **kwargs)
        Node(operation=self, call_args=args, call_kwargs=kwargs, outputs=outputs)
        return outputs

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """What the operation computes."""
        raise NotImplementedError(f"{type(self).__name__} must implement `call`.")

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """KerasTensors with the shapes and dtypes of the outputs; by tracing `call`."""
        return compute_output_spec(self.call, *args, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """What `from_config` makes an equal operation of: the name and the constructor's arguments.

        Raises:
            NotImplementedError: an argument is nothing that JSON can hold, and the class does not
                override this method.
        """
        config: dict[str, Any] = {"name": self.name}
        if type(self).get_config is not Operation.get_config:
            return config  # called by an override
        if self._auto_config is None:
            raise NotImplementedError(
                f"{type(self).__name__} was made with arguments that cannot be stored as they are: "
                "it must override `get_config()`."
            )
        config.update(self._auto_config)
        parameters = inspect.signature(self.__init__).parameters  # type: ignore[misc]  # of this class
        takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
        if "name" not in parameters and not takes_any:
            del config["name"]
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The operation that `get_config` described.

        Raises:
            TypeError: the config does not fit the constructor.
        """
        try:
            return cls(**config)
        except Exception as error:
            raise TypeError(
                f"{cls.__name__} cannot be made from its config: {error} (config={config})"
            ) from error

    @property
    def input(self) -> Any:
        """The input of the first call on KerasTensors: one, or a list."""
        return self._tensors_of_first_node("input_tensors", "input")

    @property
    def output(self) -> Any:
        """The output of the first call on KerasTensors: one, or a list."""
        return self._tensors_of_first_node("output_tensors", "output")

    def _tensors_of_first_node(self, attribute: str, what: str) -> Any:
        if not self._inbound_nodes:
            raise AttributeError(
                f"'{self.name}' has never been called on a KerasTensor: it has no {what}."
            )
        tensors: list[KerasTensor] = getattr(self._inbound_nodes[0], attribute)
        return tensors[0] if len(tensors) == 1 else tensors


def _plain_arguments(
    cls: type[Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> dict[str, Any] | None:
    """The constructor's arguments by name, if JSON can hold all of them."""
    signature = inspect.signature(cls.__init__)
    kinds = {p.kind for p in signature.parameters.values()}
    try:
        bound = signature.bind(None, *args, **kwargs)
    except TypeError:  # the constructor will say so
        return None
    if inspect.Parameter.POSITIONAL_ONLY in kinds:
        return None
    bound.apply_defaults()
    found = dict(bound.arguments)
    found.pop(next(iter(signature.parameters)))
    for parameter in signature.parameters.values():
        if parameter.kind is parameter.VAR_KEYWORD:
            found.update(found.pop(parameter.name, {}))
        elif parameter.kind is parameter.VAR_POSITIONAL and found.pop(parameter.name, ()):
            return None
    found.pop("name", None)
    leaves = tree.flatten(found)
    return found if all(isinstance(leaf, _PLAIN) for leaf in leaves) else None
