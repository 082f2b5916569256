"""Memory planning: where each value of a function lies while it runs.

A plan stands beside the graph and changes nothing in it. Values share memory where their lives do
not overlap (`arena.py`), sizes may name symbols, and all offsets are sizes that are known when the
program starts: one arena for a call. A value may take over the memory of an operand that dies at
its op, a result that of a parameter that the caller donates, and a reshape is only another view.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from kgraph.ir import Fact, Function, Op, Size, TensorType, Value
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.shape import AssumeShape, Reshape
from kgraph.passes.arena import Piece, place_pieces

_VIEWS = (Reshape, AssumeShape)  # their results are their operands, in memory


@dataclass(frozen=True)
class Param:
    """The value lies in the buffer of parameter `index`."""

    index: int


@dataclass(frozen=True)
class Result:
    """The value lies in the buffer of result `index`."""

    index: int


@dataclass(frozen=True)
class Arena:
    """The value lies in the arena, `offset` bytes from its start."""

    offset: Size


@dataclass(frozen=True)
class Elsewhere:
    """The code has the value in a place of its own, such as a constant."""


Place: TypeAlias = "Param | Result | Arena | Elsewhere"
MayOverwrite: TypeAlias = Callable[[Op, int, int], bool]  # (op, operand, result)


@dataclass(frozen=True)
class MemoryPlan:
    """Places of all values, and what to do at the end.

    Attributes:
        places: where each value lies.
        scratch: the offsets in the arena of what ops want while they run.
        copies: (value, index of the result): to be copied when all ops have run, as if at once. One
            copy's buffer may be a donated parameter that another reads.
        arena: its bytes.
    """

    places: Mapping[Value, Place]
    scratch: Mapping[Op, Size]
    copies: tuple[tuple[Value, int], ...]
    arena: Size


@dataclass(eq=False)
class _Buffer:
    """Memory that a value and its views share."""

    place: Place | Piece
    last: int = -1  # the place in the schedule of the last op that reads it
    fixed: bool = False  # not to be written again: a parameter


def plan_memory(
    fn: Function,
    *,
    donated: Mapping[int, int] | None = None,
    scratch: Callable[[Op], Size] = lambda op: 0,
    in_place: MayOverwrite | None = None,
    elsewhere: Callable[[Op], bool] = lambda op: False,
) -> MemoryPlan:
    """Places for all values of `fn`.

    `donated` maps a result's index to the parameter whose buffer it may be written to. `scratch`
    gives the bytes that an op wants while it runs. `in_place(op, operand, result)` says whether the
    op may write that result over that operand; by default `writes_over`. What `elsewhere` names
    gets memory only where it is a result of `fn`.
    """
    may = in_place or writes_over
    last = _last_reads(fn)
    plan = _Planner(fn, last, _direct_results(fn, donated or {}, last, may), may)
    for at, op in enumerate(fn.ops):
        plan.place(op, at, elsewhere(op), scratch(op))
    return plan.finish()


class _Planner:
    """Walks the schedule: which values share a buffer, and for how long it is wanted."""

    def __init__(
        self, fn: Function, last: dict[Value, int], direct: dict[Value, int], may: MayOverwrite
    ) -> None:
        self._fn, self._last, self._direct, self._may = fn, last, direct, may
        self._scratch: dict[Op, Piece] = {}
        self._buffer = {
            p: _Buffer(Param(i), last.get(p, -1), fixed=True) for i, p in enumerate(fn.params)
        }

    def place(self, op: Op, at: int, elsewhere: bool, scratch: Size) -> None:
        """Buffers for the results of the op, and its scratch memory."""
        for k, v in enumerate(op.results):
            if elsewhere and v not in self._direct:
                self._buffer[v] = _Buffer(Elsewhere(), fixed=True)
            else:
                self._buffer[v] = self._buffer_for(op, at, k)
        if scratch != 0:
            self._scratch[op] = Piece(scratch, at, at)

    def _buffer_for(self, op: Op, at: int, k: int) -> _Buffer:
        v = op.results[k]
        if isinstance(op, _VIEWS):
            buffer = self._buffer[op.x]
            buffer.last = max(buffer.last, self._last.get(v, at))
            return buffer
        if v in self._direct:
            return _Buffer(Result(self._direct[v]), self._last.get(v, at), fixed=True)
        for j in range(len(op.operands)):
            if self._dies_in_step(op, at, j, k):
                buffer = self._buffer[op.operands[j]]
                buffer.last = self._last.get(v, at)
                return buffer
        return _Buffer(Piece(_nbytes(v.type), at, at), self._last.get(v, at))

    def _dies_in_step(self, op: Op, at: int, j: int, k: int) -> bool:
        """May result k take over the memory of operand j?"""
        buffer = self._buffer[op.operands[j]]
        if not isinstance(buffer.place, Piece) or buffer.fixed or buffer.last > at:
            return False
        others = (*op.operands[:j], *op.operands[j + 1 :], *op.results[:k])
        return self._may(op, j, k) and all(self._buffer[x] is not buffer for x in others)

    def finish(self) -> MemoryPlan:
        """The plan, now that it is known how long each buffer is wanted."""
        pieces = {piece: None for piece in self._scratch.values()}
        for buffer in self._buffer.values():
            if isinstance(buffer.place, Piece):
                buffer.place.last = buffer.last
                pieces[buffer.place] = None
        total = place_pieces(pieces)
        places: dict[Value, Place] = {}
        for v, buffer in self._buffer.items():
            place = buffer.place
            places[v] = Arena(place.offset) if isinstance(place, Piece) else place
        copies = tuple((v, i) for i, v in enumerate(self._fn.results) if places[v] != Result(i))
        scratch = {op: piece.offset for op, piece in self._scratch.items()}
        return MemoryPlan(places, scratch, copies, total)


@lru_cache(maxsize=4096)  # types are interned, and a program has few of them
def _nbytes(type_: TensorType) -> Size:
    return type_.nbytes


def writes_over(op: Op, operand: int, result: int) -> bool:
    """May this result be written over that operand: is each element read where it is written?"""
    x, y = op.operands[operand], op.results[result]
    if x.type is not y.type or op.operands.count(x) > 1:
        return False
    if isinstance(op, Fusion):
        return _read_in_step(op, operand)
    return Fact.ELEMENTWISE in op.facts


def _read_in_step(op: Fusion, operand: int) -> bool:
    """Is the operand read by elementwise ops alone, in a body that is a loop of elementwise ops?"""
    p = op.body.params[operand]
    if any(v.shape != p.shape for v in op.body.results):
        return False
    for inner in op.body.ops:
        if Fact.ELEMENTWISE not in inner.facts and (
            p in inner.operands or any(v.shape == p.shape for v in inner.operands)
        ):
            return False
    return True


def _last_reads(fn: Function) -> dict[Value, int]:
    """Where each value's memory is read last, also through views; after all ops for a result."""
    last: dict[Value, int] = {v: len(fn.ops) for v in fn.results}
    for at in range(len(fn.ops) - 1, -1, -1):
        op = fn.ops[at]
        for v in op.operands:
            reads = last.get(op.result, at) if isinstance(op, _VIEWS) else at
            last[v] = max(last.get(v, -1), at, reads)
    return last


def _direct_results(
    fn: Function,
    donated: Mapping[int, int],
    last: dict[Value, int],
    may: MayOverwrite,
) -> dict[Value, int]:
    """The values that are written straight to a result's buffer, with the result's index.

    A donated parameter's buffer may be written by an op after its last reader, or by the last
    reader in step.
    """
    found: dict[Value, int] = {}
    where = {op: at for at, op in enumerate(fn.ops)}
    for i, v in enumerate(fn.results):
        if v in found or v.op not in where or isinstance(v.op, _VIEWS):
            continue
        if i in donated:
            p = fn.params[donated[i]]
            reads = [j for j, x in enumerate(v.op.operands) if _root(x) is p]
            in_step = len(reads) == 1 and may(v.op, reads[0], v.index)
            if last.get(p, -1) > where[v.op] or (reads and not in_step):
                continue
        found[v] = i
    return found


def _root(v: Value) -> Value:
    """The value of which `v` is a view."""
    while isinstance(v.op, _VIEWS):
        v = v.op.x
    return v
