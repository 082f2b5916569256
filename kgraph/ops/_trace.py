"""Traces: functions in the making, while the Python code that describes them runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from kgraph.ir import Array, Builder, Dim, Function, Param, Sizes, TensorType, Value, dtype_name
from kgraph.ops._convert import as_array
from kgraph.ops._eager import Borrowed, Concrete, EagerBuilder, RecordingBuilder
from kgraph.ops._scope import current_location, here
from kgraph.ops._tensor import Tensor, TraceError

if TYPE_CHECKING:
    from kgraph.ops._variable import Variable

__all__ = ["EAGER", "EagerTrace", "Region", "SpecTrace", "Trace", "opened"]


class Trace:
    """A live builder, and the variables that were read and assigned.

    Attributes:
        b: the builder.
        reads: variable -> the parameter that holds its value at entry, in the order of first use.
        assigned: variable -> the value that it has now, for those that got a new one.
        sizes: symbols that are bound to numbers in this trace.
        sizes_at_hand: whether the number of a symbol can be had by asking for it; a kernel that is
            faster for a known size does.
        checks: functions that look at the numbers of values before the program runs.
    """

    parent: Trace | None = None

    def __init__(self, builder: Builder | None = None) -> None:
        self.b = Builder() if builder is None else builder
        self.alive = True
        self.reads: dict[Variable, Value] = {}
        self.assigned: dict[Variable, Value] = {}
        self.sizes: Sizes = {}
        self.sizes_at_hand = False
        self.checks: list[tuple[Callable[..., None], tuple[Value, ...]]] = []
        self._labels: set[str] = set()

    # ---- values in and out ----

    def lift(self, x: Any, dtype: str | None = None) -> Value:
        """Anything array-like as a value of this trace, converted to `dtype` if that is given."""
        kind = type(x)
        if kind is Tensor:
            value = self._own(x)
        elif isinstance(x, Dim):
            value = self.b.dim_size(x, "int32")
        elif hasattr(x, "_trace_read"):
            value = x._trace_read(self)
        else:
            return self._constant(EAGER.array_of(EAGER.lift(x, dtype)))
        return value if dtype is None else self.b.cast(value, dtype)

    def wrap(self, value: Value) -> Any:
        """A value of this trace for the user."""
        return Tensor(value, self)

    def array_of(self, value: Value) -> Array | None:
        """The numbers of a value, where they are known."""
        return None

    def _own(self, x: Tensor) -> Value:
        if x.trace is self:
            return x.value
        raise TraceError(_foreign(x))

    def _constant(self, array: Array) -> Value:
        if array.size > 1 and (number := _only_number(array)) is not None:
            return self.b.splat(number, TensorType(array.shape, dtype_name(array.dtype)))
        return self.b.constant(array)

    # ---- variables ----

    def read(self, variable: Variable) -> Value:
        """The value that the variable has at this point of the program."""
        found = self.assigned.get(variable)
        if found is None:
            found = self.reads.get(variable)
        if found is None:
            type_ = TensorType(variable._shape, variable._dtype)
            found = self.reads[variable] = self._entry(variable, type_)
        return found

    def assign(self, variable: Variable, value: Value) -> None:
        """From here on the variable has this value."""
        self.assigned[variable] = value

    def param(self, label: str, type_: TensorType) -> Value:
        """A new parameter of the function."""
        unique, n = label, 0
        while unique in self._labels:
            n += 1
            unique = f"{label}_{n}"
        self._labels.add(unique)
        return Param(unique, type_).result

    def _entry(self, variable: Variable, type_: TensorType) -> Value:
        return self.param(variable.path, type_)

    def check(self, check: Callable[..., None], inputs: Sequence[Any]) -> None:
        """Notes what must hold of the numbers of `inputs`."""
        if all(type(x) is Tensor and x.trace is self for x in inputs):
            self.checks.append((check, tuple(x.value for x in inputs)))

    # ---- the end ----

    def finish(
        self, inputs: Sequence[Value], results: Sequence[Value], name: str
    ) -> tuple[Function, list[Variable], list[Variable]]:
        """The function `(state, inputs) -> (results, new state)`; what was read and assigned."""
        for variable in self.assigned:
            if variable not in self.reads:  # the program replaces it unread
                type_ = TensorType(variable._shape, variable._dtype)
                self.reads[variable] = self._entry(variable, type_)
        params = (*self.reads.values(), *inputs)
        outputs = (*results, *self.assigned.values())
        fn = Function(params, tuple(self.b.ops), outputs, name)
        return fn, list(self.reads), list(self.assigned)


class EagerTrace(Trace):
    """A trace that evaluates as it goes: its tensors have numbers."""

    b: RecordingBuilder

    def __init__(self) -> None:
        super().__init__(RecordingBuilder())

    def _entry(self, variable: Variable, type_: TensorType) -> Value:
        value = self.param(variable.path, type_)
        self.b.arrays[value] = variable._array()
        return value

    def array_of(self, value: Value) -> Array | None:
        """The numbers of a value."""
        return self.b.arrays[value]

    def check(self, check: Callable[..., None], inputs: Sequence[Any]) -> None:
        """Checks at once."""
        check(*[self.b.arrays[self.lift(x)] for x in inputs])


class SpecTrace(Trace):
    """A trace that is thrown away: it only tells shapes and dtypes."""


class Region(Trace):
    """The body of a loop or branch: values from outside come in as captures.

    Attributes:
        captures: value of the parent -> the parameter that stands for it inside.
    """

    parent: Trace

    def __init__(self, parent: Trace) -> None:
        super().__init__()
        self.parent = parent
        self.sizes, self.sizes_at_hand = parent.sizes, parent.sizes_at_hand
        self.captures: dict[Value, Value] = {}

    def capture(self, outer: Value) -> Value:
        """The parameter that stands for a value of the parent."""
        found = self.captures.get(outer)
        if found is None:
            label = f"c{len(self.captures)}"
            found = self.captures[outer] = Param(label, outer.type).result
        return found

    def _own(self, x: Tensor) -> Value:
        return x.value if x.trace is self else self.capture(self.parent._own(x))

    def read(self, variable: Variable) -> Value:
        """The value that the variable has at this point of the program."""
        found = self.assigned.get(variable)
        return self.capture(self.parent.read(variable)) if found is None else found


class _Eager:
    """What stands for a trace where all operands are concrete: ops run at once."""

    alive = True

    def __init__(self) -> None:
        self.b = EagerBuilder()

    def lift(self, x: Any, dtype: str | None = None) -> Value:
        if isinstance(x, int | float):
            array = as_array(x, dtype)
        elif hasattr(x, "_trace_read"):  # a variable, in the precision that is read here
            array, dtype = x._array(), dtype or x.dtype
        else:
            array = as_array(x)
        value = Borrowed(array, TensorType(array.shape, dtype_name(array.dtype)))
        return value if dtype is None else self.b.cast(value, dtype)

    def wrap(self, value: Value) -> Array:
        """An array that shares memory with nothing."""
        array: Array = value.array  # type: ignore[attr-defined]  # Concrete
        own = type(value) is Concrete and array.base is None
        if own and array.flags.c_contiguous and array.flags.writeable:
            return array
        return np.array(array, order="C", copy=True)

    def array_of(self, value: Value) -> Array:
        found: Array = value.array  # type: ignore[attr-defined]  # Concrete
        return found


EAGER = _Eager()


@contextmanager
def opened(trace: Trace) -> Iterator[Trace]:
    """Makes `trace` the one that code on this thread is traced into; afterwards it is dead."""
    here.traces.append(trace)
    try:
        yield trace
    finally:
        here.traces.pop()
        trace.alive = False


def context_of(operands: Sequence[Any]) -> Any:
    """Where an op on these operands goes: the open trace if one is symbolic, else `EAGER`."""
    traces = here.traces
    for x in operands:
        kind = type(x)
        if kind is Tensor:
            return _open_for(x)
        if kind is Dim or (traces and hasattr(x, "_trace_read")):
            if not traces:
                raise TraceError(f"The size {x} was used after its trace had ended.")
            trace = traces[-1]
            trace.b.location = current_location()
            return trace
    return EAGER


def _open_for(x: Tensor) -> Trace:
    traces = here.traces
    if not traces or not x.trace.alive:
        raise TraceError(_foreign(x))
    trace = traces[-1]
    trace.b.location = current_location()
    return trace


def _foreign(x: Tensor) -> str:
    if not x.trace.alive:
        return x.escaped()
    return (
        f"The tensor {x.value.type} belongs to another trace than the one that is open. Pass it as "
        "an argument to the function that is traced."
    )


def _only_number(array: Array) -> Any:
    """The number that all elements are, bit for bit; None where they differ."""
    flat = np.ascontiguousarray(array).reshape(-1)
    bits = flat.view(f"u{flat.itemsize}")
    return flat[0] if bool((bits == bits[0]).all()) else None
