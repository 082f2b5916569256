"""When each op runs: levels of regions, so that few bytes per sample cross from one to the next.

Time runs top(0), region(0), top(1), region(1), ... A result of region L that combines samples is
ready at top(L + 1).
"""

from __future__ import annotations

from dataclasses import dataclass

from kgraph.ir import Fact, Function, Locality, Op, Rows, Value, users
from kgraph.passes.carried import bytes_per_sample, carrier

RECOMPUTE = 12  # so many elementwise steps cost less than a store and a load

Local = dict[Op, tuple[Locality, ...]]


@dataclass(frozen=True)
class Placement:
    """`level` of each op; the ops in `copied` are computed in every region that reads them."""

    level: dict[Op, int]
    copied: set[Op]


def place(fn: Function, local: Local, batch: str) -> Placement:
    """Levels for all ops.

    Early alone would store every activation of a forward pass that another sum holds up; late alone
    would keep activations alive for weight gradients. So: an op that a later region waits for runs
    as late as possible; one that none waits for (weight gradients, metrics) runs where its operands
    are made; and so does one that makes fewer bytes than it frees.
    """
    early = _earliest(fn, local)
    last = max((early[op] for op in local), default=0)  # no region for results alone
    readers = users(fn)
    reach: dict[Op, int] = {}  # the highest earliest level among the local ops that the op feeds
    late: dict[Op, int] = {}
    for op in reversed(fn.ops):
        reads = [(user, v) for v in op.results for user in readers.get(v, ())]
        reach[op] = max([early[op] if op in local else 0, *[reach[user] for user, _ in reads]])
        late[op] = min(
            [last + (op not in local), *[late[user] - _delay(user, v, local) for user, v in reads]]
        )
    level: dict[Op, int] = {}
    afloat: set[Op] = set()  # wherever they are wanted they are copied, so they hold nothing up
    returned = set(fn.results)
    for op in fn.ops:
        if (
            op in local
            and Fact.CHEAP in op.facts
            and all(v.op not in local or v.op in afloat for v in op.operands)
        ):
            afloat.add(op)
        floor = max(
            (level[v.op] + _delay(op, v, local) for v in op.operands if v.op in level), default=0
        )
        level[op] = late[op] if op in local and op not in afloat else floor
        if floor < level[op]:
            rows = [
                v for v, how in zip(op.results, local[op], strict=True) if isinstance(how, Rows)
            ]
            freed = [
                v
                for v in set(op.operands)
                if v.op in local
                and v.op not in afloat
                and v not in returned
                and all(user is op or level.get(user, late[user]) <= floor for user in readers[v])
            ]
            made, saved = (sum(bytes_per_sample(v.type, batch) for v in vs) for vs in (rows, freed))
            if reach[op] == early[op] or made < saved:
                level[op] = floor
    return Placement(level, _copied(fn, local, level, batch))


def _delay(op: Op, v: Value, local: Local) -> int:
    """How many levels after the op that makes `v` may `op` run, at the earliest?"""
    if v.op not in local:
        return 0
    return 0 if op in local and isinstance(local[v.op][v.index], Rows) else 1


def _earliest(fn: Function, local: Local) -> dict[Op, int]:
    early: dict[Op, int] = {}
    for op in fn.ops:
        early[op] = max(
            (early[v.op] + _delay(op, v, local) for v in op.operands if v.op in early), default=0
        )
    return early


def _copied(fn: Function, local: Local, level: dict[Op, int], batch: str) -> set[Op]:
    """Cheap ops whose rows are at hand where they are wanted: computed again, not stored."""
    wanted: dict[Value, int] = {}
    for op in fn.ops:
        for v in op.operands:
            wanted[v] = max(wanted.get(v, 0), level[op] if op in local else level[op] - 1)
    steps: dict[Op, frozenset[Op]] = {}  # what it takes to make a result: the op, those in front
    for op in fn.ops:
        if (
            op in local
            and Fact.CHEAP in op.facts
            and all(isinstance(how, Rows) for how in local[op])
        ):
            rows = [v for v in op.operands if carrier(v.type, batch) is not None]
            if all(v.op not in local or v.op in steps or wanted[v] > level[v.op] for v in rows):
                spent = frozenset([op]).union(*(steps.get(v.op, ()) for v in rows))
                if len(spent) <= RECOMPUTE or not rows:
                    steps[op] = spent
    return set(steps)
