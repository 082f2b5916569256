"""Stages: what one kernel could make, and what a later one computes again rather than read.

A stage ends with an op that is not elementwise: what stands on both sides of it is not made by one
kernel. A backward pass reads what the forward pass left behind: of an exact gelu three arrays that
are all functions of one. Storing that one and computing the three again moves a third of the bytes,
and costs a few instructions for each element.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from kgraph.ir import Fact, Function, Op, Value, numpy_dtype, users
from kgraph.ir.ops.shape import BroadcastInDim, Constant, DimSize, Iota

_FREE = (Constant, DimSize, Iota, BroadcastInDim)  # every kernel makes its own
_STEPS = 12  # elementwise ops that cost less than a store and a load


def recomputed(stages: Stages) -> set[Op]:
    """The elementwise ops that kernels of a later stage compute again.

    That are those whose results are read at a later stage, where making them again leaves fewer
    bytes to store and takes few steps.
    """
    found: set[Op] = set()
    clusters: dict[frozenset[Value], list[_Cone]] = {}
    for op in stages.fn.ops:
        for v in op.results:
            if stages.is_saved(v):
                cone = stages.cone(v)
                if len(cone.ops) <= _STEPS:
                    clusters.setdefault(frozenset(cone.roots), []).append(cone)
    for roots, cones in clusters.items():
        saved = _bytes(cone.value for cone in cones)
        if _bytes(v for v in roots if not stages.is_stored(v)) < saved:
            found.update(op for cone in cones for op in cone.ops)
    return found


def _bytes(values: Iterable[Value]) -> int:
    """Of an element of each; all have one shape."""
    return sum(numpy_dtype(v.dtype).itemsize for v in values)


@dataclass(frozen=True)
class _Cone:
    """What it takes to make a value again: the ops, and the arrays of its size that they read."""

    value: Value
    ops: dict[Op, None] = field(default_factory=dict)
    roots: dict[Value, None] = field(default_factory=dict)


class Stages:
    """Which stage makes a value, and which values outlive theirs.

    `starts` has the latest stage of each op's operands, `made` the stage of each value but the
    parameters, which are of stage 0, `users` the ops that read each value.
    """

    def __init__(self, fn: Function) -> None:
        self.fn = fn
        self.users = users(fn)
        self._returned = set(fn.results)
        self.starts: dict[Op, int] = {}
        self.made: dict[Value, int] = {}
        for op in fn.ops:
            start = max((self.made.get(v, 0) for v in op.operands), default=0)
            self.starts[op] = start
            inside = Fact.ELEMENTWISE in op.facts or isinstance(op, _FREE)
            self.made.update(dict.fromkeys(op.results, start if inside else start + 1))

    def is_stored(self, v: Value) -> bool:
        """Does it lie in memory in any case?"""
        return v not in self.made or v in self._returned or not self.in_step(v)

    def in_step(self, v: Value) -> bool:
        """Do only elementwise ops of its shape read it?"""
        return all(
            Fact.ELEMENTWISE in op.facts and op.results[0].shape == v.shape
            for op in self.users.get(v, ())
        )

    def is_saved(self, v: Value) -> bool:
        """Is it an elementwise op's, and in memory for the kernels of a later stage alone?"""
        if Fact.ELEMENTWISE not in v.op.facts or v.type.rank == 0 or self.is_stored(v):
            return False
        return any(self.starts[op] > self.made[v] for op in self.users.get(v, ()))

    def cone(self, v: Value) -> _Cone:
        """Down to what is in memory or comes from an op that is not elementwise."""
        found = _Cone(v)
        pending = [v]
        while pending and len(found.ops) <= _STEPS:
            op = pending.pop().op
            if op in found.ops:
                continue
            found.ops[op] = None
            for x in op.operands:
                if isinstance(x.op, _FREE) or x.shape != v.shape:
                    continue
                if Fact.ELEMENTWISE in x.op.facts and not self.is_stored(x):
                    pending.append(x)
                else:
                    found.roots[x] = None
        return found
