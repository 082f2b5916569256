"""What the runtime asks of a backend, and what a backend gives back.

A backend is a module `kgraph.codegen.<name>` with the two functions of `Backend`. It answers a
compile with one of

- an `Executable`: an object that runs the function on arrays (reference, jax), or
- a `NativeImage`: machine code and the sizes of the memory it wants, as plain data (llvm). The
  runtime loads and runs it and the disk cache keeps it; neither needs the compiler again.
  `kgraph/codegen/llvm/README.md` has its calling convention.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from kgraph.codegen.options import Options
from kgraph.codegen.probe import Probe
from kgraph.ir import Function, Size, TensorType, parse_size, parse_type

# numpy's arrays, and on the jax backend jax's: whatever has `shape` and `dtype`.
Array: TypeAlias = Any


class Executable(Protocol):
    """A compiled function. Thread-safe; it keeps no array between calls."""

    def accept(self, value: object, type_: TensorType, name: str) -> Array:
        """`value` as an array that `run` takes, of the dtype of `type_`; copies only where it must.

        Raises:
            TypeError: the value is no array, or has another dtype; the message names the parameter.
        """

    def run(
        self, arrays: list[Array], sizes: Mapping[str, int], in_place: bool = False
    ) -> tuple[Array, ...]:
        """One array per result, none of which shares memory with an argument or another result.

        Args:
            arrays: one per parameter, from `accept`, of shapes that fit `sizes`. They are not
                written.
            sizes: the value of every symbol of the parameters' types.
            in_place: whether donated arrays may be given away instead. In `arrays` the results then
                stand in for them, also where an exception or a signal ends the call.
        """


@dataclass(frozen=True)
class NativeImage:
    """Machine code for one function, and what it wants around it.

    Attributes:
        code: a relocatable object that defines `kgraph_run`.
        params: the types of the parameters, in order.
        results: the types of the results, in order.
        symbols: the symbols in the order in which the code takes their values: sorted by name.
        arena: bytes of scratch memory for a call.
        slab: bytes of scratch memory for each thread of a call.
        in_place: whether a donated parameter and its result may have one buffer. The code must then
            be right both with one buffer and with two, and must not fail after its first write to a
            donated one.
        prepare: a function of the state alone, run when the state's version changes; what it gives
            are further parameters of this one, between the state and the inputs. For programs that
            donate nothing.
        probes: of code compiled with `Options.profile` or `find_nan`, which then defines the
            variable `kgraph_probes`: for each probe two i64, nanoseconds and executions so far; or
            one, the number, from 1, of the first probe whose op gave a NaN.
    """

    code: bytes
    params: tuple[TensorType, ...]
    results: tuple[TensorType, ...]
    symbols: tuple[str, ...] = ()
    arena: Size = 0
    slab: Size = 0
    in_place: bool = False
    prepare: NativeImage | None = None
    probes: tuple[Probe, ...] = ()

    def to_bytes(self) -> bytes:
        """A line of JSON with all but the code, then the code, then the bytes of `prepare`."""
        prepare = b"" if self.prepare is None else self.prepare.to_bytes()
        header = {
            "code": len(self.code),
            "params": [str(t) for t in self.params],
            "results": [str(t) for t in self.results],
            "symbols": list(self.symbols),
            "arena": str(self.arena),
            "slab": str(self.slab),
            "in_place": self.in_place,
            "probes": [probe.to_dict() for probe in self.probes],
        }
        return json.dumps(header).encode() + b"\n" + self.code + prepare

    @staticmethod
    def from_bytes(data: bytes) -> NativeImage:
        """The inverse of `to_bytes`. Raises ValueError or KeyError for other bytes."""
        line, _, rest = data.partition(b"\n")
        header = json.loads(line)
        code, prepare = rest[: header["code"]], rest[header["code"] :]
        return NativeImage(
            code=code,
            params=tuple(parse_type(t) for t in header["params"]),
            results=tuple(parse_type(t) for t in header["results"]),
            symbols=tuple(header["symbols"]),
            arena=parse_size(header["arena"]),
            slab=parse_size(header["slab"]),
            in_place=bool(header["in_place"]),
            prepare=NativeImage.from_bytes(prepare) if prepare else None,
            probes=tuple(Probe.from_dict(probe) for probe in header["probes"]),
        )


class CodeStore(Protocol):
    """Keeps the machine code of functions under keys that say all that it depends on. Any trouble
    is a miss."""

    def get(self, key: str) -> bytes | None:
        """What was put there, by this process or another."""

    def put(self, items: Mapping[str, bytes]) -> None:
        """Keeps the code of functions that were compiled."""


class Backend(Protocol):
    """The functions of a backend's module."""

    def compile(
        self,
        fn: Function,
        *,
        state: int,
        donate: Mapping[int, int],
        options: Options,
        threads: int = 1,
        store: CodeStore | None = None,
    ) -> Executable | NativeImage:
        """Compiles a verified function.

        Args:
            fn: the function as traced.
            state: so many first parameters are state.
            donate: result -> the state parameter that it replaces, and whose memory it may take.
            options: what to compile with.
            threads: how many may be busy with it; the result does not depend on it.
            store: where machine code may be found; the result does not depend on it.
        """

    def fingerprint(self, options: Options) -> Mapping[str, str]:
        """What the result depends on besides the arguments: versions, the CPU. Cheap to ask."""
