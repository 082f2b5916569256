"""The decorator that makes a public op of a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from kgraph.ops._keras_tensor import KerasTensor, _is_symbolic
from kgraph.ops._operation import Operation
from kgraph.ops._operators import FUNCTIONS

__all__ = ["OPERATIONS", "FunctionOperation", "op"]

Implementation = TypeVar("Implementation", bound=Callable[..., Any])

OPERATIONS: dict[str, type[FunctionOperation]] = {}  # "numpy.Add" -> the class


class FunctionOperation(Operation):
    """A function of `keras.ops` as an operation; a subclass for each.

    The arguments that are tensors go to the call, all others to the constructor.
    """

    function: Callable[..., Any]
    tensor_names: tuple[str, ...] = ()
    attribute_names: tuple[str, ...] = ()

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        return object.__new__(cls)

    def __init__(self, *args: Any, name: str | None = None, **kwargs: Any) -> None:
        super().__init__(name=name)
        self.attributes = dict(zip(self.attribute_names, args, strict=False)) | kwargs
        unknown = sorted(set(self.attributes) - set(self.attribute_names))
        if unknown or len(args) > len(self.attribute_names):
            raise TypeError(
                f"{type(self).__name__} takes the arguments {list(self.attribute_names)}; got "
                f"{unknown or list(args)}"
            )

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """Runs the function."""
        return type(self).function(*args, **self.attributes, **kwargs)

    def get_config(self) -> dict[str, Any]:
        """The name and the attributes."""
        return {"name": self.name, **self.attributes}


def op(home: str, tensors: int = 1) -> Callable[[Implementation], Implementation]:
    """Makes a function a public op: on KerasTensors it records a node in place of running.

    Args:
        home: Keras's module and class, such as "numpy.Add": what model files call it.
        tensors: so many first parameters are tensors; the others are attributes.
    """

    def decorate(function: Implementation) -> Implementation:
        signature = inspect.signature(function)
        names = tuple(signature.parameters)
        module, class_name = home.rsplit(".", 1)
        variadic = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
        cls = type(
            class_name,
            (FunctionOperation,),
            {
                "__doc__": function.__doc__,
                "__module__": "kgraph.ops",
                "keras_module": f"keras.src.ops.{module}",
                "function": staticmethod(function),
                "tensor_names": names[:tensors],
                "attribute_names": names[tensors:],
            },
        )
        OPERATIONS.setdefault(home, cls)

        def record(args: Any, kwargs: Any) -> Any:
            if variadic:
                return cls(**kwargs).symbolic_call(*args)
            bound = signature.bind(*args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            operation = cls(**{n: given[n] for n in names[tensors:]})
            call = [given[n] for n in names[:tensors]]
            while len(call) > 1 and call[-1] is signature.parameters[names[len(call) - 1]].default:
                call.pop()
            return operation.symbolic_call(*call)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            for x in args:
                kind = type(x)
                if kind is KerasTensor or ((kind is list or kind is tuple) and _is_symbolic(x)):
                    return record(args, kwargs)
            if kwargs and any(_is_symbolic(x) for x in kwargs.values()):
                return record(args, kwargs)
            return function(*args, **kwargs)

        FUNCTIONS[function.__name__] = run
        return run  # type: ignore[return-value]  # it has the same signature

    return decorate
