"""The index space of a kernel: the dims of a shape, neighbours merged where every access allows it.

Two neighbouring dims are one long dim for a value that has both, side by side and whole, or has
neither. `[batch, 26, 26, 64]` is one flat dim for an addition, and `[batch*26*26, 64]` for that of
a bias. In the index of a merged run of dims the last dim counts through all of it and the others
are 0: with dense arrays that is the same address, so that bodies need no rewriting.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, TypeAlias

from kgraph.codegen.llvm.lower.index import ZERO, Axis, Index
from kgraph.codegen.llvm.lower.literals import scalar_literal
from kgraph.ir import Fact, Function, Op, Shape, Size, Value, product
from kgraph.ir.ops.gather import Gather
from kgraph.ir.ops.index import Concatenate, Pad, Reverse, Slice
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import AssumeShape, BroadcastInDim, Constant, Iota, Transpose


@dataclass(frozen=True)
class Space:
    """Runs of dims of `shape`, outermost first; dims of size 1 are in none."""

    shape: Shape
    runs: tuple[tuple[int, ...], ...]

    @property
    def sizes(self) -> tuple[Size, ...]:
        """The size of each run."""
        return tuple(product(self.shape[d] for d in run) for run in self.runs)

    def index(self, axes: Sequence[Axis]) -> Index:
        """The index in the dims of the shape from one in the runs."""
        found = [ZERO] * len(self.shape)
        for run, axis in zip(self.runs, axes, strict=True):
            found[run[-1]] = axis
        return tuple(found)


# For each dim of a value: the dim of the space that it follows, and whether it follows it as it is.
Follows: TypeAlias = "tuple[tuple[int, bool], ...]"
_NEW = (-1, True)


def space_of(
    body: Function, roots: Iterable[Value], shape: Shape, labels: Sequence[object] = ()
) -> Space:
    """The space of all `roots`, which have that shape. Dims of different labels are not merged."""
    live = [d for d in range(len(shape)) if shape[d] != 1]
    joined = {(d, e): not labels or labels[d] == labels[e] for d, e in pairwise(live)}
    identity = tuple((d, True) for d in range(len(shape)))
    for v, follows in accesses(body, roots, identity):
        kept = [f for f, size in zip(follows, v.shape, strict=True) if size != 1]
        for pair in joined:
            joined[pair] = joined[pair] and _side_by_side(kept, *pair)
    runs: list[list[int]] = []
    for d in live:
        if runs and joined[runs[-1][-1], d]:
            runs[-1].append(d)
        else:
            runs.append([d])
    return Space(shape, tuple(map(tuple, runs)))


def _side_by_side(follows: Sequence[tuple[int, bool]], d: int, e: int) -> bool:
    """Does a value with these dims have both, adjacent and as they are, or neither?"""
    places = [i for i, (dim, _) in enumerate(follows) if dim in (d, e)]
    if not places:
        return True
    i = places[0]
    return len(places) == 2 and list(follows[i : i + 2]) == [(d, True), (e, True)]


def accesses(
    body: Function, roots: Iterable[Value], identity: Follows
) -> list[tuple[Value, Follows]]:
    """All values of the body that have dims, each with the ways its dims follow the space."""
    found: dict[Value, set[Follows]] = {}
    for v in roots:
        found.setdefault(v, set()).add(identity)
    for op in reversed(body.ops):
        ways = {way for v in op.results for way in found.get(v, ())}
        for way in ways:
            for v, follows in _followed(op, way):
                if v.type.rank:
                    found.setdefault(v, set()).add(follows)
            counted = _counted_dims(op)
            if counted:
                marked = [(d, p and k not in counted) for k, (d, p) in enumerate(way)]
                found[op.results[0]].add(tuple(marked))
    return [
        (v, way)
        for v, ways in found.items()
        for way in ways
        if not (isinstance(v.op, Constant) and scalar_literal(v.op.value) is not None)
    ]


def _counted_dims(op: Op) -> list[int]:
    """The dims whose index decides by itself on the result, whatever is read at it.

    A counter along one dim of several is no counter along their run.
    """
    if isinstance(op, Iota):
        return [op.dim]
    if isinstance(op, Pad | Concatenate):
        return [d for d, moved in enumerate(_moved_dims(op)) if moved]
    return []


def _followed(op: Any, way: Follows) -> list[tuple[Value, Follows]]:
    """The operands with their dims' ways."""
    if Fact.ELEMENTWISE in op.facts:
        return [(v, way if v.type.rank else ()) for v in op.operands]
    if isinstance(op, BroadcastInDim):
        pairs = zip(op.x.shape, op.dims, strict=True)
        return [(op.x, tuple(_NEW if size == 1 else way[d] for size, d in pairs))]
    if isinstance(op, Transpose):
        inverse = sorted(range(len(op.perm)), key=op.perm.__getitem__)
        return [(op.x, tuple(way[k] for k in inverse))]
    if isinstance(op, AssumeShape):
        return [(op.x, way)]
    if isinstance(op, Gather):
        return _followed_by_gather(op, way)
    if isinstance(op, Reduce):
        return []  # what is reduced is a root of its own
    moved = _moved_dims(op)
    changed = tuple((d, p and not m) for (d, p), m in zip(way, moved, strict=True))
    return [(v, changed if v.type.rank else ()) for v in op.operands]


def _followed_by_gather(op: Gather, way: Follows) -> list[tuple[Value, Follows]]:
    """Dims of x follow the windows, those of the indices the places."""
    windows = iter(op.offset_dims)
    of_x = []
    for d, (size, cut) in enumerate(zip(op.x.shape, op.slice_sizes, strict=True)):
        if d in op.collapsed_slice_dims:
            of_x.append(_NEW)
            continue
        dim, plain = way[next(windows)]
        of_x.append((dim, plain and d not in op.start_index_map and size == cut))
    places = [pair for i, pair in enumerate(way) if i not in op.offset_dims]
    if op.index_vector_dim < op.indices.type.rank:
        places.insert(op.index_vector_dim, _NEW)
    return [(op.x, tuple(of_x)), (op.indices, tuple(places))]


def _moved_dims(op: Op) -> list[bool]:
    """For each dim: is it read at another index than it is written?"""
    rank = op.results[0].type.rank
    if isinstance(op, Slice):
        cut = zip(op.start, op.limit, op.stride, op.x.shape, strict=True)
        return [(lo, hi, by) != (0, size, 1) for lo, hi, by, size in cut]
    if isinstance(op, Pad):
        around = zip(op.low, op.high, op.interior, strict=True)
        return [(lo, hi, gap) != (0, 0, 0) for lo, hi, gap in around]
    if isinstance(op, Reverse):
        return [d in op.dims for d in range(rank)]
    if isinstance(op, Concatenate):
        return [d == op.dim for d in range(rank)]
    return [True] * rank
