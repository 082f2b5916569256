"""Where code is written: a function body with its sizes, memory and threads; kernels and launches.

A `Frame` is a function of the module in which the ops of one graph function are written one after
the other: `kgraph_run`, or the tile of a region. A `Kernel` is a function `tile(argument, index,
thread, slab)` that does a part of one op. Whoever launches it puts what it needs, pointers and
sizes, into a table; the kernel reads the table at its start. Equal kernels are emitted once.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field

from kgraph.codegen.llvm.emit import I1, I64, PTR, Function, Module, Operand, constant
from kgraph.codegen.llvm.lower.probes import Probes
from kgraph.codegen.llvm.lower.sizes import emit_size
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Op, Shape, Size, Value

_TILE = [("argument", PTR), ("index", I64), ("thread", I64), ("slab", PTR)]
_TABLE = 16  # entries of the smallest table of arguments


class Code:
    """A function being written in which sizes have values."""

    def __init__(self, f: Function, symbols: Mapping[str, Operand]) -> None:
        self.f = f
        self.symbols = symbols

    @property
    def target(self) -> Target:
        """The CPU."""
        return self.f.target

    def size(self, size: Size) -> Operand:
        """The i64 of a size."""
        return emit_size(self.f, size, self.symbols)

    def strides(self, shape: Shape) -> list[Operand]:
        """The elements between neighbours along each dim of a dense array."""
        found: list[Operand] = []
        step: Size = 1
        for d in reversed(shape):
            found.append(self.size(step))
            step = step * d
        return found[::-1]


class Kernel(Code):
    """A kernel being written: what it was launched with, and the number of its tile."""

    def __init__(
        self, f: Function, symbols: Mapping[str, Operand], arguments: Sequence[Operand]
    ) -> None:
        super().__init__(f, symbols)
        self.arguments = tuple(arguments)
        self.index = f.parameter("index")
        self.slab = f.parameter("slab")


def serial_for(module: Module) -> Operand:
    """What may stand for `parallel_for`, with a slab for the context: tiles run here, in order."""
    name = "serial_for"
    if name not in module:
        parameters = [("slab", PTR), ("tile", PTR), ("argument", PTR), ("count", I64)]
        with module.function(name, parameters, internal=True) as f:
            slab, tile, argument, count = f.parameters
            with f.loop(0, count, name="tile") as index:
                f.call_pointer(tile, [argument, index, f.index(0), slab])
    return module.address_of(name)


@dataclass
class Kernels:
    """The kernels of a module by what they do.

    `probes` where times are measured; `after` writes what has to stand behind each op.
    """

    module: Module
    probes: Probes | None = None
    after: Callable[[Frame, Op], None] | None = None
    names: dict[Hashable, str] = field(default_factory=dict)
    count: int = 0

    def named(self, label: str) -> str:
        """A new name of the module, for a function that only the module calls."""
        self.count += 1
        name = f"k{self.count}.{label}"
        self.module.private.add(name)
        return name


class Frame(Code):
    """The body of a graph function being written.

    Attributes:
        kernels: those of the module.
        context: the runtime's context, or None where threads are at work already: kernels then run
            serially. `parallel_for` is read from it, unless given.
        slab: memory for kernels that run here and not on another thread.
        packed: panels of the right operands of contractions, where they were made before, by the
            ops whose regions lead there, and the contraction.
        fresh: contractions that may have to add to what their result holds: do so where it is 0.
        path: the ops in whose regions this is, as far as `packed` counts them.
        pointers: where each value lies; `pointer` reads it.
    """

    def __init__(
        self,
        f: Function,
        kernels: Kernels,
        symbols: Mapping[str, Operand],
        context: Operand | None,
        slab: Operand,
        parallel_for: Operand | None = None,
    ) -> None:
        super().__init__(f, symbols)
        self.kernels = kernels
        self.context = context
        self.slab = slab
        self.pointers: dict[Value, Operand] = {}
        self.scratches: dict[Op, Operand] = {}
        self.packed: dict[tuple[Op, ...], Operand] = {}
        self.fresh: dict[Op, Operand] = {}
        self.path: tuple[Op, ...] = ()
        self._tables: dict[int, Operand] = {}
        self._parallel_for = parallel_for
        if context is not None and parallel_for is None:
            # Read at the head, where it dominates every use.
            self._parallel_for = f.instruction(PTR, f"load ptr, ptr {context.text}", pure=False)

    def inner(self, op: Op) -> Frame:
        """The same place, for the values of a region of `op` that is written here."""
        found = copy(self)
        found.pointers, found.scratches = {}, {}
        found.path = (*self.path, op)
        return found

    def panels(self, op: Op) -> Operand | None:
        """The panels that were made for a contraction."""
        return self.packed.get((*self.path, op))

    def serial_where(self, alone: Operand) -> Frame:
        """The same place; where `alone` holds, tiles run here, in order, and may use threads."""
        found = copy(self)
        if self.context is not None and self._parallel_for is not None:
            serial = serial_for(self.module)
            found._parallel_for = self.f.select(alone, serial, self._parallel_for)
            found.context = self.f.select(alone, self.slab, self.context)
        return found

    def in_order(self) -> Operand:
        """Whether the tiles of a launch run here, one after the other: it may as well be one."""
        if self._parallel_for is None:
            return constant(1, I1)
        return self.f.compare("EQ", self._parallel_for, serial_for(self.module))

    @property
    def module(self) -> Module:
        """The module of the function."""
        return self.f.module

    def pointer(self, value: Value) -> Operand:
        """Where the value lies: dense, in row-major order."""
        return self.pointers[value]

    def scratch(self, op: Op) -> Operand:
        """The memory that the op's lowering asked for."""
        return self.scratches[op]

    def launch(
        self,
        key: Hashable,
        label: str,
        arguments: Sequence[Operand],
        count: Operand | int,
        write: Callable[[Kernel], None],
        symbols: Sequence[str] = (),
        cold: bool = False,
    ) -> None:
        """Runs tiles 0 .. count - 1 of a kernel, on several threads where there are several tiles.

        Args:
            key: equal for kernels that do the same; it covers all that `write` depends on but the
                values of the arguments.
            label: a part of the kernel's name.
            arguments: pointers and i64 values; the kernel has them as `arguments`.
            count: how many tiles; results must not depend on the order in which they run.
            write: writes the kernel.
            symbols: those whose values the kernel needs.
            cold: the kernel does little but launch others.
        """
        f = self.f
        values = [*arguments, *(self.symbols[s] for s in symbols)]
        name = self.kernels.names.get(key)
        if name is None:
            name = self.kernels.names[key] = self.kernels.named(label)
            self._write_kernel(name, [x.type is PTR for x in values], symbols, write, cold)
        table = self._table(len(values))
        for i, value in enumerate(values):
            place = f.offset(table, i, "int64")
            f.statement(f"store {value!r}, ptr {place.text}, align 8")
        self._run(name, table, f.index(count))

    def _write_kernel(
        self,
        name: str,
        pointers: Sequence[bool],
        symbols: Sequence[str],
        write: Callable[[Kernel], None],
        cold: bool,
    ) -> None:
        with self.module.function(name, _TILE, internal=True, cold=cold) as k:
            values = []
            for i, is_pointer in enumerate(pointers):
                place = k.offset(k.parameter("argument"), i, "int64")
                kind = PTR if is_pointer else I64
                text = f"load {kind.text}, ptr {place.text}, align 8"
                values.append(k.instruction(kind, text, "a", pure=False))
            first = len(values) - len(symbols)
            write(Kernel(k, dict(zip(symbols, values[first:], strict=True)), values[:first]))

    def _table(self, count: int) -> Operand:
        """Stack memory for the arguments of a launch; the next launch may use it again."""
        size = _TABLE
        while size < count:
            size *= 2
        if size not in self._tables:
            self._tables[size] = self.f.alloca(I64, size, name="table")
        return self._tables[size]

    def _run(self, name: str, table: Operand, count: Operand) -> None:
        f, zero = self.f, self.f.index(0)
        if count.constant == 1:
            f.call(name, [table, zero, zero, self.slab])
        elif self._parallel_for is not None:
            assert self.context is not None
            tile = self.module.address_of(name)
            f.call_pointer(self._parallel_for, [self.context, tile, table, count])
        else:
            with f.loop(0, count, name="tile") as index:
                f.call(name, [table, index, zero, self.slab])
