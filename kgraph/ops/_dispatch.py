"""The decorator that makes a public op of a function."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypeVar

from kgraph.ops._keras_tensor import KerasTensor, _is_symbolic
from kgraph.ops._operation import Operation
from kgraph.ops._operators import FUNCTIONS
from kgraph.registry import keras_export

__all__ = ["OPERATIONS", "FunctionOperation", "op"]

Implementation = TypeVar("Implementation", bound=Callable[..., Any])

OPERATIONS: dict[str, type[FunctionOperation]] = {}  # "numpy.Add" -> the class


class FunctionOperation(Operation):
    """A function of `keras.ops` as an operation; a subclass for each.

    The arguments that are tensors go to the call, all others to the constructor.
    """

    function: Callable[..., Any]
    tensor_names: tuple[str, ...] = ()  # of the call
    attribute_names: tuple[str, ...] = ()  # of the constructor
    rest_name: str | None = None  # of what `*` takes

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
        cls = type(self)
        if cls.rest_name is None:
            given = dict(zip(cls.tensor_names, args, strict=False))
            return cls.function(**given, **self.attributes, **kwargs)
        count = len(cls.tensor_names)
        given = dict(zip(cls.tensor_names, args, strict=False)) | self.attributes | kwargs
        first, named = [], {}
        for parameter in inspect.signature(cls.function).parameters.values():
            if parameter.name in given:
                if parameter.kind is parameter.KEYWORD_ONLY:
                    named[parameter.name] = given[parameter.name]
                else:
                    first.append(given[parameter.name])
        return cls.function(*first, *args[count:], **named)

    def get_config(self) -> dict[str, Any]:
        """The name and the attributes."""
        return {"name": self.name, **self.attributes}


def op(
    home: str = "", tensors: int | tuple[str, ...] = 1
) -> Callable[[Implementation], Implementation]:
    """Makes a function a public op: on KerasTensors it records a node in place of running.

    Args:
        home: Keras's module and class, such as "numpy.Add": what model files call it. "": the
            function takes no tensors.
        tensors: so many first parameters are tensors, or the parameters with these names; the
            others are attributes.
    """

    def decorate(function: Implementation) -> Implementation:
        if not home:
            FUNCTIONS[function.__name__] = function
            return function
        cls = _operation_class(home, function, tensors)
        OPERATIONS[home] = keras_export(f"keras.src.ops.{home}")(cls)

        @functools.wraps(function)
        def run(*args: Any, **kwargs: Any) -> Any:
            for x in args:
                kind = type(x)
                if kind is KerasTensor or ((kind is list or kind is tuple) and _is_symbolic(x)):
                    return _record(cls, args, kwargs)
            if kwargs and any(_is_symbolic(x) for x in kwargs.values()):
                return _record(cls, args, kwargs)
            return function(*args, **kwargs)

        FUNCTIONS[function.__name__] = run
        return run  # type: ignore[return-value]  # it has the same signature

    return decorate


def _operation_class(
    home: str, function: Callable[..., Any], tensors: int | tuple[str, ...]
) -> type[FunctionOperation]:
    # What `inspect.signature` says, which takes 20 us: hundreds of functions come here on import.
    code = function.__code__
    count = code.co_argcount + code.co_kwonlyargcount
    names, rest = code.co_varnames[:count], code.co_varnames[count : count + 1]
    chosen = tuple(names[:tensors]) if isinstance(tensors, int) else tensors
    fields = {
        "__doc__": function.__doc__,
        "__module__": "kgraph.ops",
        "function": staticmethod(function),
        "tensor_names": chosen,
        "attribute_names": tuple(n for n in names if n not in chosen),
        "rest_name": rest[0] if code.co_flags & inspect.CO_VARARGS else None,
    }
    return type(home.rpartition(".")[2], (FunctionOperation,), fields)


def _record(cls: type[FunctionOperation], args: Any, kwargs: Any) -> Any:
    """The operation with the attributes among the arguments, called on the tensors among them."""
    signature = inspect.signature(cls.function)
    bound = signature.bind(*args, **kwargs)
    bound.apply_defaults()
    given = bound.arguments
    operation = cls(**{n: given[n] for n in cls.attribute_names})
    call = [given[n] for n in cls.tensor_names]
    if extra := given.get("axes_lengths"):  # only `rearrange` takes any keyword
        return operation.symbolic_call(*call, **extra)
    if cls.rest_name is not None:
        return operation.symbolic_call(*call, *given[cls.rest_name])
    while (
        len(call) > 1 and call[-1] is signature.parameters[cls.tensor_names[len(call) - 1]].default
    ):
        call.pop()  # a file says nothing about what was left out
    return operation.symbolic_call(*call)
