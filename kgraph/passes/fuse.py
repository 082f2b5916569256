"""Fusion: runs of ops that one kernel computes without storing what lies between.

A group has one iteration space. Around its hero, a contraction, stand the elementwise ops that read
the contraction's result (the epilogue); a reduction has elementwise ops before it (the prologue)
and iterates over its operand; a loop has only elementwise ops and, at its edge, ops that move
elements. Loops over the same space, and reductions over the same dims, are made together where they
read the same values. A value of a group that is used elsewhere is a further result.

The walk goes backwards. An op joins the group of its earliest reader, and a group runs at the place
of its last op, so nothing that reads a group's results runs before it and no cycle can arise. Ops
that cost nothing but a register (constants, iota, broadcasts) are copied into every group that
reads them, and so are elementwise ops that a later kernel had better compute again.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kgraph.ir import Builder, Fact, Function, Op, Shape, Value
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.gather import Gather
from kgraph.ir.ops.index import Concatenate, Pad, Reverse, Slice
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import BroadcastInDim, Constant, DimSize, Iota, Transpose
from kgraph.passes.base import Pass, in_regions
from kgraph.passes.stages import Stages, recomputed

_COPIED = (Constant, DimSize, Iota, BroadcastInDim)
_EDGE = (Transpose, Slice, Reverse, Pad, Concatenate)  # they read at another index than they write
_HEROES = (DotGeneral, Convolution)
_STREAMS = 1  # the arrays of the result's size that an epilogue reads besides


class Fuse(Pass):
    """Makes `fusion` ops: loops, reductions with prologues, contractions with epilogues.

    After it, no op could join the group of its only reader. `largest` bounds the ops of a group.
    """

    name: ClassVar[str] = "fuse"
    largest: int = 128

    def run(self, fn: Function) -> Function:
        """The same results from fewer, larger ops."""
        if any(isinstance(op, Fusion) for op in fn.ops):
            return fn
        fn = in_regions(fn, self.run)
        groups = _Groups(fn, self.largest)
        return fn if all(len(g.ops) == 1 for g in groups.all) else _emit(fn, groups)


@dataclass(eq=False)
class _Group:
    """Ops that one kernel computes, last op first."""

    root: int  # the place of its last op in the function
    space: Shape
    kind: str  # loop, reduce, contract, or alone: takes nobody in
    ops: list[Op] = field(default_factory=list)
    again: set[Op] = field(default_factory=set)  # those whose results another group gives


class _Groups:
    """The groups of a function."""

    def __init__(self, fn: Function, largest: int) -> None:
        self.all: list[_Group] = []
        self._largest = largest
        # who reads, and at the index that it writes?
        self._readers: dict[Value, list[tuple[_Group, bool]]] = {}
        # the last ones seen, which run first
        self._reductions: dict[tuple[Shape, tuple[int, ...]], _Group] = {}
        self._loops: dict[Shape, _Group] = {}
        self._returned = set(fn.results)
        self._stages = Stages(fn)
        self._users = self._stages.users
        self._again = recomputed(self._stages)
        self._behind = self._behind_heroes()
        for place in range(len(fn.ops) - 1, -1, -1):
            op = fn.ops[place]
            readers = [r for v in op.results for r in self._readers.get(v, ())]
            if isinstance(op, _COPIED):
                self._copy(op, place, readers)
            else:
                self._place(op, place, readers)

    def _copy(self, op: Op, place: int, readers: list[tuple[_Group, bool]]) -> None:
        """Into every group that may have it; besides, it stays where others read it."""
        takers = {g: None for g, same_index in readers if _takes_copy(g, op, same_index)}
        # A contraction reads its operands from memory, also where its epilogue has copies.
        left = any(g not in takers for g, _ in readers)
        left = left or any(
            isinstance(user, _HEROES) for v in op.results for user in self._users.get(v, ())
        )
        for g in takers:
            self._add(g, op)
        if left or not self._returned.isdisjoint(op.results):
            self._alone(op, place)

    def _behind_heroes(self) -> set[Op]:
        """The elementwise ops that an epilogue can hold, which reads few arrays besides.

        They stay out of a reduction that reads them: their contraction cannot join it, and what is
        left of an epilogue would be a pass over memory.
        """
        streams: dict[Op, set[Value]] = {}
        for op in self._stages.fn.ops:
            if Fact.ELEMENTWISE not in op.facts:
                continue
            same = {v for v in op.operands if v.shape == op.results[0].shape}
            before = {v for v in same if self._follows(op, v, streams)}
            if not before:
                continue
            read = {x for v in same - before for x in self._read_for(v)}
            read.update(*(streams[v.op] for v in before if v.op in streams))
            if len(read) <= _STREAMS:
                streams[op] = read
        return set(streams)

    def _follows(self, op: Op, v: Value, streams: dict[Op, set[Value]]) -> bool:
        """Is v a contraction's result, or made of one in its epilogue, and op of the same stage?

        An epilogue ends with a value that several ops read.
        """
        stages = self._stages
        if v not in stages.made or stages.starts[op] != stages.made[v]:
            return False
        if v.op in streams:
            return len(self._users[v]) == 1
        return isinstance(v.op, _HEROES) and not stages.is_stored(v)

    def _read_for(self, v: Value) -> set[Value]:
        """The arrays of its size that a kernel reads for a value."""
        found: set[Value] = set()
        pending = [v]
        while pending:
            x = pending.pop()
            if x.shape != v.shape or isinstance(x.op, _COPIED):
                continue
            if x.op in self._again:
                pending += x.op.operands
            else:
                found.add(x)
        return found

    def _place(self, op: Op, place: int, readers: list[tuple[_Group, bool]]) -> None:
        readers = self._place_again(op, readers)
        group = min((g for g, _ in readers), key=lambda g: g.root, default=None)
        if isinstance(op, Reduce):
            group = self._sibling(op, group)
        elif group is None or not (
            all(same for g, same in readers if g is group) and self._accepts(group, op)
        ):
            group = self._twin(op, group)
        if group is None:
            self._alone(op, place)
            return
        if isinstance(op, _HEROES):
            group.kind = "contract"
        self._add(group, op)

    def _place_again(self, op: Op, readers: list[tuple[_Group, bool]]) -> list[tuple[_Group, bool]]:
        """Into the later groups that compute it again; returns the other readers."""
        if op not in self._again:
            return readers
        first = min((g.root for g, _ in readers), default=0)
        takers = {
            g: None
            for g, _ in readers
            if g.root > first
            and all(same for other, same in readers if other is g)
            and self._accepts(g, op)
        }
        for g in takers:
            g.again.add(op)
            self._add(g, op)
        return [r for r in readers if r[0] not in takers]

    def _sibling(self, op: Reduce, reader: _Group | None) -> _Group | None:
        """A group of reductions to join: they share what they read, nobody waits for this one."""
        found = self._reductions.get((op.x.shape, op.dims))
        if found is None or (reader is not None and reader.root <= found.root):
            return None
        if len(found.ops) >= self._largest:
            return None
        read = [op.x, *(op.x.op.operands if Fact.ELEMENTWISE in op.x.op.facts else ())]
        shared = any(g is found for v in read for g, _ in self._readers.get(v, ()))
        return found if shared else None

    def _twin(self, op: Op, reader: _Group | None) -> _Group | None:
        """A loop to join that reads the same memory, and runs before all readers of this op."""
        found = self._loops.get(op.results[0].shape)
        if found is None or found.kind != "loop" or Fact.ELEMENTWISE not in op.facts:
            return None
        if (reader is not None and reader.root <= found.root) or len(found.ops) >= self._largest:
            return None
        shared = any(same and g is found for v in op.operands for g, same in self._reads(v))
        return found if shared else None

    def _reads(self, v: Value) -> list[tuple[_Group, bool]]:
        """Who reads `v`, if it has elements of its own."""
        return [] if v.type.rank == 0 else self._readers.get(v, [])

    def _accepts(self, group: _Group, op: Op) -> bool:
        if group.kind == "alone" or len(group.ops) >= self._largest:
            return False
        if any(v.shape != group.space for v in op.results):
            return False
        if isinstance(op, _HEROES):
            return group.kind == "loop" and all(_is_epilogue(member) for member in group.ops)
        if isinstance(op, _EDGE) or (isinstance(op, Gather) and _reads_windows(op)):
            return group.kind in ("loop", "reduce")
        if group.kind == "reduce" and op in self._behind and op not in self._again:
            return False
        return Fact.ELEMENTWISE in op.facts

    def _alone(self, op: Op, place: int) -> None:
        if isinstance(op, Reduce):
            group = _Group(place, op.x.shape, "reduce")
            self._reductions[op.x.shape, op.dims] = group
        elif Fact.ELEMENTWISE in op.facts or isinstance(op, _EDGE):
            group = _Group(place, op.results[0].shape, "loop")
            self._loops[group.space] = group
        else:
            group = _Group(place, (), "alone")
        self.all.append(group)
        self._add(group, op)

    def _add(self, group: _Group, op: Op) -> None:
        group.ops.append(op)
        in_step = Fact.ELEMENTWISE in op.facts or isinstance(op, Reduce)
        for v in op.operands:
            reader = (group, in_step and v.shape == group.space)
            self._readers.setdefault(v, []).append(reader)


def _takes_copy(group: _Group, op: Op, same_index: bool) -> bool:
    if group.kind == "alone":
        return False
    if op.results[0].type.rank == 0:
        return True
    return same_index and not (group.kind == "contract" and isinstance(op, Iota))


def _reads_windows(op: Gather) -> bool:
    """Do neighbours along the last dim lie side by side, so that vectors run along it?"""
    live = [d for d, size in enumerate(op.result.shape) if size != 1]
    return bool(live) and live[-1] in op.offset_dims


def _is_epilogue(op: Op) -> bool:
    return Fact.ELEMENTWISE in op.facts or isinstance(op, Constant | DimSize | BroadcastInDim)


def _emit(fn: Function, groups: _Groups) -> Function:
    at = {g.root: g for g in groups.all}
    wanted = set(fn.results)
    for g in groups.all:
        members = set(g.ops)
        wanted.update(v for op in g.ops for v in op.operands if v.op not in members)
        wanted.update(v for op in g.ops if isinstance(op, _HEROES) for v in op.operands)
    env: dict[Value, Value] = {p: p for p in fn.params}
    ops: list[Op] = []
    for place, op in enumerate(fn.ops):
        group = at.get(place)
        if group is None:
            continue
        if len(group.ops) == 1:
            new = op.with_operands(tuple([env[v] for v in op.operands]))
            env.update(zip(op.results, new.results, strict=True))
        else:
            outs = _results_of(group, wanted)
            if not outs:
                continue  # nobody reads what it computes
            new = _fusion(group, outs, env)
            env.update(zip(outs, new.results, strict=True))
        ops.append(new)
    return Function(fn.params, tuple(ops), tuple(env[v] for v in fn.results), fn.name)


def _results_of(group: _Group, wanted: set[Value]) -> tuple[Value, ...]:
    """What others read; of a copied op they read the one that stands alone."""
    members = [op for op in reversed(group.ops) if not isinstance(op, _COPIED)]
    members = [op for op in members if op not in group.again]
    return tuple([v for op in members for v in op.results if v in wanted])


def _fusion(group: _Group, outs: tuple[Value, ...], env: dict[Value, Value]) -> Op:
    """The fusion op of a group: its inputs in the order in which the body reads them."""
    body = Builder()
    inner: dict[Value, Value] = {}
    params: dict[Value, Value] = {}
    inputs: list[Value] = []
    for op in reversed(group.ops):
        operands: list[Value] = []
        for v in op.operands:
            if v in inner and not isinstance(op, _HEROES):
                operands.append(inner[v])
                continue
            if v not in params:
                params[v] = body.param(f"x{len(inputs)}", v.type)
                inputs.append(env[v])
            operands.append(params[v])
        body.location = op.location
        made = body.append(op.with_operands(tuple(operands)))
        inner.update(zip(op.results, made, strict=True))
    results = body.function(*[inner[v] for v in outs])
    return Fusion(tuple(inputs), results).located(group.ops[0].location)
