"""Windows at starts that operands give: reading one, and replacing one."""

from __future__ import annotations

from kgraph.codegen.llvm.lower.copies import launch_copy_of
from kgraph.codegen.llvm.lower.element import Evaluator, Step
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.gather import clamped, where_it_fits
from kgraph.codegen.llvm.lower.grid import Grid
from kgraph.codegen.llvm.lower.index import ALWAYS, Guard, Index
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.loop_ops import as_body
from kgraph.codegen.llvm.lower.moves import moves
from kgraph.codegen.llvm.lower.table import lowers
from kgraph.ir.ops.index import DynamicSlice, DynamicUpdateSlice


@moves(DynamicSlice)
def _dynamic_slice(e: Evaluator, op: DynamicSlice, index: Index, guard: Guard) -> Step:
    axes = list(index)
    for d, start in enumerate(op.starts):
        largest = op.x.shape[d] - op.sizes[d]
        if largest == 0:
            continue
        (number,) = e.read([(start, (), ALWAYS)])
        axes[d] = axes[d].shifted(e.f, clamped(e.code, number, start.dtype, largest))
        guard = where_it_fits(e.code, guard, largest)
    return Step([(op.x, tuple(axes), guard)], lambda operands: (operands[0],))


@lowers(DynamicUpdateSlice)
def lower_dynamic_update_slice(frame: Frame, op: DynamicUpdateSlice) -> None:
    """A copy of x, unless the result lies where x does, then the window over it."""
    launch_copy_of(frame, frame.pointer(op.result), frame.pointer(op.x), op.x.type)
    places = [frame.pointer(v) for v in (op.result, op.update, *op.starts)]
    grid = Grid.of(op.update.shape, [op.update.dtype], frame.target)

    def write(k: Kernel) -> None:
        result, update, *starts = k.arguments
        f = k.f
        first = [
            clamped(k, f.load_at(base, v.dtype), v.dtype, n - size)
            for base, v, n, size in zip(starts, op.starts, op.x.shape, op.update.shape, strict=True)
        ]
        fits = ALWAYS
        for n, size in zip(op.x.shape, op.update.shape, strict=True):
            fits = where_it_fits(k, fits, n - size)
        e = Evaluator(k, as_body(op), {}, grid.lanes)

        def element(index: Index, guard: Guard) -> None:
            value = e.load_from(update, op.update.type, index, guard)
            at = tuple(axis.shifted(f, start) for axis, start in zip(index, first, strict=True))
            e.store(result, op.x.type, at, guard, value)

        if fits.whole is None:
            grid.each(k, e, element)
        else:
            with f.when(fits.whole):
                grid.each(k, e, element)

    grid.launch(frame, ("dynamic_update_slice", op_key(op)), op.name, places, write, op_symbols(op))
