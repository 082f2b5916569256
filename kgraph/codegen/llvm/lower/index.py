"""Indices of vectors: where each lane stands along each dim, and which lanes may read memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

from kgraph.codegen.llvm.emit import I64, Function, Operand, constant


@dataclass(frozen=True, eq=False)
class Axis:
    """The index along one dim: `base` in lane 0, `step` more in each further lane.

    `step` is 0 where all lanes stand at the same index, 1 along the dim that vectors run along.
    """

    base: Operand
    step: int = 0

    def shifted(self, f: Function, amount: Operand | int) -> Axis:
        """The index plus an amount."""
        return Axis(f.add(self.base, amount), self.step)

    def scaled(self, f: Function, factor: int) -> Axis:
        """The index times a number."""
        return Axis(f.mul(self.base, factor), self.step * factor)

    def numbers(self, f: Function, lanes: int) -> Operand:
        """The index of each lane, i64."""
        if self.step == 0 or lanes == 0:
            return self.base
        numbers = f.lane_numbers(I64.with_lanes(lanes))
        return f.add(f.mul(numbers, self.step), self.base)

    @property
    def key(self) -> tuple[str, int]:
        """Equal for indices known to be equal, within one function."""
        return (self.base.text, self.step)


Index: TypeAlias = "tuple[Axis, ...]"
ZERO = Axis(constant(0, I64))


@dataclass(frozen=True, eq=False)
class Guard:
    """What has to hold for memory to be read.

    `lanes` is a mask of a vector, `whole` an i1 for all lanes. `ragged` says that all lanes may be
    off: then not even an index that all lanes share may be read.
    """

    lanes: Operand | None = None
    whole: Operand | None = None
    ragged: bool = False

    def and_lanes(self, f: Function, mask: Operand) -> Guard:
        """Only where the mask, of lanes or one for all, holds too."""
        if mask.lanes == 0:
            return replace(self, whole=mask if self.whole is None else f.and_(self.whole, mask))
        both = mask if self.lanes is None else f.and_(self.lanes, mask)
        return replace(self, lanes=both, ragged=True)

    @property
    def key(self) -> tuple[str, str]:
        """Equal for guards known to be equal, within one function."""
        lanes = "" if self.lanes is None else self.lanes.text
        return (lanes, "" if self.whole is None else self.whole.text)


ALWAYS = Guard()
