"""Panels that are made once, before the region or loop whose contractions read them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TypeAlias

from kgraph.codegen.llvm.lower.contraction import Packing, packing_of
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Function, Op, Value
from kgraph.ir.ops.control import Scan

# The scans that lead to a contraction, outermost first, and the contraction. A packing's operand is
# one of the first op of its path.
Path: TypeAlias = "tuple[Op, ...]"
Packings: TypeAlias = "Mapping[Path, Packing]"


def packings_of(body: Function, same: Collection[Value], target: Target) -> dict[Path, Packing]:
    """The packings of the contractions whose right operand is one of `same`, in scans too."""
    found: dict[Path, Packing] = {}
    for op in body.ops:
        if isinstance(op, Scan):
            captured = {p for p in captures_of(op) if op.operands[op.body.params.index(p)] in same}
            for path, packing in packings_of(op.body, captured, target).items():
                source = path[0].operands[packing.operand]
                found[op, *path] = replace(packing, operand=op.body.params.index(source))
            continue
        own = packing_of(op, target)
        if own is not None and op.operands[own.operand] in same:
            found[op,] = own
    return found


def captures_of(op: Scan) -> tuple[Value, ...]:
    """The parameters of the body that are the same in all steps."""
    return op.body.params[len(op.init) + len(op.xs) :]
