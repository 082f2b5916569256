"""Gather as a way of reading: an element of the result is one of x at a start plus an offset.

Vectors run along dims of the windows, where all lanes have one place; a result whose last dim
counts places is read element by element.
"""

from __future__ import annotations

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.element import Evaluator, Step
from kgraph.codegen.llvm.lower.frame import Code
from kgraph.codegen.llvm.lower.index import ZERO, Axis, Guard, Index
from kgraph.codegen.llvm.lower.moves import moves
from kgraph.ir import Size, is_nonnegative
from kgraph.ir.ops.gather import Gather


@moves(Gather)
def _gather(e: Evaluator, op: Gather, index: Index, guard: Guard) -> Step:
    kept = [d for d in range(op.x.type.rank) if d not in op.collapsed_slice_dims]
    axes = [ZERO] * op.x.type.rank
    for d, at in zip(kept, op.offset_dims, strict=True):
        axes[d] = index[at]
    places = [axis for i, axis in enumerate(index) if i not in op.offset_dims]
    for k, d in enumerate(op.start_index_map):
        coordinate = list(places)
        if op.index_vector_dim < op.indices.type.rank:
            coordinate.insert(op.index_vector_dim, Axis(e.f.index(k)))
        (start,) = e.read([(op.indices, tuple(coordinate), guard)])
        start = clamped(e.code, start, op.indices.dtype, op.x.shape[d] - op.slice_sizes[d])
        axes[d] = axes[d].shifted(e.f, start)
        guard = where_it_fits(e.code, guard, op.x.shape[d] - op.slice_sizes[d])
    return Step([(op.x, tuple(axes), guard)], lambda operands: (operands[0],))


def clamped(code: Code, start: Operand, dtype: str, largest: Size) -> Operand:
    """A start as i64 between 0 and the largest that fits."""
    f = code.f
    number = f.convert(start, dtype, "int64")
    limit = code.size(largest)
    if dtype == "uint64":  # the greatest ones would be negative
        return f.umin(number, f.smax(limit, 0))
    return f.smax(f.smin(number, limit), 0)


def where_it_fits(code: Code, guard: Guard, largest: Size) -> Guard:
    """Nothing is read where a window turns out to be larger than the array."""
    if is_nonnegative(largest):
        return guard
    return guard.and_lanes(code.f, code.f.compare("GE", code.size(largest), 0))
