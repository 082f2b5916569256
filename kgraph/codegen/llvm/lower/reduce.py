"""Reductions, with elementwise work before them in the same pass over memory.

The dims of the operand are kept or reduced. Where the last run of dims is kept, vectors run along
it and each lane is a sum of its own; where it is reduced, several vectors of partial sums run along
it and are combined at the end of a row. Sums are sums of sums of blocks, so that their error grows
with the logarithm of the length rather than with the length; where there are few sums and many
elements, a first kernel makes partial results of chunks, which are tiles, and a second combines
them. All orders follow from the sizes alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.combine import launch_combine
from kgraph.codegen.llvm.lower.elementwise import accumulator
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.keys import body_key, body_symbols
from kgraph.codegen.llvm.lower.reduce_kernel import ReductionKernel
from kgraph.codegen.llvm.lower.reduction import CHUNKS, Reduction
from kgraph.codegen.llvm.lower.tiling import divided_up
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Size, Value


def launch_reduce(
    frame: Frame,
    scratch: Operand | None,
    body: Function,
    inputs: Sequence[Value],
    outputs: Sequence[Value],
) -> None:
    """Lowers a body with reductions over values."""
    places = [frame.pointer(v) for v in (*inputs, *outputs)]
    _launch(frame, Reduction.of(body, frame.target), scratch, places)


def reduce_scratch(body: Function, target: Target) -> Size:
    """The bytes that `launch_reduce` wants."""
    return Reduction.of(body, target).scratch()


def _launch(
    frame: Frame, plan: Reduction, scratch: Operand | None, places: Sequence[Operand]
) -> None:
    """Runs the kernel and, where there are chunks, the one that combines them."""

    def write(k: Kernel) -> None:
        ReductionKernel.of(plan, k).write()

    f = frame.f
    sizes = plan.sizes(frame)
    count = plan.tiling(frame, sizes).count()
    places = list(places)
    chunks = f.index(1)
    if plan.chunk:
        assert scratch is not None
        size = plan.length(frame, sizes)
        # Of no elements one chunk remains, which gives the identity.
        chunks = f.smax(divided_up(frame, size, plan.chunk_length(frame, size)), 1)
        places.append(scratch)
    key = ("reduce", body_key(plan.body), plan.lanes, plan.elements, plan.chunk)
    frame.launch(key, "reduce", places, f.mul(count, chunks), write, body_symbols(plan.body))
    if plan.chunk:
        assert scratch is not None
        kept = frame.size(plan.reduces[0].result.type.size)
        results = places[len(plan.body.params) :]
        for i, op in enumerate(plan.reduces):
            part = f.offset_bytes(scratch, f.mul(kept, 8 * CHUNKS * i))
            into = results[plan.body.results.index(op.result)]
            dtypes = (accumulator(op.x.dtype), op.x.dtype)
            launch_combine(frame, op.kind, dtypes, (part, into), kept, chunks)
