"""Shapes and dtypes of results without numbers, by tracing with symbolic sizes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kgraph.ir import Size, SizeNeededError, TensorType, symbol
from kgraph.ops._keras_tensor import KerasTensor
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import SpecTrace, opened
from kgraph.utils import tree

__all__ = ["compute_output_spec"]

# What a size is taken to be where `call` needs its number: two traces with different numbers tell
# the sizes that depend on it from those that do not.
_STAND_INS = (83, 89)


def compute_output_spec(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Traces `function` with KerasTensors among its arguments; its results as KerasTensors.

    Each None is a symbol: that of dim 0 is the batch, shared by all arguments, every other one a
    symbol of its own.
    """
    needed: set[str] = set()
    while True:
        try:
            first = second = _results(function, args, kwargs, dict.fromkeys(needed, _STAND_INS[0]))
            if needed:
                second = _results(function, args, kwargs, dict.fromkeys(needed, _STAND_INS[1]))
        except SizeNeededError as error:
            if needed >= set(error.symbols):
                raise
            needed.update(error.symbols)
            continue
        except Exception as error:
            if needed:
                error.add_note(f"{_STAND_INS[0]} stands for a size that only data will tell.")
            raise
        return tree.map_structure(_described, first, second)


def _results(function: Callable[..., Any], args: Any, kwargs: Any, sizes: dict[str, int]) -> Any:
    trace = SpecTrace()
    count = 0

    def argument(x: Any) -> Any:
        nonlocal count
        if not isinstance(x, KerasTensor):
            return x
        shape: list[Size] = []
        for k, size in enumerate(x.shape):
            name = "batch"
            if size is None and k > 0:
                count += 1
                name = f"size{count}"
            shape.append((sizes.get(name) or symbol(name)) if size is None else size)
        return Tensor(trace.param(x.name, TensorType(tuple(shape), x.dtype)), trace)

    with opened(trace):
        converted, named = (tree.map_structure(argument, part) for part in (args, kwargs))
        return function(*converted, **named)


def _described(x: Any, y: Any) -> Any:
    """The KerasTensor of a result, from what two traces gave."""
    if x is None or not hasattr(x, "shape"):
        return x
    sizes = [
        n if isinstance(n, int) and n == m else None for n, m in zip(x.shape, y.shape, strict=True)
    ]
    return KerasTensor(sizes, x.dtype)
