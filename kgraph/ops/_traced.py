"""One trace of a Python function: a pure Function, and how its results go back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kgraph.ir import Function, TensorType, Value, bind_type
from kgraph.ops._signature import Template, rebuild
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import Trace, opened
from kgraph.ops._variable import Variable
from kgraph.utils import tree

__all__ = ["Traced", "described", "filled_in", "traced"]


@dataclass(frozen=True)
class Traced:
    """A traced function and what surrounds it.

    Attributes:
        function: `(state, inputs) -> (results, new state)`.
        variables: those that hold the state, in order.
        replaced: result -> the number of the variable that takes it.
        outputs: the structure of what the Python code returned, Templates in place of tensors.
        checks: functions, and the numbers of the inputs that they look at before each run.
    """

    function: Function
    variables: tuple[Variable, ...]
    replaced: dict[int, int]
    outputs: Any
    checks: tuple[tuple[Callable[..., None], tuple[int, ...]], ...]


def traced(
    fn: Callable[..., Any],
    args: Any,
    types: Sequence[TensorType],
    sizes: dict[str, int],
    name: str,
    sizes_at_hand: bool = False,
) -> Traced:
    """Traces `fn` on arguments like `args`, arrays replaced by tensors of the types.

    Args:
        fn: the function.
        args: its arguments.
        types: of the arrays in them.
        sizes: numbers for symbols of the types.
        name: the function's.
        sizes_at_hand: whether the numbers of all symbols can be had by asking for them.

    Raises:
        SizeNeededError: Python needs the number of a symbolic size.
    """
    trace = Trace()
    trace.sizes, trace.sizes_at_hand = sizes, sizes_at_hand
    inputs = [
        trace.param(f"x{i}", bind_type(t, sizes) if sizes else t) for i, t in enumerate(types)
    ]
    with opened(trace):
        outputs = fn(*rebuild(args, [Tensor(v, trace) for v in inputs], [0]))
        values, structure = described(trace, outputs)
        function, variables, assigned = trace.finish(inputs, values, name)
    places = {v: i for i, v in enumerate(variables)}
    replaced = {len(values) + k: places[v] for k, v in enumerate(assigned)}
    numbers = {value: i for i, value in enumerate(inputs)}
    checks = tuple(
        (check, tuple(numbers[v] for v in looked_at))
        for check, looked_at in trace.checks
        if all(v in numbers for v in looked_at)
    )
    return Traced(function, tuple(variables), replaced, structure, checks)


def described(trace: Trace, outputs: Any) -> tuple[list[Value], Any]:
    """The values in what traced code returned, and its structure with Templates for them."""
    values: list[Value] = []

    def leaf(x: Any) -> Any:
        if isinstance(x, Tensor | Variable | np.ndarray):
            values.append(trace.lift(x))
            return Template(len(values) - 1)
        return x

    return values, tree.map_structure(leaf, outputs)


def filled_in(structure: Any, results: Sequence[Any]) -> Any:
    """The structure with results in place of Templates."""
    kind = type(structure)
    if kind is Template:
        return results[structure.index]
    if kind is dict:
        return {name: filled_in(item, results) for name, item in structure.items()}
    if kind is tuple or kind is list:
        return kind([filled_in(item, results) for item in structure])
    return tree.map_structure(
        lambda x: results[x.index] if isinstance(x, Template) else x, structure
    )
