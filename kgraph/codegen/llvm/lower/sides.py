"""A product in terms of its operands' memory: one dim per role, by merging or by copies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from kgraph.codegen.llvm.lower.tiling import likely
from kgraph.ir import Builder, Shape, Size, Value
from kgraph.ir.ops.contract import DotGeneral

# The dims of one role, merged: (size, strides in lhs and in rhs).
Run: TypeAlias = "tuple[Size, Size, Size]"


@dataclass(frozen=True)
class Sides:
    """A product in terms of its operands' memory: runs of each role, outermost first."""

    batch: tuple[Run, ...]
    rows: tuple[Run, ...]
    columns: tuple[Run, ...]
    inner: tuple[Run, ...]


def strides_of(shape: Shape) -> list[Size]:
    """The elements between neighbours along each dim of a dense array."""
    found: list[Size] = [1]
    for d in reversed(shape[1:]):
        found.append(found[-1] * d)
    return found[::-1][: len(shape)]


def sides(op: DotGeneral) -> Sides:
    """The runs of a product."""
    x, y = op.lhs.shape, op.rhs.shape
    xs, ys = strides_of(x), strides_of(y)
    pairs = sorted(zip(op.lhs_contract, op.rhs_contract, strict=True))
    return Sides(
        tuple((x[i], xs[i], ys[j]) for i, j in zip(op.lhs_batch, op.rhs_batch, strict=True)),
        _merged([(x[i], xs[i], 0) for i in op.lhs_free]),
        _merged([(y[j], 0, ys[j]) for j in op.rhs_free]),
        _merged([(x[i], xs[i], ys[j]) for i, j in pairs]),
    )


def _merged(runs: Sequence[Run]) -> tuple[Run, ...]:
    """Neighbours that count through memory as one become one; those of size 1 vanish."""
    found: list[Run] = []
    for size, x, y in runs:
        if size == 1:
            continue
        if found and found[-1][1] == x * size and found[-1][2] == y * size:
            found[-1] = (found[-1][0] * size, x, y)
        else:
            found.append((size, x, y))
    return tuple(found)


@dataclass(frozen=True)
class Copies:
    """Which operands are put into another order first, and the product of those copies."""

    lhs: tuple[int, ...] | None
    rhs: tuple[int, ...] | None
    product: DotGeneral

    @staticmethod
    def of(op: DotGeneral) -> Copies:
        """The fewest copies after which each role is a single run."""
        found = sides(op)
        left, right = len(found.rows) > 1, len(found.columns) > 1
        if len(found.inner) > 1 and not (left or right):
            smaller = likely(op.lhs.type.size) <= likely(op.rhs.type.size)
            left, right = smaller, not smaller
        copies = _copied(op, left, right)
        if any(len(runs) > 1 for runs in single_runs(sides(copies.product))):
            copies = _copied(op, True, True)
        return copies


def single_runs(found: Sides) -> tuple[tuple[Run, ...], ...]:
    """The runs of the roles that a matrix product has one of."""
    return (found.rows, found.columns, found.inner)


def _copied(op: DotGeneral, left: bool, right: bool) -> Copies:
    """The product with operands as [batch, free, contract]; pairs in the order of the one kept."""
    pairs = list(zip(op.lhs_contract, op.rhs_contract, strict=True))
    pairs.sort(key=lambda pair: pair[1] if left and not right else pair[0])
    lhs_perm = (*op.lhs_batch, *op.lhs_free, *(i for i, _ in pairs)) if left else None
    rhs_perm = (*op.rhs_batch, *op.rhs_free, *(j for _, j in pairs)) if right else None
    b = Builder()
    x, y = (_reordered(b, v, perm) for v, perm in ((op.lhs, lhs_perm), (op.rhs, rhs_perm)))
    new = op.with_fields(
        lhs=x, rhs=y,
        lhs_batch=_moved(op.lhs_batch, lhs_perm), rhs_batch=_moved(op.rhs_batch, rhs_perm),
        lhs_contract=_moved(op.lhs_contract, lhs_perm),
        rhs_contract=_moved(op.rhs_contract, rhs_perm),
    )  # fmt: skip
    assert isinstance(new, DotGeneral)
    return Copies(lhs_perm, rhs_perm, new)


def _reordered(b: Builder, v: Value, perm: tuple[int, ...] | None) -> Value:
    shape = v.shape if perm is None else tuple(v.shape[p] for p in perm)
    return b.param("x", v.type.with_shape(shape))


def _moved(dims: tuple[int, ...], perm: tuple[int, ...] | None) -> tuple[int, ...]:
    return dims if perm is None else tuple(perm.index(d) for d in dims)
