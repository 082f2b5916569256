"""Code behind each op that looks for NaN in its results, for `Options.find_nan`.

The module gets the variable `kgraph_probes`: 0, or the number of the first op that gave a NaN,
counted from 1. Ops run one after the other, so whichever comes first is where the NaN came from.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kgraph.codegen.llvm.emit import I64, PTR, Module, Operand, View
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.probes import probe_of
from kgraph.codegen.llvm.lower.tiling import divided_up
from kgraph.codegen.probe import PROBES, Probe
from kgraph.ir import Op, Value, is_float, numpy_dtype
from kgraph.ir.ops.shape import Constant

_ELEMENTS = 1 << 14  # of a tile


@dataclass
class NanFinder:
    """Writes the search; `found` has the ops in order."""

    module: Module
    found: list[Probe] = field(default_factory=list)

    def after(self, frame: Frame, op: Op) -> None:
        """Looks through the op's results."""
        if isinstance(op, Constant):
            return
        self.found.append(probe_of(op))
        for v in op.results:
            if is_float(v.dtype):
                self._search(frame, v)

    def finish(self) -> tuple[Probe, ...]:
        """Defines the variable; all ops in order."""
        self.module.global_variable(PROBES, "global i64 0, align 64")
        return tuple(self.found)

    def _search(self, frame: Frame, v: Value) -> None:
        f, size = frame.f, frame.size(v.type.size)
        arguments = [frame.pointer(v), size, f.index(len(self.found))]
        tiles = divided_up(frame, size, _ELEMENTS)
        frame.launch(("nan", v.dtype), "nan", arguments, tiles, lambda k: _write(k, v.dtype))


def _write(k: Kernel, dtype: str) -> None:
    f = k.f
    values, size, number = k.arguments
    first = f.mul(k.index, _ELEMENTS)
    view = View(f.offset(values, first, dtype), dtype, (1,))
    wide = dtype if dtype in ("float32", "float64") else "float32"

    def body(i: Operand, mask: Operand | None) -> None:
        x = f.convert(f.load(view, [i], lanes, mask=mask), dtype, wide)
        with f.when(f.reduce_lanes(f.is_nan(x), f.or_)):
            place, none = Operand(PTR, "@" + PROBES), f.index(0)
            text = f"cmpxchg ptr {place.text}, {none!r}, {number!r} monotonic monotonic"
            f.instruction(I64, text, "before", pure=False)

    lanes = k.target.lanes(numpy_dtype(wide).itemsize)
    f.strips(f.smin(f.sub(size, first), _ELEMENTS), lanes, body)
