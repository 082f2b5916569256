"""Fusions: the kind of kernel that a body wants."""

from __future__ import annotations

from kgraph.codegen.llvm.lower.dot import dot_scratch, dot_slab, lower_dot
from kgraph.codegen.llvm.lower.epilogue import Contraction
from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.lower.loop_ops import as_body
from kgraph.codegen.llvm.lower.loops import launch_loop
from kgraph.codegen.llvm.lower.reduce import launch_reduce, reduce_scratch
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch, wants_slab
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Op, Size
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.reduce import Reduce


def hero(body: Function) -> Op | None:
    """The op that decides on the kernel: a contraction or a reduction."""
    for op in body.ops:
        if isinstance(op, DotGeneral | Convolution | Reduce):
            return op
    return None


@lowers(Fusion)
def lower_fusion(frame: Frame, op: Fusion) -> None:
    """One kernel for the body."""
    chief = hero(op.body)
    if chief is None:
        launch_loop(frame, op.body, op.inputs, op.results)
    elif isinstance(chief, Reduce):
        launch_reduce(frame, frame.scratches.get(op), op.body, op.inputs, op.results)
    else:
        lower_contraction(frame, op, chief)


@lowers(DotGeneral)
def lower_single_contraction(frame: Frame, op: Op) -> None:
    """A contraction by itself."""
    lower_contraction(frame, op, op)


def lower_contraction(frame: Frame, op: Op, chief: Op) -> None:
    """A contraction and what follows it on its sums."""
    lower_dot(frame, Contraction.of(op, chief), frame.scratches.get(op))


@wants_slab(Fusion, DotGeneral)
def contraction_slab(op: Op, target: Target) -> Size:
    """What a tile of a contraction wants for itself."""
    chief = hero(op.body) if isinstance(op, Fusion) else op
    if isinstance(chief, DotGeneral):
        return dot_slab(Contraction.of(op, chief), target)
    return 0


@lowers(Reduce)
def lower_reduce(frame: Frame, op: Reduce) -> None:
    """A reduction of a value in memory."""
    launch_reduce(frame, frame.scratches.get(op), as_body(op), op.operands, op.results)


@wants_scratch(Reduce)
def single_scratch(op: Reduce, target: Target) -> Size:
    """What the kernel wants."""
    return reduce_scratch(as_body(op), target)


@wants_scratch(Fusion, DotGeneral)
def fusion_scratch(op: Op, target: Target) -> Size:
    """What the kernel wants."""
    chief = hero(op.body) if isinstance(op, Fusion) else op
    if isinstance(chief, DotGeneral):
        return dot_scratch(Contraction.of(op, chief), target)
    return reduce_scratch(op.body, target) if isinstance(op, Fusion) and chief else 0
