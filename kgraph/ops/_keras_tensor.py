"""Symbolic tensors of the Functional API, and how they remember where they come from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, TypeAlias

from kgraph.ops._dtypes import standardize_dtype
from kgraph.ops._operators import FUNCTIONS, Operators
from kgraph.utils import tree
from kgraph.utils.naming import auto_name

if TYPE_CHECKING:
    from kgraph.ops._operation import Operation

__all__ = [
    "Arguments",
    "KerasHistory",
    "KerasTensor",
    "Node",
    "any_symbolic_tensors",
    "is_keras_tensor",
    "standardize_shape",
]

KerasShape: TypeAlias = "tuple[int | None, ...]"


def standardize_shape(shape: Any) -> KerasShape:
    """A shape as a tuple of ints and None.

    Raises:
        ValueError: it is no sequence of sizes.
    """
    if shape is None or isinstance(shape, str) or not isinstance(shape, Iterable):
        raise ValueError(f"Cannot convert {shape!r} to a shape.")
    sizes: list[int | None] = []
    for size in shape:
        if size is None:
            sizes.append(None)
            continue
        try:
            number = size.__index__()
        except (AttributeError, TypeError):
            raise ValueError(
                f"Cannot convert {shape!r} to a shape: {size!r} is neither an int nor None."
            ) from None
        if number < 0:
            raise ValueError(f"Cannot convert {shape!r} to a shape: sizes are at least 0.")
        sizes.append(number)
    return tuple(sizes)


class KerasTensor(Operators):
    """A tensor of which shape and dtype are known, not yet any number.

    Ops and layers on KerasTensors compute nothing; they record nodes of a graph, of which a
    Functional model is made.

    Args:
        shape: sizes; None for those that are not known yet, such as the batch.
        dtype: the dtype.
        sparse, ragged: only False; there are no such tensors here.
        record_history: whether ops on it record nodes.
        name: a name; made up by default.
    """

    def __init__(
        self,
        shape: Any,
        dtype: Any = "float32",
        sparse: bool = False,
        ragged: bool = False,
        record_history: bool = True,
        name: str | None = None,
    ) -> None:
        if sparse or ragged:
            raise ValueError("kgraph has dense tensors only: `sparse` and `ragged` must be False.")
        self._shape = standardize_shape(shape)
        self._dtype = standardize_dtype(dtype)
        self.name = name or auto_name(type(self).__name__)
        self.record_history = record_history
        self.sparse = self.ragged = False
        self._keras_history: KerasHistory

    __eq__ = object.__eq__  # tensors are looked up in sets and lists of tensors
    __hash__ = object.__hash__

    @property
    def shape(self) -> KerasShape:
        """The sizes; None where not known."""
        return self._shape

    @property
    def dtype(self) -> str:
        """The name of the dtype."""
        return self._dtype

    @property
    def ndim(self) -> int:
        """The number of dims."""
        return len(self._shape)

    def reshape(self, newshape: Any) -> Any:
        """The elements in another shape."""
        return FUNCTIONS["reshape"](self, newshape)

    def squeeze(self, axis: Any = None) -> Any:
        """Without dims of size 1."""
        return FUNCTIONS["squeeze"](self, axis)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"

    def _refuse(self, what: str) -> NoReturn:
        raise TypeError(
            f"A KerasTensor cannot be {what}: it has a shape and a dtype but no numbers. Use "
            "functions of `keras.ops` or layers on it; for other code, write a layer and put the "
            "code into its `call`. In place of Python's control flow use ops.cond, ops.where, "
            f"ops.while_loop or ops.scan. Received: {self!r}"
        )

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        self._refuse("turned into a numpy array")

    def __int__(self) -> int:
        self._refuse("turned into an int")

    def __float__(self) -> float:
        self._refuse("turned into a float")

    def __bool__(self) -> NoReturn:  # noqa: PLE0304  # it never returns
        self._refuse("used as a bool")

    def __iter__(self) -> Any:
        self._refuse("iterated")


class KerasHistory(NamedTuple):
    """Which output of which call of which operation a KerasTensor is."""

    operation: Any
    node_index: int
    tensor_index: int


def is_keras_tensor(x: Any) -> bool:
    """Is it a KerasTensor?"""
    return isinstance(x, KerasTensor)


def any_symbolic_tensors(args: Any = None, kwargs: Any = None) -> bool:
    """Is there a KerasTensor among these arguments, nested ones included?"""
    return any(_is_symbolic(x) for x in args or ()) or any(
        _is_symbolic(x) for x in (kwargs or {}).values()
    )


def _is_symbolic(x: Any) -> bool:
    if isinstance(x, KerasTensor):
        return True
    if isinstance(x, list | tuple):
        return any(_is_symbolic(item) for item in x)
    return isinstance(x, dict) and any(_is_symbolic(item) for item in x.values())


class Arguments:
    """The arguments of a call, KerasTensors among them.

    Attributes:
        args, kwargs: as they were given, in structures of their own.
        keras_tensors: the KerasTensors, flat.
    """

    def __init__(self, args: Sequence[Any], kwargs: dict[str, Any]) -> None:
        self.args: Any = tree.map_structure(lambda x: x, tuple(args))
        self.kwargs: Any = tree.map_structure(lambda x: x, dict(kwargs))
        leaves = tree.flatten((self.args, self.kwargs))
        self.keras_tensors = [x for x in leaves if isinstance(x, KerasTensor)]

    def convert(self, function: Callable[[Any], Any]) -> tuple[Any, Any]:
        """`args` and `kwargs` with `function` of each leaf."""
        return tree.map_structure(function, self.args), tree.map_structure(function, self.kwargs)

    def fill_in(self, values: dict[int, Any]) -> tuple[Any, Any]:
        """`args` and `kwargs` with `values[id(x)]` in place of each KerasTensor x."""
        return self.convert(
            lambda x: values.get(id(x)) if isinstance(x, KerasTensor) else x,
        )


class Node:
    """One call of an operation on KerasTensors.

    Attributes:
        operation: what was called.
        arguments: with what.
        outputs: the KerasTensors that came out, flat.
        is_input: whether no KerasTensor went in.
    """

    def __init__(
        self,
        operation: Operation,
        call_args: Sequence[Any] = (),
        call_kwargs: dict[str, Any] | None = None,
        outputs: Any = None,
    ) -> None:
        self.operation = operation
        self.arguments = Arguments(call_args, call_kwargs or {})
        self.outputs: list[KerasTensor] = [] if outputs is None else tree.flatten(outputs)
        for x in self.outputs:
            if not isinstance(x, KerasTensor):
                raise ValueError(
                    f"All outputs of '{operation.name}' must be tensors; got {x!r}, of type "
                    f"{type(x).__name__}."
                )
        recorded = all(x.record_history for x in self.input_tensors)
        operation._inbound_nodes.append(self)
        for x in self.input_tensors:
            if recorded and not hasattr(x, "_keras_history"):
                x._keras_history = KerasHistory(None, 0, 0)
            history = getattr(x, "_keras_history", None)
            if history is not None and history.operation is not None:
                history.operation._outbound_nodes.append(self)
        if recorded:
            index = len(operation._inbound_nodes) - 1
            for i, x in enumerate(self.outputs):
                x._keras_history = KerasHistory(operation, index, i)
        self.is_input = not self.input_tensors

    def __repr__(self) -> str:
        return f"<Node of {self.operation.name}>"

    @property
    def input_tensors(self) -> list[KerasTensor]:
        """The KerasTensors that went in, flat."""
        return self.arguments.keras_tensors

    @property
    def output_tensors(self) -> list[KerasTensor]:
        """The KerasTensors that came out, flat."""
        return self.outputs

    @property
    def parent_nodes(self) -> list[Node]:
        """The calls that made the inputs."""
        histories = [x._keras_history for x in self.input_tensors]
        return [
            h.operation._inbound_nodes[h.node_index] for h in histories if h.operation is not None
        ]
