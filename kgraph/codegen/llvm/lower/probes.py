"""Probes: code around each op that adds up its time, for `Options.profile`.

The module gets a variable, `kgraph_probes`, with two words per probe: nanoseconds and executions.
Threads add to them atomically, so inside of regions the times of all threads add up; the probe of
a region's tiles, which encloses them, says how much that is in all.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from kgraph.codegen.llvm.emit import I32, I64, PTR, Function, Module, Operand, constant
from kgraph.codegen.probe import PROBES, Probe
from kgraph.ir import Op, Size, flops, traffic
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Batched, Case, Fusion, If, Scan, While
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import BroadcastInDim, Constant

_OUTER = (Batched, Case, If, Scan, While)  # the ops inside have probes of their own
_HEAVY = (Convolution, DotGeneral, Reduce)
_MONOTONIC = constant(1, I32)  # the clock that no change of the time of day moves


@dataclass
class Probes:
    """The probes of a module."""

    module: Module
    found: list[Probe] = field(default_factory=list)
    _open: list[int] = field(default_factory=list)

    @property
    def current(self) -> int:
        """The number of the probe that is being written, -1 outside of all."""
        return self._open[-1] if self._open else -1

    @contextmanager
    def around(self, f: Function, probe: Probe) -> Iterator[None]:
        """Measures what is written meanwhile."""
        number = len(self.found)
        self.found.append(probe)
        self._open.append(number)
        start = self._now(f)
        yield
        self._add(f, 2 * number, f.sub(self._now(f), start))
        self._add(f, 2 * number + 1, f.index(1))
        self._open.pop()

    def tiles(self, over: Size, block: int) -> Probe:
        """The probe of a region's tiles."""
        return Probe(op="tiles", parent=self.current, over=over, block=block)

    def finish(self) -> tuple[Probe, ...]:
        """Defines the variable; all probes in order."""
        words = max(2 * len(self.found), 1)
        self.module.global_variable(PROBES, f"global [{words} x i64] zeroinitializer, align 64")
        return tuple(self.found)

    def _add(self, f: Function, word: int, amount: Operand) -> None:
        place = f.offset(Operand(PTR, "@" + PROBES), word, "int64")
        text = f"atomicrmw add ptr {place.text}, {amount!r} monotonic"
        f.instruction(I64, text, "before", pure=False)

    def _now(self, f: Function) -> Operand:
        if "nanoseconds" not in self.module:
            with self.module.function("nanoseconds", [], returns=I64, internal=True) as g:
                time = g.alloca(I64, 2, name="time")
                g.call_symbol("clock_gettime", I32, [_MONOTONIC, time])
                seconds = g.load_at(time, "int64")
                rest = g.load_at(g.offset(time, 1, "int64"), "int64")
                g.ret(g.add(g.mul(seconds, 1_000_000_000), rest))
        return f.call("nanoseconds", [])


def probe_of(op: Op, parent: int = -1) -> Probe:
    """The probe of an op."""
    main = _main(op)
    return Probe(
        op=_name(op),
        result=", ".join(str(v.type) for v in op.results),
        path=main.location.path,
        line=f"{main.location.file}:{main.location.line}" if main.location.file else "",
        parent=parent,
        flops=0 if isinstance(op, _OUTER) else flops(op),
        nbytes=0 if isinstance(op, _OUTER) else traffic(op),
    )


def _main(op: Op) -> Op:
    """The part of a fusion that it is named after: the one with the most work, else the last."""
    if not isinstance(op, Fusion):
        return op
    parts = op.body.ops
    return next((x for kind in _HEAVY for x in parts if isinstance(x, kind)), parts[-1])


def _name(op: Op) -> str:
    if not isinstance(op, Fusion):
        return op.name
    names = [part.name for part in op.body.ops if not isinstance(part, Constant | BroadcastInDim)]
    main = _main(op).name
    others = [name for name in dict.fromkeys(names) if name != main]
    return "+".join([main, *others])
