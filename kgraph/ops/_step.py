"""Steps: stateful Python code, called as one compiled program."""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import numpy as np

from kgraph.ir import Array, SizeNeededError, TensorType, verify
from kgraph.ops._lengths import Lengths, with_symbols
from kgraph.ops._scope import PACKAGE, here
from kgraph.ops._signature import (
    Symbolic,
    argument_types,
    leading_codes,
    rebuild,
    take_apart,
)
from kgraph.ops._tensor import Tensor
from kgraph.ops._trace import EagerTrace, opened
from kgraph.ops._traced import Traced, described, filled_in, traced
from kgraph.ops._variable import Variable
from kgraph.runtime import Program, assign_all, compile, default_options
from kgraph.runtime.collection import no_collection
from kgraph.runtime.program import Run
from kgraph.runtime.state import State, states
from kgraph.utils import tree

__all__ = ["Specialization", "Step"]

_KNOWN = 64


@dataclass(frozen=True)
class Specialization:
    """A symbolic size that became a number, because Python code needed it.

    Attributes:
        symbol: the symbol.
        size: its number.
        reason: what was asked.
        place: the user's source line that asked.
    """

    symbol: str
    size: int
    reason: str
    place: str

    def __str__(self) -> str:
        return f"{self.symbol}={self.size} at {self.place}: {self.reason}"


@dataclass(frozen=True, eq=False)
class _Compiled:
    program: Program
    variables: tuple[Variable, ...]
    places: tuple[int, ...]  # of the variables that change
    changed: tuple[Variable, ...]
    count: int  # of results that are no state
    outputs: Any
    stateless: bool  # nothing is assigned: what depends on state alone can be kept
    checks: tuple[tuple[Callable[..., None], tuple[int, ...]], ...]

    def check_sizes(self, arrays: Sequence[Array]) -> None:
        """Raises ArgumentError where the arrays do not have sizes that the trace assumed."""
        shapes = [v._shape for v in self.variables] + [a.shape for a in arrays]
        self.program.signature.sizes(tuple(shapes))


class Step:
    """A Python function that is traced once per signature and then runs as one program.

    The function may read and assign Variables, and takes arrays in nested tuples, lists and dicts,
    besides None and static Python values. Its results come back as numpy arrays in the structure
    that it gave them. If anything fails, all variables keep their values.

    Dim 0 of every array is the symbol `batch`, so one program serves all batch sizes. The other
    sizes are numbers at first; a dim that comes with a second size is a symbol from then on, and
    one program serves all lengths. Where Python, or a fast kernel, needs the number of a symbolic
    size, the program is made for that number; `specializations` tells where.

    Args:
        fn: the function.
        name: for messages, listings and the cache.
        donate: whether variables' arrays may be updated in place.
        backend: "llvm", "jax" or "reference"; None: the process's.
        run_eagerly: traces anew on each call and evaluates op by op, so that Python sees numbers.
        symbolic_batch: False makes all sizes static.
        symbolic: decides instead: called with the number of an array and its shape, it returns a
            name for each dim that is symbolic, None for the others.
        convert: what is made of each leaf of the arguments first.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        name: str = "",
        donate: bool = True,
        backend: str | None = None,
        run_eagerly: bool = False,
        symbolic_batch: bool = True,
        symbolic: Symbolic | None = None,
        convert: Callable[[Any], Any] | None = None,
    ) -> None:
        self.fn = fn
        self.name = name or getattr(fn, "__name__", type(fn).__name__)
        self.donate, self.backend, self.run_eagerly = donate, backend, run_eagerly
        self.symbolic_batch, self.symbolic, self.convert = symbolic_batch, symbolic, convert
        self.specializations: list[Specialization] = []
        self._compiled: dict[Hashable, _Compiled] = {}
        # by the exact shapes of plain arguments
        self._known: dict[Hashable, tuple[_Compiled, Run]] = {}
        self._needed: dict[Hashable, dict[str, tuple[int, int]]] = {}
        self._lengths: dict[Hashable, Lengths] = {}
        self._lock = threading.RLock()
        functools.update_wrapper(self, fn, updated=())

    def __call__(self, *args: Any) -> Any:
        """Runs the program for these arguments; inside a trace, the function itself."""
        if here.traces:
            return self.fn(*args)
        if self.run_eagerly:
            return self._eager(args)
        # A short program waits for Python: arguments like earlier ones are recognised at once.
        arrays: list[Array] = []
        parts: list[Hashable] = []
        for x in args:
            if type(x) is np.ndarray:
                flags = x.flags
                if not (flags.c_contiguous and flags.aligned):
                    return self._run(*self._look_up(args))
                arrays.append(x)
                parts += (x.dtype, x.shape)
            elif x is None:
                parts.append(None)
            else:
                return self._run(*self._look_up(args))
        exact = tuple(parts)
        known = self._known.get(exact)
        if known is not None:
            return self._run(known[0], arrays, known[1])
        found, taken = self._look_up(args)
        if len(self._known) >= _KNOWN:
            self._known.clear()
        if all(map(operator.is_, taken, arrays)):
            self._known[exact] = found, found.program.run_like(arrays)
        return self._run(found, taken)

    def _look_up(self, args: Any) -> tuple[_Compiled, list[Array]]:
        """What is compiled for these arguments, and the arrays in them."""
        if self.convert is not None:
            args = tree.map_structure(self.convert, args)
        arrays: list[Array] = []
        signature = self._signature(args, arrays)
        found = self._compiled.get(self._key(signature, arrays))
        if found is None:
            with self._lock, no_collection():
                found = self._compile(args, signature, arrays)
        return found, arrays

    def trace(self, *args: Any, lengths: Mapping[tuple[int, int], str] | None = None) -> Traced:
        """The program for these arguments, as it is before compilation.

        `lengths` names symbols for sizes that vary: (array, dim) -> name.
        """
        arrays: list[Array] = []
        take_apart(args, arrays, [])
        codes = leading_codes(arrays) if self.symbolic_batch else None
        types = with_symbols(argument_types(arrays, codes, self.symbolic), lengths or {})
        sizes: dict[str, int] = {}
        while True:
            try:
                return traced(self.fn, args, types, sizes, self.name, sizes_at_hand=bool(lengths))
            except SizeNeededError as error:
                places = {s: place for s in error.symbols if (place := _where(types, s))}
                if not places.keys() - sizes.keys():
                    raise
                sizes.update({s: arrays[i].shape[k] for s, (i, k) in places.items()})

    def _signature(self, args: Any, arrays: list[Array]) -> Hashable:
        """What decides which trace fits, as far as it is known before tracing."""
        parts: list[Hashable] = []
        take_apart(args, arrays, parts)
        if self.symbolic is not None:
            for i, a in enumerate(arrays):
                names = self.symbolic(i, a.shape)
                parts += [n if s is None else s for n, s in zip(a.shape, names, strict=True)]
        elif self.symbolic_batch:
            parts.append(leading_codes(arrays))
            parts += [a.shape[1:] for a in arrays]
        else:
            parts += [a.shape for a in arrays]
        return tuple(parts)

    def _key(self, signature: Hashable, arrays: list[Array]) -> Hashable:
        """The signature with the sizes that tracing turned out to need."""
        needed = self._needed.get(signature)
        if not needed:
            return signature
        return (signature, *[arrays[i].shape[k] for i, k in needed.values()])

    def _compile(self, args: Any, signature: Hashable, arrays: list[Array]) -> _Compiled:
        codes = leading_codes(arrays) if self.symbolic_batch else None
        types = argument_types(arrays, codes, self.symbolic)
        if codes is None or self.symbolic is not None:
            return self._compiled_for(args, signature, arrays, types)
        kind: list[Hashable] = []
        take_apart(args, [], kind)
        lengths = self._lengths.setdefault(tuple(kind), Lengths())
        names = lengths.symbols(arrays)
        failure = None
        if names:
            general = (*kind, codes, *names.items(), *lengths.fixed(arrays, names))
            try:
                found = self._compiled_for(args, general, arrays, with_symbols(types, names))
                found.check_sizes(arrays)
            except Exception as error:
                failure = error
            else:
                self._needed[signature] = self._needed.get(general, {})
                self._compiled[self._key(signature, arrays)] = found
        if not names or failure is not None:
            found = self._compiled_for(args, signature, arrays, types)  # a true error shows again
        if failure is not None:
            lengths.stay_numbers()
            place = _line(failure.__traceback__)
            self.specializations += [
                Specialization(name, arrays[i].shape[k], str(failure), place)
                for (i, k), name in names.items()
            ]
        lengths.note(arrays)
        return found

    def _compiled_for(
        self, args: Any, signature: Hashable, arrays: list[Array], types: list[TensorType]
    ) -> _Compiled:
        while True:
            key = self._key(signature, arrays)
            if key in self._compiled:  # by another thread
                return self._compiled[key]
            needed = self._needed.get(signature, {})
            sizes = {s: arrays[i].shape[k] for s, (i, k) in needed.items()}
            try:
                at_hand = self.symbolic is None
                found = traced(self.fn, args, types, sizes, self.name, sizes_at_hand=at_hand)
            except SizeNeededError as error:
                self._specialize(signature, error, types, arrays)
                continue
            self._compiled[key] = compiled = self._program(found, self._title(sizes))
            return compiled

    def _title(self, sizes: dict[str, int]) -> str:
        """The name, and which sizes became numbers where: `kgraph cache` shows it."""
        places = {s.symbol: s.place for s in self.specializations}
        parts = [f"{symbol}={size} for {places[symbol]}" for symbol, size in sizes.items()]
        return f"{self.name} [{', '.join(parts)}]" if parts else self.name

    def _specialize(
        self,
        signature: Hashable,
        error: SizeNeededError,
        types: list[TensorType],
        arrays: list[Array],
    ) -> None:
        """Notes that the program must know these sizes; the error again if none of them is new."""
        places = dict(self._needed.get(signature, {}))
        new = [s for s in error.symbols if s not in places]
        if not new:
            raise error
        for name in new:
            place = _where(types, name)
            if place is None:
                raise error
            places[name] = place
            size = arrays[place[0]].shape[place[1]]
            self.specializations.append(
                Specialization(name, size, str(error), _line(error.__traceback__))
            )
        self._needed[signature] = places

    def _program(self, found: Traced, title: str) -> _Compiled:
        options = default_options(self.backend)
        if options.verify:
            verify(found.function)
        program = compile(
            found.function,
            state=len(found.variables),
            donate=found.replaced if self.donate else {},
            options=options,
            name=title,
        )
        places = tuple(found.replaced.values())
        changed = tuple(found.variables[i] for i in places)
        count = len(found.function.results) - len(changed)
        return _Compiled(
            program,
            found.variables,
            places,
            changed,
            count,
            found.outputs,
            stateless=not changed,
            checks=found.checks,
        )

    def _run(self, found: _Compiled, arrays: list[Array], run: Run | None = None) -> Any:
        for check, inputs in found.checks:
            check(*[arrays[i] for i in inputs])
        state, version = _state_of(found)
        try:
            results = (run or found.program.run)(state, arrays, version)
            if found.changed:
                _store_all(found.changed, results[found.count :])
        except BaseException:
            if found.changed:  # the run may have given the old arrays away
                _store_all(found.changed, [state[i] for i in found.places])
            raise
        return filled_in(found.outputs, results)

    def _eager(self, args: Any) -> Any:
        if self.convert is not None:
            args = tree.map_structure(self.convert, args)
        arrays: list[Array] = []
        take_apart(args, arrays, [])
        trace = EagerTrace()
        with opened(trace):
            types = argument_types(arrays, None, None)
            tensors = []
            for i, (array, type_) in enumerate(zip(arrays, types, strict=True)):
                value = trace.param(f"x{i}", type_)
                trace.b.arrays[value] = array
                tensors.append(Tensor(value, trace))
            outputs = self.fn(*rebuild(args, tensors, [0]))
            values, structure = described(trace, outputs)
        results = [np.array(trace.b.arrays[v], order="C") for v in values]
        new = [np.array(trace.b.arrays[v], order="C") for v in trace.assigned.values()]
        _store_all(tuple(trace.assigned), new)
        return filled_in(structure, results)


def _state_of(found: _Compiled) -> tuple[list[Array], object]:
    """The program's state, and its version if it does not change it."""
    if not found.stateless:
        return [v._value for v in found.variables], None
    known = states.known  # before the variables are read: see `States`
    state = known.get(found)
    if state is None:
        # versions only grow, so their sum tells whether any changed
        version = sum([v._version for v in found.variables])
        state = known[found] = State([v._value for v in found.variables], version)
    return state, state.version


def _store_all(variables: Sequence[Variable], arrays: Sequence[Array]) -> None:
    """All or none, also where a signal interrupts."""
    states.changed()
    try:
        assign_all(variables, "_value", arrays)
    finally:
        assign_all(variables, "_version", [v._version + 1 for v in variables])
        states.changed()


def _where(types: Sequence[TensorType], name: str) -> tuple[int, int] | None:
    """An argument and a dim of it that is this symbol."""
    for i, type_ in enumerate(types):
        for k, size in enumerate(type_.shape):
            if str(size) == name:
                return i, k
    return None


def _line(traceback: TracebackType | None) -> str:
    """The innermost line that is not kgraph's own."""
    found = "?"
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not code.co_filename.startswith(PACKAGE):
            found = f"{code.co_filename}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return found
