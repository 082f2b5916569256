"""How the arguments of a call fall on the parameters of a layer's `call`."""

import inspect
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from kgraph.ops import KerasTensor, Tensor, Variable
from kgraph.utils import tree

__all__ = ["CallSpec", "is_tensor_like", "shape_of", "signature_of", "specs_of"]


@lru_cache(maxsize=4096)
def signature_of(function: Callable[..., Any]) -> inspect.Signature:
    """`inspect.signature`, which is slow, once per function."""
    return inspect.signature(function)


def is_tensor_like(x: Any) -> bool:
    """Is it an array or tensor of any kind?"""
    return isinstance(x, Tensor | KerasTensor | Variable) or (
        hasattr(x, "shape") and hasattr(x, "dtype")
    )


def shape_of(x: Any) -> Any:
    """Shapes with None for unknown sizes, in the structure of `x`."""
    return tree.map_structure(
        lambda leaf: (
            tuple(d if isinstance(d, int) else None for d in leaf.shape)
            if is_tensor_like(leaf)
            else None
        ),
        x,
    )


def specs_of(shapes: Any, dtype: str) -> Any:
    """KerasTensors of shapes, in their structure."""
    if isinstance(shapes, list | tuple) and all(d is None or isinstance(d, int) for d in shapes):
        return KerasTensor(shapes, dtype)
    if isinstance(shapes, dict):
        return {key: specs_of(shape, dtype) for key, shape in shapes.items()}
    if isinstance(shapes, list | tuple):
        return type(shapes)(specs_of(shape, dtype) for shape in shapes)
    raise ValueError(f"Expected a shape or a structure of shapes; got {shapes!r}.")


class CallSpec:
    """The arguments of one call.

    Attributes:
        arguments: all arguments by name, defaults included.
        given: the names of those that the caller gave.
        tensor_names: the names of arguments that are tensors or structures of them, in order.
        first: the first argument.
    """

    def __init__(
        self, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None:
        signature = signature_of(call)
        bound = signature.bind(None, *args, **kwargs)
        names = list(signature.parameters)[1:]
        self.given = {name for name in bound.arguments if name in names}
        bound.apply_defaults()
        found = dict(list(bound.arguments.items())[1:])
        for parameter in signature.parameters.values():
            if parameter.kind is parameter.VAR_KEYWORD:
                found.update(found.pop(parameter.name, {}))
        self.arguments: dict[str, Any] = found
        self.tensor_names = [name for name, value in found.items() if _has_tensors(value)]
        self.first: Any = (
            found[self.tensor_names[0]] if self.tensor_names else next(iter(found.values()), None)
        )

    def shapes(self) -> dict[str, Any]:
        """The shape of each tensor argument, under the parameter's name."""
        return {name: shape_of(self.arguments[name]) for name in self.tensor_names}


def _has_tensors(value: Any) -> bool:
    leaves = tree.flatten(value)
    return (
        bool(leaves)
        and any(is_tensor_like(leaf) for leaf in leaves)
        and all(leaf is None or is_tensor_like(leaf) for leaf in leaves)
    )
