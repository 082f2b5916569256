"""Single ops as loop kernels, views, constants."""

from __future__ import annotations

from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.lower.literals import literal_pointer
from kgraph.codegen.llvm.lower.loops import launch_loop
from kgraph.codegen.llvm.lower.table import lowers
from kgraph.ir import Builder, Function, Op
from kgraph.ir.ops.shape import AssumeShape, Constant, Reshape


def lower_as_loop(frame: Frame, op: Op) -> None:
    """An op by itself, as a loop kernel."""
    launch_loop(frame, as_body(op), op.operands, op.results)


def as_body(op: Op) -> Function:
    """A function of the op alone; an operand that is read twice is two parameters."""
    b = Builder()
    params = [b.param(f"x{i}", v.type) for i, v in enumerate(op.operands)]
    return b.function(*b.append(op.with_operands(tuple(params))))


@lowers(Reshape, AssumeShape)
def lower_view(frame: Frame, op: Op) -> None:
    """The plan gave the result the operand's memory, unless that is a constant's."""
    if op.result not in frame.pointers:
        frame.pointers[op.result] = frame.pointer(op.operands[0])


@lowers(Constant)
def lower_constant(frame: Frame, op: Constant) -> None:
    """Values lie in the module; only a result of the program is copied."""
    if op.result in frame.pointers:
        source = literal_pointer(frame.module, op.value)
        frame.f.copy_bytes(frame.pointer(op.result), source, len(op.value.data))
    else:
        frame.pointers[op.result] = literal_pointer(frame.module, op.value)
