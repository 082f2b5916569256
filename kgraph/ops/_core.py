"""Conversions, shapes, and what is no array mathematics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kgraph.ir import Array, Dim, Size, numpy_dtype
from kgraph.ops._common import entered
from kgraph.ops._convert import as_array
from kgraph.ops._dispatch import op
from kgraph.ops._dtypes import standardize_dtype
from kgraph.ops._keras_tensor import KerasTensor
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import dtype_of
from kgraph.ops._scope import here
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import EAGER, context_of
from kgraph.ops._variable import Variable

__all__ = [
    "assume_shape", "cast", "check_inputs", "convert_to_numpy", "convert_to_tensor", "dtype",
    "is_tensor", "ndim", "saturate_cast", "shape", "size", "stop_gradient",
]  # fmt: skip


@op("core.Cast")
def cast(x: Any, dtype: Any) -> Any:
    """The elements in another dtype."""
    context, value = entered(x, standardize_dtype(dtype))
    return context.wrap(value)


@op("core.SaturateCast")
def saturate_cast(x: Any, dtype: Any) -> Any:
    """The elements in another dtype; what lies outside of its range becomes its nearest number."""
    wanted = numpy_dtype(standardize_dtype(dtype))
    if wanted.kind in "iu":
        info = np.iinfo(wanted)
        x = FUNCTIONS["clip"](x, float(info.min), float(info.max))
        largest = FUNCTIONS["greater_equal"](x, float(info.max))
        return FUNCTIONS["where"](largest, as_array(info.max, wanted.name), cast(x, dtype))
    return cast(x, dtype)


@op("core.ConvertToTensor")
def convert_to_tensor(x: Any, dtype: Any = None, sparse: Any = None, ragged: Any = None) -> Any:
    """An array, number, list, variable or tensor as ops give them: an array, or a Tensor.

    Raises:
        TypeError: it is nothing of the kind.
    """
    if isinstance(x, list | tuple) and any_tensor(x):
        x = FUNCTIONS["stack"]([convert_to_tensor(item, dtype) for item in x])
    if type(x) is Tensor and (dtype is None or standardize_dtype(dtype) == x.dtype):
        context_of((x,))  # is it still alive?
        return x
    context, value = entered(x, None if dtype is None else standardize_dtype(dtype))
    return context.wrap(value)


def any_tensor(x: Any) -> bool:
    """Is there a tensor, a variable or a size in a nested list?"""
    if isinstance(x, list | tuple):
        return any(any_tensor(item) for item in x)
    return isinstance(x, Tensor | Variable | Dim)


def convert_to_numpy(x: Any) -> Array:
    """The numbers, as an array of the caller's own.

    Raises:
        TypeError: they are not known: x is a KerasTensor, or belongs to a program that is traced.
    """
    if isinstance(x, Tensor | Variable):
        return x.numpy()
    if isinstance(x, KerasTensor):
        x.__array__()
    return EAGER.wrap(EAGER.lift(x))


def is_tensor(x: Any) -> bool:
    """Is it what ops give: an array or a Tensor?"""
    return isinstance(x, Tensor | np.ndarray | np.generic)


def shape(x: Any) -> tuple[Any, ...]:
    """The sizes: ints, Dims where only the running program knows them, None of a KerasTensor."""
    found = getattr(x, "shape", None)
    return as_array(x).shape if found is None else tuple(found)


def dtype(x: Any) -> str:
    """The name of the dtype."""
    if isinstance(x, KerasTensor):
        return x.dtype
    return dtype_of(x)


@op("numpy.Size")
def size(x: Any) -> Any:
    """The number of elements: an int, or a Dim where only the running program knows it."""
    total: Size = 1
    for n in shape(x):
        total = total * n
    return total


@op("numpy.Ndim")
def ndim(x: Any) -> int:
    """The number of dims."""
    return len(shape(x))


@op("core.StopGradient")
def stop_gradient(variable: Any) -> Any:
    """The same numbers, through which no gradient goes."""
    context, value = entered(variable)
    return context.wrap(context.b.stop_gradient(value))


def check_inputs(check: Callable[..., None], *inputs: Any) -> None:
    """Has `check` called on the numbers of `inputs` before each run of the program.

    `check` raises where they are bad, so that a step on bad data changes nothing. Only arguments of
    the traced function can be looked at so early; with others there is no check.
    """
    if here.traces:
        here.traces[-1].check(check, inputs)
    else:
        check(*[as_array(x) for x in inputs])


def assume_shape(x: Any, sizes: Sequence[Size]) -> Any:
    """x with sizes that cannot be told from the code; the program checks them at its entry."""
    context, value = entered(x)
    wanted = tuple(sizes)
    return x if value.type.shape == wanted else context.wrap(context.b.assume_shape(value, wanted))
