"""Bodies of branches and loops: Python code traced into a function of its own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kgraph.ir import Function, Param, TensorType, Value
from kgraph.ops._dtypes import join
from kgraph.ops._keras_tensor import KerasTensor
from kgraph.ops._scope import current_trace
from kgraph.ops._signature import Template
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import EagerTrace, Region, Trace, opened
from kgraph.ops._variable import Variable
from kgraph.utils import tree

__all__ = ["Body", "as_number", "is_symbolic", "symbolic_trace", "union"]


def symbolic_trace() -> Trace | None:
    """The open trace, if Python code cannot see numbers in it."""
    trace = current_trace()
    return None if isinstance(trace, EagerTrace) else trace


def is_symbolic(x: Any) -> bool:
    """Is its number unknown while the open trace is made?"""
    return isinstance(x, Tensor | Variable | KerasTensor)


def as_number(x: Any) -> Any:
    """The only element of a concrete scalar."""
    array = x.numpy() if isinstance(x, Tensor | Variable) else np.asarray(x)
    if array.size != 1:
        raise TypeError(f"expected a scalar; got the shape {array.shape}")
    return array.reshape(()).item()


class Body:
    """Code that is traced apart, inside a trace.

    Attributes:
        region: its trace.
        params: its parameters, without captures.
        values: what it gives, flat.
        structure: how the code nested that.
    """

    def __init__(self, outer: Trace, carried: Sequence[Variable] = ()) -> None:
        self.region = Region(outer)
        self.params: list[Value] = []
        self.values: list[Value] = []
        self.structure: Any = None
        for variable in carried:
            type_ = TensorType(variable._shape, variable._dtype)
            self.region.assigned[variable] = self._param(variable.path, type_)

    def _param(self, label: str, type_: TensorType) -> Value:
        self.params.append(self.region.param(label, type_))
        return self.params[-1]

    def argument(self, type_: TensorType) -> Tensor:
        """A parameter, for the code."""
        return Tensor(self._param(f"x{len(self.params)}", type_), self.region)

    def run(self, function: Callable[..., Any], *args: Any) -> Body:
        """Traces the code."""
        with opened(self.region):
            outputs = function(*args)
            self.structure = tree.map_structure(self._leaf, outputs)
        return self

    def _leaf(self, x: Any) -> Any:
        if x is None:
            return None
        self.values.append(self.region.lift(x))
        return Template(len(self.values) - 1)

    def convert(self, index: int, type_: TensorType, what: str) -> None:
        """Brings a value to a type, or says why that cannot be."""
        value, b = self.values[index], self.region.b
        if value.type is type_:
            return
        own, wanted = value.type.shape, type_.shape
        fits = len(own) == len(wanted) and all(
            n == m or not (isinstance(n, int) and isinstance(m, int))
            for n, m in zip(own, wanted, strict=True)
        )
        if not fits or join(value.type.dtype, type_.dtype) != type_.dtype:
            raise TypeError(f"{what} must be {type_}, as before; got {value.type}")
        value = b.cast(value, type_.dtype)
        self.values[index] = value if own == wanted else b.assume_shape(value, wanted)

    def current(self, variable: Variable) -> Value:
        """The value that a variable has at the end of the body."""
        return self.region.read(variable)

    def function(self, captures: Sequence[Value], results: Sequence[Value]) -> Function:
        """The function of the parameters and then `captures`, values of the trace around it."""
        outer = [
            self.region.captures.get(v) or Param(f"c{i}", v.type).result
            for i, v in enumerate(captures)
        ]
        return Function((*self.params, *outer), tuple(self.region.b.ops), tuple(results))


def union(groups: Sequence[Any]) -> list[Any]:
    """All items of all groups once, in order."""
    return list(dict.fromkeys(item for group in groups for item in group))
