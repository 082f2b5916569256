"""Loops that the program runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kgraph.ir import INTEGERS, Dim, Size, TensorType, Value, is_float, is_nonnegative
from kgraph.ir.ops.control import Scan
from kgraph.ops._dispatch import op
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._regions import Body, as_number, is_symbolic, symbolic_trace, union
from kgraph.ops._scope import current_location
from kgraph.ops._signature import Template
from kgraph.ops._trace import Trace
from kgraph.ops._traced import filled_in
from kgraph.ops._variable import Variable
from kgraph.utils import tree

__all__ = ["associative_scan", "fori_loop", "map", "scan", "vectorized_map", "while_loop"]


class _Carry:
    """Values that go around a loop, and the structure in which the code sees them."""

    def __init__(self, outer: Trace, init: Any) -> None:
        self.values: list[Value] = []
        self.weak: list[bool] = []

        def note(x: Any) -> Any:
            if x is None:
                return None
            self.weak.append(isinstance(x, int | float) and not isinstance(x, bool))
            self.values.append(outer.lift(x))
            return Template(len(self.values) - 1)

        self.structure = tree.map_structure(note, init)

    def arguments(self, body: Body) -> Any:
        """Parameters of a body, in the structure."""
        return filled_in(self.structure, [body.argument(v.type) for v in self.values])

    def adapt(self, outer: Trace, body: Body, given: Any, what: str) -> bool:
        """Brings what the body gives to the carries' types; True if a number's type had to change.

        `given` is the structure of the values that are carries: the first ones.
        """
        try:
            tree.assert_same_structure(self.structure, given)
        except ValueError as error:
            raise TypeError(
                f"{what} must keep the structure of the loop's values: {error}"
            ) from None
        changed = False
        for i, value in enumerate(self.values):
            got, own = body.values[i].type.dtype, value.type.dtype
            if got != own and self.weak[i] and (is_float(got) or got in INTEGERS):
                self.values[i] = outer.b.cast(value, got)
                self.weak[i], changed = False, True
            elif not changed:
                body.convert(i, value.type, f"value {i} that {what} gives")
        return changed


def _traced_until_stable(
    outer: Trace,
    carry: _Carry,
    make: Callable[[list[Variable]], Body],
    part: Callable[[Any], Any],
    what: str,
) -> tuple[Body, list[Variable]]:
    """Traces a body again as long as it assigns variables, or changes types, not foreseen."""
    assigned: list[Variable] = []
    while True:
        body = make(assigned)
        found = union([assigned, body.region.assigned])
        changed = carry.adapt(outer, body, part(body.structure), what)
        if len(found) == len(assigned) and not changed:
            return body, assigned
        assigned = found


@op("core.WhileLoop", ("loop_vars",))
def while_loop(
    cond: Callable[..., Any],
    body: Callable[..., Any],
    loop_vars: Any,
    maximum_iterations: int | None = None,
) -> Any:
    """Replaces `loop_vars` by `body(*loop_vars)` as long as `cond(*loop_vars)` holds.

    Args:
        cond: gives a bool scalar.
        body: gives new values, in the structure, shapes and dtypes of the old ones.
        loop_vars: a tuple or list of tensors or nested structures, or a single one.
        maximum_iterations: a bound on the number of runs.

    Returns:
        The last values. A while loop has no reverse-mode gradient: see `scan` and `fori_loop`.
    """
    several = isinstance(loop_vars, tuple | list)
    init = tuple(loop_vars) if several else (loop_vars,)

    def step(*values: Any) -> tuple[Any, ...]:
        found = body(*values)
        if several and not isinstance(found, tuple | list):
            raise TypeError(
                f"the body of while_loop must return a tuple or list of {len(init)} values, as "
                f"`loop_vars` is one; got {found!r}"
            )
        return tuple(found) if several else (found,)

    if maximum_iterations is not None:
        limit = maximum_iterations

        def bounded(*values: Any) -> Any:
            return FUNCTIONS["logical_and"](
                cond(*values[:-1]), FUNCTIONS["less"](values[-1], limit)
            )

        def counted(*values: Any) -> tuple[Any, ...]:
            return (*step(*values[:-1]), FUNCTIONS["add"](values[-1], 1))

        result = _while(bounded, counted, (*init, 0))[:-1]
    else:
        result = _while(cond, step, init)
    return type(loop_vars)(result) if several else result[0]


def _while(cond: Callable[..., Any], body: Callable[..., Any], init: tuple[Any, ...]) -> Any:
    outer = symbolic_trace()
    if outer is None:
        values = init
        while as_number(cond(*values)):
            values = body(*values)
        return tuple(
            FUNCTIONS["convert_to_tensor"](v) if isinstance(v, int | float) else v for v in values
        )
    outer.b.location = place = current_location()
    carry = _Carry(outer, init)

    def make(assigned: list[Variable]) -> Body:
        found = Body(outer, assigned)
        return found.run(lambda: body(*carry.arguments(found)))

    step, assigned = _traced_until_stable(outer, carry, make, lambda x: x, "the body")
    test = Body(outer, assigned)
    test.run(lambda: cond(*carry.arguments(test)))
    flag = _flag(test)
    captures = union([step.region.captures, test.region.captures])
    outer.b.location = place
    results = [*[step.current(v) for v in assigned], *step.values]
    given = (*[outer.read(v) for v in assigned], *carry.values)
    found = outer.b.while_(
        given, tuple(captures), test.function(captures, [flag]), step.function(captures, results)
    )
    return _after(outer, found, assigned, carry.structure)


def _flag(test: Body) -> Value:
    value, b = test.values[0], test.region.b
    if value.type.rank:
        value = b.reshape(value, ())
    if value.type.dtype != "bool":
        value = b.compare(value, b.splat(0, value.type), "NE")
    return value


def _after(outer: Trace, found: Any, assigned: list[Variable], structure: Any) -> Any:
    """Variables get their values; the others come back in the structure."""
    values = found if isinstance(found, tuple) else (found,)
    for variable, value in zip(assigned, values, strict=False):
        outer.assign(variable, value)
    return filled_in(structure, [outer.wrap(v) for v in values[len(assigned) :]])


@op("core.ForiLoop", ("init_val",))
def fori_loop(lower: Any, upper: Any, body_fun: Callable[[Any, Any], Any], init_val: Any) -> Any:
    """Replaces a value by `body_fun(i, value)` for each i from `lower` to before `upper`.

    With bounds that are numbers or sizes it has a gradient; with tensors it is a while loop.
    """
    outer = symbolic_trace()
    if is_symbolic(lower) or is_symbolic(upper):
        if outer is not None:
            done = while_loop(
                lambda i, _: FUNCTIONS["less"](i, upper),
                lambda i, value: (FUNCTIONS["add"](i, 1), body_fun(i, value)),
                (FUNCTIONS["cast"](lower, "int32"), init_val),
            )
            return done[1]
        lower, upper = as_number(lower), as_number(upper)
    if outer is None:
        for i in range(int(lower), int(upper)):
            init_val = body_fun(i, init_val)
        return init_val
    if not is_nonnegative(upper - lower):
        if isinstance(upper - lower, Dim):
            lower, upper = int(lower), int(upper)  # asks for the numbers
        upper = max(lower, upper)
    length = upper - lower
    first = 0 if isinstance(lower, int) and lower == 0 else lower

    def step(value: Any, i: Any) -> tuple[Any, None]:
        return body_fun(i if first == 0 else FUNCTIONS["add"](i, first), value), None

    numbers = FUNCTIONS["arange"](length, dtype="int32")
    return scan(step, init_val, numbers, length)[0]


@op("core.Scan", 3)
def scan(
    f: Callable[[Any, Any], Any],
    init: Any,
    xs: Any = None,
    length: Any = None,
    reverse: bool = False,
    unroll: Any = 1,
) -> Any:
    """Runs `carry, y = f(carry, x)` for each slice x of `xs` along dim 0.

    Args:
        f: gives the next carry, in the structure, shapes and dtypes of the one before, and a
            structure of tensors to be stacked, or None.
        init: the first carry.
        xs: tensors in a nested structure, or None.
        length: the number of runs; needed without `xs`.
        reverse: from the last slice to the first.
        unroll: kept for compatibility.

    Returns:
        The last carry, and the ys stacked along a new dim 0, each at the index of its x.
    """
    if not isinstance(unroll, bool) and (not isinstance(unroll, int) or unroll < 1):
        raise ValueError(f"`unroll` must be a positive integer or a bool; got {unroll!r}")
    leaves = [x for x in tree.flatten(xs) if x is not None]
    if not leaves and length is None:
        raise ValueError("`scan` needs `xs` or `length`")
    count: Size = (
        length if length is not None else FUNCTIONS["convert_to_tensor"](leaves[0]).shape[0]
    )
    outer = symbolic_trace()
    if outer is None:
        return _eager_scan(f, init, xs, int(count), reverse)
    outer.b.location = place = current_location()
    carry, rows = _Carry(outer, init), _Carry(outer, xs)
    given = [_of_length(outer, v, count) for v in rows.values]

    def make(assigned: list[Variable]) -> Body:
        found = Body(outer, assigned)

        def once() -> Any:
            values = carry.arguments(found)
            slices = [found.argument(TensorType(v.type.shape[1:], v.type.dtype)) for v in given]
            pair = f(values, filled_in(rows.structure, slices))
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                raise TypeError(f"the function of `scan` must give (carry, y); got {pair!r}")
            return tuple(pair)

        return found.run(once)

    what = "the function of `scan`"
    body, assigned = _traced_until_stable(outer, carry, make, lambda pair: pair[0], what)
    outer.b.location = place
    captures = tuple(body.region.captures)
    function = body.function(captures, [*[body.current(v) for v in assigned], *body.values])
    first = (*[outer.read(v) for v in assigned], *carry.values)
    op_ = Scan(first, tuple(given), captures, count, bool(reverse), function)
    result = _after(outer, outer.b.append(op_), assigned, body.structure)
    return tuple(result)


def _eager_scan(f: Callable[[Any, Any], Any], init: Any, xs: Any, count: int, reverse: bool) -> Any:
    rows: list[Any] = [None] * count
    for i in reversed(range(count)) if reverse else range(count):
        row = tree.map_structure(
            lambda x, i=i: None if x is None else FUNCTIONS["get_item"](x, i), xs
        )
        init, rows[i] = f(init, row)
    if not rows:
        raise ValueError("`scan` of no steps needs a traced program, which knows the shapes")
    ys = tree.map_structure(
        lambda *parts: None if parts[0] is None else FUNCTIONS["stack"](parts), *rows
    )
    return init, ys


def _of_length(outer: Trace, value: Value, count: Size) -> Value:
    shape = value.type.shape
    if not shape:
        raise ValueError("each of the `xs` of `scan` needs a dim 0; got a scalar")
    if shape[0] == count:
        return value
    if isinstance(shape[0], int) and isinstance(count, int):
        raise ValueError(f"`scan` runs {count} times; got xs of the shape {shape}")
    assumed: Value = outer.b.assume_shape(value, (count, *shape[1:]))
    return assumed


@op("core.Map", 2)
def map(f: Callable[[Any], Any], xs: Any) -> Any:  # Keras's name
    """`f` of each slice along dim 0, one after the other; the results stacked."""
    return scan(lambda _, x: (None, f(x)), None, xs)[1]


@op("core.VectorizedMap", ("elements",))
def vectorized_map(function: Callable[[Any], Any], elements: Any) -> Any:
    """As `map`."""
    return map(function, elements)


@op("core.AssociativeScan", 2)
def associative_scan(
    f: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0
) -> Any:
    """All prefixes combined by an associative function, in a logarithmic number of steps.

    Args:
        f: combines two structures of tensors, element by element along `axis`.
        elems: the structure.
        reverse: suffixes instead.
        axis: the dim along which elements follow each other.
    """
    slices = FUNCTIONS["split"]
    leaves = tree.flatten(elems)
    count = int(leaves[0].shape[axis])
    if reverse:
        elems = tree.map_structure(lambda x: FUNCTIONS["flip"](x, axis), elems)
    step = 1
    while step < count:
        # each element takes in the one `step` before it; the first ones are done
        heads, tails, before = (
            tree.map_structure(lambda x, at=at, part=part: slices(x, [at], axis)[part], elems)
            for at, part in ((step, 0), (step, 1), (count - step, 0))
        )
        combined = f(before, tails)
        elems = tree.map_structure(
            lambda *pair: FUNCTIONS["concatenate"](pair, axis), heads, combined
        )
        step *= 2
    return tree.map_structure(lambda x: FUNCTIONS["flip"](x, axis), elems) if reverse else elems
