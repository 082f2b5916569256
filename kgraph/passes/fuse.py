"""Fusion: runs of ops that one kernel computes without storing what lies between.

A group has one iteration space. Around its hero, a contraction, stand the elementwise ops that read the contraction's
result (the epilogue); a reduction has elementwise ops before it (the prologue) and iterates over its operand; a loop
has only elementwise ops and, at its edge, ops that move elements. A value of a group that is used elsewhere is a
further result.

The walk goes backwards. An op joins the group of its earliest reader, and a group runs at the place of its last op,
so nothing that reads a group's results runs before it and no cycle can arise. Ops that cost nothing but a register
(constants, iota, broadcasts) are copied into every group that reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from kgraph.ir import Builder, Fact, Function, Op, Shape, Value
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.index import Pad, Reverse, Slice
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import BroadcastInDim, Constant, DimSize, Iota, Transpose
from kgraph.passes.base import Pass, in_regions

_COPIED = (Constant, DimSize, Iota, BroadcastInDim)
_EDGE = (Transpose, Slice, Reverse, Pad)  # they read at another index than they write
_HEROES = (DotGeneral, Convolution)


class Fuse(Pass):
    """Puts elementwise chains, prologues of reductions and epilogues of contractions into `fusion` ops.

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


class _Groups:
    """The groups of a function."""

    def __init__(self, fn: Function, largest: int) -> None:
        self.all: list[_Group] = []
        self._largest = largest
        self._readers: dict[
            Value, list[tuple[_Group, bool]]
        ] = {}  # who reads, and at the index that it writes?
        self._returned = set(fn.results)
        for place in range(len(fn.ops) - 1, -1, -1):
            self._place(fn.ops[place], place)

    def _place(self, op: Op, place: int) -> None:
        readers = [r for v in op.results for r in self._readers.get(v, ())]
        if isinstance(op, _COPIED):
            takers = {
                g: None
                for g, same_index in readers
                if same_index
                and g.kind != "alone"
                and not (g.kind == "contract" and isinstance(op, Iota))
            }
            for g in takers:
                self._add(g, op)
            if any(
                g not in takers or not same_index for g, same_index in readers
            ) or not self._returned.isdisjoint(op.results):
                self._alone(op, place)
            return
        group = min((g for g, _ in readers), key=lambda g: g.root, default=None)
        if (
            group is not None
            and all(same for g, same in readers if g is group)
            and self._accepts(group, op)
        ):
            if isinstance(op, _HEROES):
                group.kind = "contract"
            self._add(group, op)
        else:
            self._alone(op, place)

    def _accepts(self, group: _Group, op: Op) -> bool:
        if (
            group.kind == "alone"
            or len(group.ops) >= self._largest
            or any(v.shape != group.space for v in op.results)
        ):
            return False
        if isinstance(op, _HEROES):
            return group.kind == "loop" and all(_is_epilogue(member) for member in group.ops)
        if isinstance(op, _EDGE):
            return group.kind == "loop"
        return Fact.ELEMENTWISE in op.facts

    def _alone(self, op: Op, place: int) -> None:
        if isinstance(op, Reduce):
            group = _Group(place, op.x.shape, "reduce")
        elif Fact.ELEMENTWISE in op.facts or isinstance(op, _EDGE):
            group = _Group(
                place, op.result.shape if len(op.results) == 1 else op.results[0].shape, "loop"
            )
        else:
            group = _Group(place, (), "alone")
        self.all.append(group)
        self._add(group, op)

    def _add(self, group: _Group, op: Op) -> None:
        group.ops.append(op)
        for v in op.operands:
            same_index = (
                Fact.ELEMENTWISE in op.facts or isinstance(op, Reduce)
            ) and v.shape == group.space
            self._readers.setdefault(v, []).append((group, same_index))


def _is_epilogue(op: Op) -> bool:
    return Fact.ELEMENTWISE in op.facts or isinstance(op, Constant | DimSize | BroadcastInDim)


def _emit(fn: Function, groups: _Groups) -> Function:
    at = {g.root: g for g in groups.all}
    env: dict[Value, Value] = {p: p for p in fn.params}
    inside = {
        op: g
        for g in groups.all
        for op in g.ops
        if not isinstance(op, _COPIED) or g.root == _place_of(g, op)
    }
    wanted = set(fn.results)
    for g in groups.all:
        members = set(g.ops)
        wanted.update(v for op in g.ops for v in op.operands if v.op not in members)
    ops: list[Op] = []
    for place, op in enumerate(fn.ops):
        g = at.get(place)
        if g is None:
            continue
        assert inside.get(op) is g
        if len(g.ops) == 1:
            new = op.with_operands(tuple([env[v] for v in op.operands]))
            env.update(zip(op.results, new.results, strict=True))
        else:
            outs = tuple(
                v
                for member in reversed(g.ops)
                for v in member.results
                if v in wanted and (not isinstance(member, _COPIED) or member is op)
            )
            new = _fusion(g, outs, env)
            env.update(zip(outs, new.results, strict=True))
        ops.append(new)
    return Function(fn.params, tuple(ops), tuple(env[v] for v in fn.results), fn.name)


def _place_of(group: _Group, op: Op) -> int:
    """The group's root if `op` is its last op, else -1."""
    return group.root if group.ops[0] is op else -1


def _fusion(group: _Group, outs: tuple[Value, ...], env: dict[Value, Value]) -> Op:
    """The fusion op of a group: its inputs in the order in which the body reads them."""
    body = Builder()
    inner: dict[Value, Value] = {}
    inputs: list[Value] = []
    for op in reversed(group.ops):
        for v in op.operands:
            if v not in inner:
                inner[v] = body.param(f"x{len(inputs)}", v.type)
                inputs.append(env[v])
        with body.at(op.location):
            inner.update(
                zip(
                    op.results,
                    body.append(op.with_operands(tuple([inner[v] for v in op.operands]))),
                    strict=True,
                )
            )
    return Fusion(tuple(inputs), body.function(*[inner[v] for v in outs])).located(
        group.ops[0].location
    )
