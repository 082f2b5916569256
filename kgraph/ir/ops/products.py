"""The gradient of a product: for each factor the product of all others, zeros or not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kgraph.ir.graph import Function, Param, Value
from kgraph.ir.ops.binary import Multiply
from kgraph.ir.ops.common import inverse

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


def product_of_others(b: Builder, x: Value, dims: tuple[int, ...]) -> Value:
    """For each element of x the product of all others along `dims`; the type of x.

    It multiplies what lies before by what lies behind and divides by nothing, so that it, and its
    own gradients of any order, are right for any number of zeros.
    """
    if not dims:
        return b.splat(1, x.type)
    *rest, dim = dims
    here: Value = b.multiply(*[_product_before(b, x, dim, behind) for behind in (False, True)])
    if not rest:
        return here
    kept = tuple([d for d in range(x.type.rank) if d != dim])
    others = product_of_others(b, b.reduce(x, "product", (dim,)), tuple(rest))
    whole: Value = b.multiply(here, b.broadcast(others, x.shape, kept))
    return whole


def _product_before(b: Builder, x: Value, dim: int, behind: bool) -> Value:
    """The product of what lies before (or behind) each element along `dim`."""
    count = x.shape[dim]
    if not isinstance(count, int):
        return _by_scan(b, x, dim, behind)
    y = _moved(b, x, dim, 1, behind)
    reach = 1  # y has the product of so many neighbours
    while reach < count - 1:
        y = b.multiply(y, _moved(b, y, dim, reach, behind))
        reach *= 2
    return y


def _moved(b: Builder, x: Value, dim: int, by: int, behind: bool) -> Value:
    """x moved along `dim` to higher (or lower) indices; ones come in."""
    none = (0,) * x.type.rank
    come = tuple([by if d == dim else 0 for d in range(x.type.rank)])
    go = tuple([-n for n in come])
    low, high = (go, come) if behind else (come, go)
    y: Value = b.pad(x, b.constant(1, x.dtype), low, high, none)
    return y


def _by_scan(b: Builder, x: Value, dim: int, behind: bool) -> Value:
    """For a size that is known only when the program runs."""
    others = [d for d in range(x.type.rank) if d != dim]
    row = x.type.with_shape(tuple([x.shape[d] for d in others]))
    total, factor = Param("total", row).result, Param("factor", row).result
    step = Multiply(total, factor)
    body = Function((total, factor), (step,), (step.result, total))
    perm = (dim, *others)
    rows = b.transpose(x, perm)
    _, ys = b.scan((b.splat(1, row),), (rows,), (), x.shape[dim], behind, body)
    y: Value = b.transpose(ys, inverse(perm))
    return y
