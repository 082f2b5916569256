"""Kernels over the same rows as one: a row comes from memory once, however often it is read."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from typing import ClassVar, TypeAlias

from kgraph.ir import Builder, Fact, Function, Op, Shape, Value, product, users
from kgraph.ir.ops.control import Fusion
from kgraph.ir.ops.reduce import Reduce
from kgraph.ir.ops.shape import BroadcastInDim, Constant, DimSize, Iota
from kgraph.passes.base import Pass, replace_ops, with_regions
from kgraph.passes.dce import without_dead_ops

_LONGEST = 1 << 15  # elements of a row: several of that length fit into the second cache
_REACH = 64  # ops behind a reduction among which a group looks for members


_Item: TypeAlias = "Op | _Group"


class FuseRows(Pass):
    """Joins a reduction of the last dims with what follows it for the same rows.

    That are further reductions, also of what is computed from the first; elementwise ops of the
    rows' elements; and those of a number for each row. What stands between the members of a group
    moves behind it where it reads their results. A sum over the rows leaves a loop that stores what
    is summed, so that the loop can join. After it, no group has a reduction that reads another's
    result.
    """

    name: ClassVar[str] = "fuse_rows"
    largest: int = 128

    def run(self, fn: Function) -> Function:
        """The same results from fewer, larger ops."""
        fn = replace_ops(
            fn, lambda op: op if isinstance(op, Fusion) else with_regions(op, self.run)
        )
        found = True
        while found:  # a group may be what another waits for
            items: list[_Item] = list(fn.ops)
            found = False
            place = 0
            while place < len(items):
                if _group_at(items, place, self.largest):
                    found = True
                else:
                    place += 1
            fn = _emit(fn, items) if found else fn
        return fn


@dataclass(frozen=True)
class _Rows:
    """The shape of the elements and the dims of a row, the last ones."""

    shape: Shape
    dims: tuple[int, ...]

    @property
    def kept(self) -> tuple[int, ...]:
        """The dims that count rows."""
        return tuple(range(self.dims[0]))

    @property
    def numbers(self) -> Shape:
        """The shape of a number for each row."""
        return self.shape[: self.dims[0]]


@dataclass(eq=False)
class _Group:
    """Ops that become one kernel."""

    rows: _Rows
    members: list[Op] = field(default_factory=list)
    read: set[Value] = field(default_factory=set)
    made: dict[Value, None] = field(default_factory=dict)
    size: int = 0

    def add(self, op: Op) -> None:
        """A new member."""
        self.members.append(op)
        self.read.update(v for v in op.operands if v.type.rank)
        self.made.update(dict.fromkeys(op.results))
        self.size += len(_inner(op))

    def takes(self, op: Op, largest: int) -> bool:
        """May the op become a member, and does it share what the others read or make?"""
        if not any(v in self.read or v in self.made for v in op.operands):
            return False
        return self.size + len(_inner(op)) <= largest and _fits(op, self.rows, self.made)


def _group_at(items: list[_Item], place: int, largest: int) -> bool:
    """Puts a group for a reduction and its companions, if it has some; says whether."""
    first = items[place]
    rows = _rows_of(first) if isinstance(first, Op) else None
    if not isinstance(first, Op) or rows is None or not _fits(first, rows, set()):
        return False
    group = _Group(rows)
    group.add(first)
    late: set[Value] = set()  # what depends on the group and is none of its results
    kinds = [0]  # of the items: in the group, before it, behind it
    for item in items[place + 1 : place + 1 + _REACH]:
        operands = [v for op in _ops(item) for v in op.operands]
        depends = not late.isdisjoint(operands)
        if not depends and isinstance(item, Op) and group.takes(item, largest):
            group.add(item)
            late.update(v for v in item.results if _is_sum_of_rows(item, v, rows))
            kinds.append(0)
        elif depends or not group.made.keys().isdisjoint(operands):
            late.update(v for op in _ops(item) for v in op.results)
            kinds.append(1)
        else:
            kinds.append(-1)
    if len(group.members) == 1:
        return False
    end = len(kinds) - kinds[::-1].index(0)
    window = list(zip(kinds[:end], items[place:], strict=False))
    before = [item for kind, item in window if kind < 0]
    behind = [item for kind, item in window if kind > 0]
    items[place : place + end] = [*before, group, *behind]
    return True


def _ops(item: _Item) -> list[Op]:
    return [item] if isinstance(item, Op) else item.members


def _inner(op: Op) -> tuple[Op, ...]:
    return op.body.ops if isinstance(op, Fusion) else (op,)


def _rows_of(op: Op) -> _Rows | None:
    """The rows that an op reduces, where they are such that it may begin a group."""
    for inner in _inner(op):
        if isinstance(inner, Reduce):
            shape, dims = inner.x.shape, inner.dims
            last = tuple(range(len(shape) - len(dims), len(shape)))
            length = product([shape[d] for d in dims])
            if dims != last or len(dims) in (0, len(shape)):
                return None
            if isinstance(length, int) and not 1 < length <= _LONGEST:
                return None
            return _Rows(shape, dims)
    return None


def _fits(op: Op, rows: _Rows, made: Collection[Value]) -> bool:
    """Can it be computed row by row, where `made` are made so?"""
    shapes = (rows.shape, rows.numbers)
    return (
        any(v.shape in shapes for v in op.results)
        and all(v.shape in shapes or _is_sum_of_rows(op, v, rows) for v in op.results)
        and all(_is_step(inner, op, rows, made) for inner in _inner(op))
    )


def _is_step(inner: Op, op: Op, rows: _Rows, made: Collection[Value]) -> bool:
    """Can an op of the kernel `op` be computed row by row?"""
    shapes = (rows.shape, rows.numbers)
    match inner:
        case Reduce(x=x, dims=dims):
            stored = isinstance(op, Fusion) and x in op.body.results
            return x.shape == rows.shape and (dims == rows.dims or stored)
        case BroadcastInDim(x=x, dims=dims):
            of_rows = x.shape == rows.numbers and dims == rows.kept
            apart = x.type.rank == 0 or isinstance(x.op, Constant) or _comes_in(x, op, made)
            return inner.shape in shapes and (of_rows or apart)
        case Iota():
            return inner.shape in shapes
        case Constant() | DimSize():
            return True
        case _:
            right = all(v.type.rank == 0 or v.shape in shapes for v in inner.results)
            return right and Fact.ELEMENTWISE in inner.facts


def _comes_in(x: Value, op: Op, made: Collection[Value]) -> bool:
    """Does the kernel read it from memory, where it lies before the group runs?"""
    if not isinstance(op, Fusion):
        return x not in made
    return x in op.body.params and op.inputs[op.body.params.index(x)] not in made


def _is_sum_of_rows(op: Op, v: Value, rows: _Rows) -> bool:
    """Does the op reduce to the result along other dims?"""
    if not isinstance(op, Fusion):
        return False
    made = op.body.results[op.results.index(v)].op
    return isinstance(made, Reduce) and made.dims != rows.dims


def _emit(fn: Function, items: list[_Item]) -> Function:
    readers = users(fn)
    env: dict[Value, Value] = {p: p for p in fn.params}
    ops: list[Op] = []
    for item in items:
        if isinstance(item, Op):
            new = item.with_operands(tuple([env[v] for v in item.operands]))
            env.update(zip(item.results, new.results, strict=True))
            ops.append(new)
            continue
        members = set(item.members)
        wanted = {v for v in fn.results if v in item.made}
        wanted.update(v for v in item.made if not members.issuperset(readers.get(v, ())))
        ops += _joined(item, wanted, env)
    return Function(fn.params, tuple(ops), tuple([env[v] for v in fn.results]), fn.name)


def _joined(group: _Group, wanted: set[Value], env: dict[Value, Value]) -> list[Op]:
    """The fusion of a group and the sums behind it; adds their results to `env`."""
    b = Builder()
    inputs: dict[Value, Value] = {}
    inner: dict[Value, Value] = {}
    sums: list[tuple[Value, Value, Reduce]] = []  # a result, what it is the sum of, how
    for op in group.members:
        for v in op.operands:
            if v not in inner:
                inputs[v] = inner[v] = b.param(f"x{len(inputs)}", v.type)
        given = [inner[v] for v in op.operands]
        if not isinstance(op, Fusion):
            made = b.append(op.with_operands(tuple(given)))
        else:
            made = b.inline(op.body, given)
        inner.update(zip(op.results, made, strict=True))
        for v, value in zip(op.results, made, strict=True):
            if _is_sum_of_rows(op, v, group.rows):
                assert isinstance(value.op, Reduce)
                sums.append((v, value.op.x, value.op))
    outs = {inner[v]: v for v in group.made if v in wanted and all(v is not s for s, _, _ in sums)}
    for _, x, _ in sums:
        outs.setdefault(x, x)
    body = without_dead_ops(b.function(*outs))  # without the sums
    fusion = Fusion(tuple([env[v] for v in inputs]), body).located(group.members[-1].location)
    found = dict(zip(outs, fusion.results, strict=True))
    env.update({v: found[inner[v]] for v in wanted if inner[v] in found})
    behind: list[Op] = []
    for v, x, reduce in sums:
        total = reduce.with_operands((found[x],))
        env[v] = total.results[0]
        behind.append(total)
    return [fusion, *behind]
