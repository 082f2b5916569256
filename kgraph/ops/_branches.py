"""Choosing between pieces of code while the program runs, and gradients that the user writes."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from kgraph.ir import Function, TensorType, Value
from kgraph.ops._dispatch import op
from kgraph.ops._dtypes import join
from kgraph.ops._logic import truth
from kgraph.ops._promote import broadcast_shapes
from kgraph.ops._regions import Body, as_number, is_symbolic, symbolic_trace, union
from kgraph.ops._scope import current_location, current_trace
from kgraph.ops._signature import Template
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import Trace
from kgraph.ops._traced import filled_in
from kgraph.utils import tree

__all__ = ["cond", "custom_gradient", "switch"]


@op("core.Cond", 3)
def cond(pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """`true_fn()` or `false_fn()`, as the program finds `pred` to be.

    Args:
        pred: a scalar. Where its number is known, only the chosen function is called at all.
        true_fn, false_fn: functions without arguments that give tensors in the same structure, of
            the same shapes. They may read and assign Variables.

    Raises:
        TypeError: the two give different things.
    """
    outer = symbolic_trace()
    if outer is None or not is_symbolic(pred):
        return true_fn() if as_number(pred) else false_fn()
    outer.b.location = current_location()
    flag = truth(outer, pred)
    if flag.type.rank:
        flag = outer.b.reshape(flag, ())
    bodies = [Body(outer).run(f) for f in (true_fn, false_fn)]

    def make(captures: tuple[Value, ...], functions: list[Any]) -> Any:
        return outer.b.if_(flag, captures, *functions)

    return _joined(outer, bodies, make, ("true_fn", "false_fn"))


@op("core.Switch", 2)
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """The branch with this index, clamped to the branches that there are.

    Args:
        index: an integer scalar.
        branches: functions of the operands that give tensors in the same structure.
        *operands: anything.
    """
    outer = symbolic_trace()
    count = len(branches)
    if outer is None or not is_symbolic(index):
        return branches[min(max(int(as_number(index)), 0), count - 1)](*operands)
    outer.b.location = current_location()
    number = outer.lift(index, "int32")
    b = outer.b
    bounds = b.constant(0, "int32"), b.constant(count - 1, "int32")
    clamped = b.clamp(bounds[0], b.reshape(number, ()) if number.type.rank else number, bounds[1])
    bodies = [Body(outer).run(f, *operands) for f in branches]

    def make(captures: tuple[Value, ...], functions: list[Any]) -> Any:
        return b.case(clamped, captures, tuple(functions))

    return _joined(outer, bodies, make, [f"branch {i}" for i in range(count)])


def _joined(
    outer: Trace,
    bodies: list[Body],
    make: Callable[[tuple[Value, ...], list[Any]], Any],
    names: Sequence[str],
) -> Any:
    """The op over all bodies, once they give the same types and assign the same variables."""
    first = bodies[0]
    for body, name in zip(bodies, names, strict=True):
        try:
            tree.assert_same_structure(first.structure, body.structure)
            same = len(first.values) == len(body.values)
        except ValueError:
            same = False
        if not same:
            raise TypeError(
                f"{names[0]} and {name} must give the same structure of tensors; got "
                f"{_shown(first)} and {_shown(body)}"
            )
    for i in range(len(first.values)):
        given = [body.values[i].type for body in bodies]
        dtype = functools.reduce(join, [t.dtype for t in given])
        try:
            shape = broadcast_shapes(*[t.shape for t in given])
        except ValueError:
            shape = given[0].shape
        for body, name in zip(bodies, names, strict=True):
            body.convert(i, TensorType(shape, dtype), f"result {i} of {name}")
    assigned = union([body.region.assigned for body in bodies])
    results = [[*body.values, *[body.current(v) for v in assigned]] for body in bodies]
    captures = union([body.region.captures for body in bodies])
    functions = [body.function(captures, r) for body, r in zip(bodies, results, strict=True)]
    found = make(tuple(captures), functions)
    values = found if isinstance(found, tuple) else (found,)
    for variable, value in zip(assigned, values[len(first.values) :], strict=True):
        outer.assign(variable, value)
    return filled_in(first.structure, [outer.wrap(v) for v in values[: len(first.values)]])


def _shown(body: Body) -> Any:
    types = [v.type for v in body.values]
    return tree.map_structure(
        lambda x: types[x.index] if isinstance(x, Template) else x, body.structure
    )


def custom_gradient(f: Callable[..., Any]) -> Callable[..., Any]:
    """A decorator: the gradient of the function is the one that it gives itself.

    Args:
        f: takes tensors and returns `(outputs, grad)`; `grad(*args, upstream=g)` (or `grad(g)`)
            takes the gradients of the outputs and returns one for each tensor that `f` took.
    """

    @functools.wraps(f)
    def run(*args: Any) -> Any:
        outer = current_trace()
        if outer is None or not any(
            isinstance(leaf, Tensor) or is_symbolic(leaf) for leaf in tree.flatten(args)
        ):
            return f(*args)[0]
        return _with_gradient(outer, f, args)

    return run


def _with_gradient(outer: Trace, f: Callable[..., Any], args: Any) -> Any:
    outer.b.location = current_location()
    given: list[Value] = []

    def note(x: Any) -> Any:
        given.append(outer.lift(x))
        return Template(len(given) - 1)

    shape = tree.map_structure(note, args)
    forward = Body(outer)
    forward.run(lambda: f(*filled_in(shape, [forward.argument(v.type) for v in given]))[0])
    backward = Body(outer)

    def gradient() -> Any:
        inputs = [backward.argument(v.type) for v in given]
        slopes = [backward.argument(v.type) for v in forward.values]
        grad = f(*filled_in(shape, inputs))[1]
        found = _call_gradient(grad, filled_in(forward.structure, slopes))
        return found if isinstance(found, tuple | list) else (found,)

    backward.run(gradient)
    if len(backward.values) != len(given):
        raise TypeError(
            f"the gradient of {getattr(f, '__name__', f)} must give one tensor for each of its "
            f"{len(given)} arguments; got {len(backward.values)}"
        )
    for i, value in enumerate(given):
        backward.convert(i, value.type, f"gradient {i}")
    return _custom_vjp(outer, given, forward, backward)


def _call_gradient(grad: Callable[..., Any], upstream: Any) -> Any:
    """As Keras's backends call it: positionally."""
    return grad(*upstream) if isinstance(upstream, tuple | list) else grad(upstream)


def _custom_vjp(outer: Trace, given: list[Value], forward: Body, backward: Body) -> Any:
    """Values that the code closes over become inputs too, with the gradient 0."""
    captures = union([forward.region.captures, backward.region.captures])
    first = forward.function(captures, forward.values)
    second = backward.function(captures, backward.values)
    n = len(given)
    zeros = [backward.region.b.splat(0, v.type) for v in captures]
    order = (
        *second.params[:n],
        *second.params[len(backward.params) :],
        *second.params[n : len(backward.params)],
    )
    second = Function(order, tuple(backward.region.b.ops), (*backward.values, *zeros))
    found = outer.b.custom_vjp((*given, *captures), first, second)
    values = found if isinstance(found, tuple) else (found,)
    return filled_in(forward.structure, [outer.wrap(v) for v in values])
