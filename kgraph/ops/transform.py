"""Functions of functions: compiled, traced, differentiated."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from kgraph.ir import Dim, Function, Size, TensorType, Value, dtype_name, parse_type, symbol
from kgraph.ops._convert import as_array
from kgraph.ops._dtypes import standardize_dtype
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._scope import current_trace
from kgraph.ops._signature import Symbolic
from kgraph.ops._step import Step
from kgraph.ops._tensor import Tensor, TraceError
from kgraph.ops._trace import Region, Trace, opened
from kgraph.ops._traced import described, filled_in, traced
from kgraph.passes.autodiff import gradients as append_gradients
from kgraph.utils import tree

__all__ = ["grad", "gradients", "jit", "jvp", "trace", "value_and_grad"]


def jit(
    fn: Callable[..., Any] | None = None,
    *,
    name: str = "",
    backend: str | None = None,
    symbolic_batch: bool = True,
    symbolic: Symbolic | None = None,
) -> Any:
    """Compiles a function of arrays; also a decorator, with or without arguments.

    The result takes arrays in nested tuples, lists and dicts, besides static Python values, and
    gives numpy arrays. It is a `Step`, which has the details.
    """
    if fn is None:
        return functools.partial(
            jit, name=name, backend=backend, symbolic_batch=symbolic_batch, symbolic=symbolic
        )
    return Step(fn, name=name, backend=backend, symbolic_batch=symbolic_batch, symbolic=symbolic)


def trace(fn: Callable[..., Any], *specs: Any, name: str = "") -> Function:
    """The graph of a function of tensors.

    Args:
        fn: a function over `kgraph.ops`.
        *specs: one per argument, in nested tuples, lists and dicts: a `TensorType`, an array, a
            KerasTensor, or a string such as "f32[batch,3]". None sizes are symbols: `batch` in dim
            0, fresh ones elsewhere.
        name: the function's; its own by default.

    Returns:
        The function: first the Variables that it reads, then the arguments; it gives the results,
        then the new values of the Variables that it assigns.
    """
    types: list[TensorType] = []

    def spec(x: Any) -> Any:
        types.append(_type_of(x, len(types)))
        return np.empty(())

    args = tree.map_structure(spec, specs)
    return traced(fn, args, types, {}, name or getattr(fn, "__name__", "")).function


def _type_of(spec: Any, number: int) -> TensorType:
    if isinstance(spec, TensorType):
        return spec
    if isinstance(spec, str):
        return parse_type(spec)
    shape = getattr(spec, "shape", None)
    if shape is None:
        array = as_array(spec)
        return TensorType(array.shape, dtype_name(array.dtype))
    sizes: list[Size] = []
    for k, n in enumerate(shape):
        if n is None:
            n = symbol("batch" if k == 0 else f"size{number}_{k}")
        sizes.append(n if isinstance(n, Dim) else int(n))
    return TensorType(tuple(sizes), standardize_dtype(spec.dtype))


def gradients(loss: Any, wrt: Sequence[Any]) -> list[Any]:
    """The gradients of a scalar with respect to tensors that it was computed from.

    Args:
        loss: a scalar of a float dtype, inside a trace.
        wrt: tensors of float dtypes, or Variables.

    Returns:
        A tensor for each, of its shape; zeros where the loss does not depend on it.

    Raises:
        NotDifferentiableError: an op on the way has no gradient.
    """
    context = current_trace()
    if context is None or not isinstance(loss, Tensor):
        raise TraceError(
            f"`gradients` works on tensors of an open trace; got {loss!r}. Use kgraph.grad or "
            "kgraph.value_and_grad on functions of arrays."
        )
    values = [context.lift(x) for x in wrt]
    return [context.wrap(g) for g in append_gradients(context.b, context.lift(loss), values)]


def value_and_grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives `fn`'s result and its gradient.

    Args:
        fn: gives a scalar of a float dtype; with `has_aux`, a pair of it and anything else.
        argnums: the argument to differentiate by, or several; each an array or a nested structure
            of arrays of float dtypes.
        has_aux: see `fn`.

    Returns:
        A function of the same arguments that gives `(result, gradient)`: the gradient has the
        structure of the argument; with several `argnums` there is a tuple of them. Called on
        arrays it runs op by op; `jit` makes one program of it.
    """

    @functools.wraps(fn)
    def run(*args: Any) -> Any:
        context = current_trace()
        if context is None:
            return eagerly(*args)
        return _differentiated(context, fn, args, argnums, has_aux)

    eagerly = Step(run, run_eagerly=True)
    return run


def grad(
    fn: Callable[..., Any], argnums: int | Sequence[int] = 0, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives the gradient of `fn`; with `has_aux` a pair of it and what `fn` adds.

    The arguments are those of `value_and_grad`.
    """
    both = value_and_grad(fn, argnums, has_aux)

    @functools.wraps(fn)
    def run(*args: Any) -> Any:
        value, gradient = both(*args)
        return (gradient, value[1]) if has_aux else gradient

    return run


def jvp(
    fun: Callable[..., Any], primals: Any, tangents: Any, has_aux: bool = False
) -> tuple[Any, ...]:
    """The result of a function, and how it changes when its arguments move along `tangents`.

    Args:
        fun: gives a tensor of a float dtype; with `has_aux`, a pair of it and anything else.
        primals: its arguments.
        tangents: of their shapes.
        has_aux: see `fun`.

    Returns:
        `(result, change)`, and what `fun` adds.
    """
    multiply, total = FUNCTIONS["multiply"], FUNCTIONS["sum"]
    result = fun(*primals)
    value = result[0] if has_aux else result

    def pulled(weights: Any) -> Any:
        """Linear in the weights: its gradient is the change, whatever they are."""

        def weighted(*args: Any) -> Any:
            found = fun(*args)
            return total(multiply(found[0] if has_aux else found, weights))

        slopes = grad(weighted, tuple(range(len(primals))))(*primals)
        parts = [total(multiply(g, t)) for g, t in zip(slopes, tangents, strict=True)]
        return functools.reduce(FUNCTIONS["add"], parts)

    change = grad(pulled)(FUNCTIONS["zeros_like"](value))
    return (value, change, result[1]) if has_aux else (value, change)


def _differentiated(
    outer: Trace, fn: Callable[..., Any], args: Any, argnums: int | Sequence[int], has_aux: bool
) -> Any:
    """Traces `fn` apart, so that what it closes over is constant, and puts the result in place."""
    numbers = [argnums] if isinstance(argnums, int) else list(argnums)
    region = Region(outer)
    given: list[Value] = []
    params: list[Value] = []

    def param(x: Any) -> Tensor:
        value = outer.lift(x)
        given.append(value)
        params.append(region.param(f"x{len(params)}", value.type))
        return Tensor(params[-1], region)

    with opened(region):
        wrt = {n: tree.map_structure(param, args[n]) for n in numbers}
        outputs = fn(*[wrt.get(n, x) for n, x in enumerate(args)])
        loss = outputs[0] if has_aux else outputs
        found = append_gradients(region.b, region.lift(loss), params)
        slopes = iter([Tensor(g, region) for g in found])
        grads = [tree.map_structure(lambda _: next(slopes), args[n]) for n in numbers]
        gradient = grads[0] if isinstance(argnums, int) else tuple(grads)
        values, structure = described(region, (outputs, gradient))
    results = placed(outer, region, values, dict(zip(params, given, strict=True)))
    return filled_in(structure, [outer.wrap(v) for v in results])


def placed(
    outer: Trace, region: Region, values: Sequence[Value], args: dict[Value, Value]
) -> list[Value]:
    """The ops of a region, appended to the trace around it; its values and assignments there."""
    inner = {param: value for value, param in region.captures.items()} | args
    results = (*values, *region.assigned.values())
    fn = Function(tuple(inner), tuple(region.b.ops), results)
    found = outer.b.inline(fn, list(inner.values()))
    for variable, value in zip(region.assigned, found[len(values) :], strict=True):
        outer.assign(variable, value)
    return list(found[: len(values)])
