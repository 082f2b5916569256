"""Fusions: the kind of kernel that a body wants."""

from __future__ import annotations

from kgraph.codegen.llvm.lower.contraction import (
    contraction_scratch,
    contraction_slab,
    lower_contraction,
)
from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.lower.loop_ops import as_body
from kgraph.codegen.llvm.lower.loops import launch_loop
from kgraph.codegen.llvm.lower.reduce import launch_reduce, reduce_scratch
from kgraph.codegen.llvm.lower.rows import is_of_rows, launch_rows, rows_slab
from kgraph.codegen.llvm.lower.table import lowers, wants_scratch, wants_slab
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Op, Size
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.reduce import Reduce


def hero_of(body: Function) -> Op | None:
    """The op that decides on the kernel: a contraction or a reduction."""
    for op in body.ops:
        if isinstance(op, DotGeneral | Convolution | Reduce):
            return op
    return None


@lowers(Fusion)
def lower_fusion(frame: Frame, op: Fusion) -> None:
    """One kernel for the body."""
    hero = hero_of(op.body)
    if hero is None:
        launch_loop(frame, op.body, op.inputs, op.results)
    elif isinstance(hero, Reduce) and is_of_rows(op.body):
        launch_rows(frame, op.body, op.inputs, op.results)
    elif isinstance(hero, Reduce):
        launch_reduce(frame, frame.scratches.get(op), op.body, op.inputs, op.results)
    else:
        lower_contraction(frame, op, hero)


@wants_scratch(Fusion)
def fusion_scratch(op: Fusion, target: Target) -> Size:
    """What the kernel wants."""
    hero = hero_of(op.body)
    if hero is None:
        return 0
    if isinstance(hero, Reduce):
        return 0 if is_of_rows(op.body) else reduce_scratch(op.body, target)
    return contraction_scratch(op, hero, target)


@wants_slab(Fusion)
def fusion_slab(op: Fusion, target: Target) -> Size:
    """What a tile wants for itself."""
    hero = hero_of(op.body)
    if hero is None:
        return 0
    if isinstance(hero, Reduce):
        return rows_slab(op.body, target) if is_of_rows(op.body) else 0
    return contraction_slab(op, hero, target)


@lowers(Reduce)
def lower_reduce(frame: Frame, op: Reduce) -> None:
    """A reduction of a value in memory."""
    launch_reduce(frame, frame.scratches.get(op), as_body(op), op.operands, op.results)


@wants_scratch(Reduce)
def single_scratch(op: Reduce, target: Target) -> Size:
    """What the kernel wants."""
    return reduce_scratch(as_body(op), target)
