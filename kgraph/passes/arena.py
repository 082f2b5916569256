"""Where pieces of memory lie in an arena, each of which is wanted for a part of the schedule.

Pieces whose sizes are multiples of one size (bytes, samples) share a zone of the arena, in which
offsets are numbers of that size: so they hold whatever the size is. In a zone the largest piece
comes first, and each goes to the tightest gap between those that are wanted at the same time
(greedy by size, as in Pisarchyk and Lee, arXiv:2001.03288).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from kgraph.ir import Size, floordiv, size_gcd

ALIGNMENT = 64

_Size = TypeVar("_Size", int, Size)


def aligned(nbytes: _Size) -> _Size:
    """Rounded up to a multiple of `ALIGNMENT`."""
    return (nbytes + (ALIGNMENT - 1)) // ALIGNMENT * ALIGNMENT


@dataclass(eq=False)
class Piece:
    """Memory of `nbytes` from op `first` to op `last` of the schedule, at `offset` once placed."""

    nbytes: Size
    first: int
    last: int
    offset: Size = 0


def place_pieces(pieces: Iterable[Piece]) -> Size:
    """Gives each piece an offset that is a multiple of `ALIGNMENT`; returns the arena's bytes."""
    zones: dict[Size, list[tuple[int, Piece]]] = {}
    for piece in pieces:
        unit, count = _units(piece.nbytes)
        zones.setdefault(unit, []).append((count, piece))
    total: Size = 0
    for unit, members in zones.items():
        members.sort(key=lambda member: -member[0])
        zone = _Zone(len(members))
        for count, piece in members:
            piece.offset = total + unit * zone.place(piece, count)
        total = total + unit * zone.size
    return total


def _units(nbytes: Size) -> tuple[Size, int]:
    """A size as so many of the unit of its zone, any number of which is aligned."""
    divisor = nbytes if isinstance(nbytes, int) else size_gcd(nbytes)
    rounded = aligned(divisor)
    if isinstance(nbytes, int):
        return 1, rounded
    if rounded - divisor <= divisor // 4:
        return floordiv(nbytes, divisor), rounded
    return aligned(nbytes), 1


class _Zone:
    """The pieces placed so far, in the order of their starts; arrays, since there may be many.

    Attributes:
        size: units in all.
    """

    def __init__(self, most: int) -> None:
        self.size = 0
        self._count = 0
        self._runs = np.empty((4, most), np.int64)  # start, end; first and last op

    def place(self, piece: Piece, count: int) -> int:
        """The start of the tightest gap, or of what lies behind all that are wanted meanwhile."""
        start, end, first, last = self._runs[:, : self._count]
        beside = np.flatnonzero((first <= piece.last) & (last >= piece.first))
        found = 0
        if beside.size:
            taken = np.maximum.accumulate(end[beside])
            gaps = start[beside]
            gaps[1:] -= taken[:-1]
            fitting = np.flatnonzero(gaps >= count)
            at = fitting[gaps[fitting].argmin()] if fitting.size else beside.size
            found = int(taken[at - 1]) if at else 0
        run = (found, found + count, piece.first, piece.last)
        self._insert(int(start.searchsorted(found)), run)
        self.size = max(self.size, found + count)
        return found

    def _insert(self, at: int, run: tuple[int, int, int, int]) -> None:
        self._runs[:, at + 1 : self._count + 1] = self._runs[:, at : self._count]
        self._runs[:, at] = run
        self._count += 1
