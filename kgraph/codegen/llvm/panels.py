"""Weights that a program finds packed: which products read them, and as what parameters.

Where nothing is donated, the state changes seldom. The panels in which contractions read their
right operand are then made by `prepare`, once per version of the state, and are parameters of the
program, of bytes that only the kernels understand.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from kgraph.codegen.llvm.lower.batched import region_of
from kgraph.codegen.llvm.lower.contraction import Packing
from kgraph.codegen.llvm.lower.packings import Path, packings_of
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, TensorType, Value
from kgraph.ir.ops.control import Batched
from kgraph.ir.ops.shape import AssumeShape, Reshape


@dataclass(frozen=True)
class Panels:
    """The panels of one contraction.

    Attributes:
        path: the ops whose regions lead to the contraction, and the contraction.
        packing: how they are made.
        source: the number of the parameter that they are made of.
        param: how many parameters of the function come before all panels.
    """

    path: Path
    packing: Packing
    source: int
    param: int

    @property
    def type(self) -> TensorType:
        """Of the parameter."""
        return TensorType((self.packing.nbytes,), "uint8")


def panels_of(fn: Function, known: int, target: Target) -> list[Panels]:
    """The panels that depend on the first `known` parameters alone."""
    numbers = {p: i for i, p in enumerate(fn.params[:known])}
    found = []
    for path, packing, value in _packings(fn, target):
        while isinstance(value.op, Reshape | AssumeShape):
            value = value.op.x
        if value in numbers and isinstance(packing.nbytes, int):
            found.append(Panels(path, packing, numbers[value], known))
    return found


def _packings(fn: Function, target: Target) -> Iterator[tuple[Path, Packing, Value]]:
    """All packings of a function and its regions, and the value that each is made of."""
    for op in fn.ops:
        if isinstance(op, Batched):
            region = region_of(op, target)
            for path, packing in region.packings.items():
                yield (op, *path), packing, region.source(path)
    every = {*fn.params, *[v for op in fn.ops for v in op.results]}
    for path, packing in packings_of(fn, every, target).items():
        yield path, packing, path[0].operands[packing.operand]
