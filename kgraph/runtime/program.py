"""A compiled function that is called with arrays."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, cast

from kgraph.codegen import Array, Options
from kgraph.ir import TensorType
from kgraph.runtime.signature import ArgumentError, Signature
from kgraph.runtime.state import State

Run: TypeAlias = "Callable[[list[Array], Sequence[Array], object], tuple[Array, ...]]"


class Runner(Protocol):
    """What a `Program` runs: an executable of any backend, with its sizes already checked.

    Attributes:
        plain: whether `accept` gives dense, aligned numpy arrays of the right dtype as they are.
    """

    plain: bool

    def accept(self, value: object, type_: TensorType, name: str) -> Array: ...

    def run(
        self,
        state: list[Array],
        inputs: Sequence[Array],
        sizes: Mapping[str, int],
        in_place: bool,
    ) -> tuple[Array, ...]: ...


@dataclass
class _Prepared:
    """What `prepare` made of the state of one version."""

    version: object
    arrays: tuple[Array, ...]


@dataclass(frozen=True)
class Program:
    """A compiled function. Immutable and thread-safe.

    Call it with one array per parameter: it checks them, runs, and returns a tuple of fresh arrays.
    It never writes to an argument and keeps none. Training loops use `run`.

    Attributes:
        name: for messages and listings.
        signature: what it takes and gives.
        state: so many first parameters are state.
        donate: result -> the state parameter that it replaces.
        options: what it was compiled with.
    """

    name: str
    signature: Signature
    state: int
    donate: Mapping[int, int]
    options: Options
    _main: Runner
    _prepare: Runner | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    _prepared: list[_Prepared] = field(default_factory=list, repr=False)
    _sizes: dict[tuple[tuple[int, ...], ...], dict[str, int]] = field(
        default_factory=dict, repr=False
    )

    @property
    def runner(self) -> Runner:
        """What runs the function."""
        return self._main

    def __call__(self, *arrays: object) -> tuple[Array, ...]:
        """Runs once.

        Args:
            *arrays: one per parameter, state first: any layout and byte order, but the parameter's
                dtype.

        Returns:
            One array per result, each with memory of its own.

        Raises:
            ArgumentError: the number of arrays or a shape is wrong; the message names the
                parameter.
            TypeError: a dtype is wrong.
        """
        self._expect(len(arrays), len(self.signature.params), "arguments")
        signature = self.signature
        triples = zip(arrays, signature.params, signature.names, strict=True)
        taken = [self._main.accept(*triple) for triple in triples]
        sizes = self._sizes_of(tuple([a.shape for a in taken]), taken[:0])
        state, inputs = taken[: self.state], taken[self.state :]
        if self._prepare is not None:
            state += self._prepare.run(state, (), sizes, in_place=False)
        return self._main.run(state, inputs, sizes, in_place=False)

    def run(
        self, state: list[Array], inputs: Sequence[object], version: object = None
    ) -> tuple[Array, ...]:
        """Runs once on state that belongs to the runtime: the fast path.

        Where all donated state arrays can be written, they are updated in place: the results that
        replace them are the same arrays. A read-only array is never written, so whoever hands a
        state array to a user makes it read-only first; that step then gets fresh arrays for the
        whole state. On jax a donated array is given away, so whoever shows it shows a copy, and the
        array that replaces it takes its place in `state`. Either way the old state or the new one
        is whole in `state`, whenever the call is interrupted.

        Args:
            state: the first `self.state` arguments: arrays of exactly the parameters' types, dense
                and of native byte order, such as the results of an earlier run. They are not
                checked again.
            inputs: the other arguments, as for a call.
            version: equal for equal state. What depends on the state alone is then computed once
                per version; None computes it on each call.

        Returns:
            One array per result.

        Raises:
            ArgumentError: the number of arrays or a shape is wrong; the message names the
                parameter.
            TypeError: a dtype is wrong.
        """
        # A short program waits for Python: few calls, and what does not change is looked up.
        if len(state) != self.state or len(inputs) != len(self._inputs):
            self._expect(len(state), self.state, "state arrays")
            self._expect(len(inputs), len(self._inputs), "inputs")
        accept, taken, shapes = self._main.accept, [], []
        for value, (type_, name) in zip(inputs, self._inputs, strict=True):
            array = accept(value, type_, name)
            taken.append(array)
            shapes.append(array.shape)
        return self._run_on(self._sizes_of(tuple(shapes), state), state, taken, version)

    def run_like(self, inputs: Sequence[Array]) -> Run:
        """`run` for dense and aligned inputs of the dtypes and shapes of these.

        Nothing is checked again where these are taken as they are and say all about sizes.

        Raises:
            ArgumentError: a shape is wrong.
            TypeError: a dtype is wrong.
        """
        main = self._main
        pairs = zip(inputs, self._inputs, strict=True)
        same = main.plain and all(main.accept(x, *place) is x for x, place in pairs)
        if not (same and self._fixed):
            return self.run
        own = [type_.shape for type_ in self.signature.params[: self.state]]
        shapes = cast(list[tuple[int, ...]], [*own, *(x.shape for x in inputs)])
        return functools.partial(self._run_on, self.signature.sizes(shapes))

    def _run_on(
        self, sizes: dict[str, int], state: list[Array], inputs: Sequence[Array], version: object
    ) -> tuple[Array, ...]:
        prepare = self._prepare
        if prepare is not None:
            kept = self._prepared[0] if self._prepared else None
            if kept is None or kept.version != version or version is None:
                kept = self._prepared_again(prepare, state, sizes, version)
            state = _whole(state, kept)
        return self._main.run(state, inputs, sizes, bool(self.donate))

    @functools.cached_property
    def _inputs(self) -> list[tuple[TensorType, str]]:
        """Types and names of the parameters that are no state."""
        signature = self.signature
        return list(zip(signature.params, signature.names, strict=True))[self.state :]

    @functools.cached_property
    def _fixed(self) -> bool:
        """Whether no size hides in the shapes of the state."""
        return not any(type_.symbols for type_ in self.signature.params[: self.state])

    def _sizes_of(
        self, shapes: tuple[tuple[int, ...], ...], state: Sequence[Array]
    ) -> dict[str, int]:
        """The sizes for arrays of these shapes, of which those of `state` come first."""
        if not self._fixed:
            shapes, state = (*[a.shape for a in state], *shapes), ()
        sizes = self._sizes.get(shapes)
        if sizes is None:
            sizes = self.signature.sizes((*[a.shape for a in state], *shapes))
            if len(self._sizes) >= 64:
                self._sizes.clear()
            self._sizes[shapes] = sizes
        return sizes

    def _prepared_again(
        self, prepare: Runner, state: list[Array], sizes: Mapping[str, int], version: object
    ) -> _Prepared:
        """What depends on the state alone, computed and, of a version, kept."""
        if version is None:
            return _Prepared(None, prepare.run(state, (), sizes, in_place=False))
        with self._lock:
            if not self._prepared or self._prepared[0].version != version:
                arrays = prepare.run(state, (), sizes, in_place=False)
                self._prepared[:] = [_Prepared(version, arrays)]
            return self._prepared[0]

    def _expect(self, got: int, expected: int, what: str) -> None:
        if got != expected:
            label = f"the program {self.name}" if self.name else "the program"
            names = ", ".join(self.signature.names)
            raise ArgumentError(f"{label} takes {expected} {what} (of {names}); got {got}")


def _whole(state: list[Array], prepared: _Prepared) -> list[Array]:
    """The state with what was prepared of it: the same list as long as both are the same."""
    if type(state) is not State:
        return [*state, *prepared.arrays]
    found = state.whole
    if found is None or found[0] is not prepared:
        found = state.whole = prepared, State([*state, *prepared.arrays])
    return found[1]
