"""The table of lowerings: op class -> the function that writes its code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from kgraph.codegen.llvm.lower.element import MOVES
from kgraph.codegen.llvm.lower.elementwise import RULES
from kgraph.codegen.llvm.lower.frame import Frame
from kgraph.codegen.llvm.target import Target
from kgraph.ir import OPS, Fact, Op, Size

# lowering(frame, op): reads `frame.pointer(v)` of the operands, writes those of the results.
Lowering = Callable[[Frame, Op], None]
# scratch(op, target): the bytes of memory that a lowering wants while it runs: `frame.scratch(op)`.
Scratch = Callable[[Op, Target], Size]
LOWERINGS: dict[type[Op], Lowering] = {}
SCRATCH: dict[type[Op], Scratch] = {}
# The bytes of memory that each thread wants for itself: a kernel's `slab`.
SLAB: dict[type[Op], Scratch] = {}

AnyLowering = TypeVar("AnyLowering", bound="Callable[..., None]")
AnyScratch = TypeVar("AnyScratch", bound="Callable[..., Size]")


def lowers(*classes: type[Op]) -> Callable[[AnyLowering], AnyLowering]:
    """Adds a lowering to the table."""

    def add(function: AnyLowering) -> AnyLowering:
        for cls in classes:
            LOWERINGS[cls] = function
        return function

    return add


def wants_scratch(*classes: type[Op]) -> Callable[[AnyScratch], AnyScratch]:
    """Adds a function that says how much memory the lowering of these ops wants."""

    def add(function: AnyScratch) -> AnyScratch:
        for cls in classes:
            SCRATCH[cls] = function
        return function

    return add


def wants_slab(*classes: type[Op]) -> Callable[[AnyScratch], AnyScratch]:
    """Adds a function that says how much memory a tile of these ops wants for itself."""

    def add(function: AnyScratch) -> AnyScratch:
        for cls in classes:
            SLAB[cls] = function
        return function

    return add


def is_loop(op: Op) -> bool:
    """Is the op a loop kernel by itself: elementwise, or a way of reading?"""
    return op.name in RULES if Fact.ELEMENTWISE in op.facts else type(op) in MOVES


def missing() -> list[str]:
    """The names of the ops without a lowering that have no decomposition either."""
    return sorted(
        name
        for name, cls in OPS.items()
        if name != "param" and cls.decompose is Op.decompose and not _known(cls)
    )


def _known(cls: type[Op]) -> bool:
    return cls in LOWERINGS or cls in MOVES or cls.name in RULES
