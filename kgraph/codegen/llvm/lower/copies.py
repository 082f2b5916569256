"""Copies of rows that lie apart: one kernel for all shapes."""

from __future__ import annotations

from dataclasses import dataclass

from kgraph.codegen.llvm.emit import Operand
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.tiling import divided_up
from kgraph.ir import TensorType, numpy_dtype, product

_BYTES = 1 << 16  # of a tile


@dataclass(frozen=True)
class Rows:
    """Where rows lie: the first one, and the bytes from row to row."""

    base: Operand
    stride: Operand


def launch_copy(frame: Frame, to: Rows, source: Rows, count: Operand, length: Operand) -> None:
    """Copies `count` rows of `length` bytes; the two places share no byte."""
    f = frame.f
    height = f.smax(f.udiv(f.index(_BYTES), f.smax(length, 1)), 1)
    arguments = [to.base, source.base, to.stride, source.stride, count, length, height]
    frame.launch("copy", "copy", arguments, divided_up(frame, count, height), _write)


def _write(k: Kernel) -> None:
    f = k.f
    to, source, to_stride, source_stride, count, length, height = k.arguments
    first = f.mul(k.index, height)
    with f.loop(first, f.smin(f.add(first, height), count), name="row") as row:
        target = f.offset_bytes(to, f.mul(row, to_stride))
        f.copy_bytes(target, f.offset_bytes(source, f.mul(row, source_stride)), length)


def launch_copy_of(frame: Frame, to: Operand, source: Operand, type_: TensorType) -> None:
    """Copies a dense array, unless the two places are one."""
    f = frame.f
    item = numpy_dtype(type_.dtype).itemsize
    rows = frame.size(product(type_.shape[:-1]))
    length = frame.size(product(type_.shape[-1:]) * item)
    with f.when(f.compare("NE", to, source)):
        launch_copy(frame, Rows(to, length), Rows(source, length), rows, length)
