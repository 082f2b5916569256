"""Products whose columns are gates: what makes a step's state of them joins the product."""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Builder, Fact, Function, Op, Value, users
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Fusion, Scan
from kgraph.ir.ops.index import Slice
from kgraph.ir.ops.shape import BroadcastInDim, Constant
from kgraph.passes.base import Pass, in_regions, replace_ops

_MOST = 4  # parts: a register tile has a vector of each
_WHOLE = 16  # columns of a part are whole vectors on all CPUs


class FuseGates(Pass):
    """Joins, in a scan, a product with the loop that reads it as equal parts side by side.

    The gates of an LSTM are such parts: a register tile of the product then has a vector of each of
    them, and the sums are never stored. In scans alone, where the weights are captures: they are
    packed for it, once. After it, no scan has such a pair.
    """

    name: ClassVar[str] = "fuse_gates"

    def run(self, fn: Function) -> Function:
        """The same results from fewer, larger ops."""
        return replace_ops(in_regions(fn, self.run), _with_gates)


def _with_gates(op: Op) -> Op:
    if not isinstance(op, Scan):
        return op
    body, captures = op.body, set(op.body.params[len(op.init) + len(op.xs) :])
    readers = users(body)
    pairs: dict[Op, Op] = {}  # loop -> product
    for loop in body.ops:
        for v in loop.operands if isinstance(loop, Fusion) else ():
            alone = readers[v] == [loop] and v not in body.results
            if alone and _is_product(v.op, captures) and _reads_parts(loop, v):
                pairs.setdefault(loop, v.op)
    if not pairs:
        return op
    env: dict[Value, Value] = {p: p for p in body.params}
    ops: list[Op] = []
    for inner in body.ops:
        if inner in pairs.values():
            continue
        product = pairs.get(inner)
        new = _joined(inner, product, env) if product is not None else inner.with_operands(
            tuple([env[v] for v in inner.operands])
        )  # fmt: skip
        env.update(zip(inner.results, new.results, strict=True))
        ops.append(new)
    results = tuple([env[v] for v in body.results])
    return op.with_fields(body=Function(body.params, tuple(ops), results, body.name))


def _is_product(op: Op, captures: set[Value]) -> bool:
    """Is it a matrix product of float32 with a captured weight, with one result?"""
    ops = op.body.ops if isinstance(op, Fusion) else (op,)
    heroes = [x for x in ops if isinstance(x, DotGeneral)]
    if len(heroes) != 1 or len(op.results) != 1 or not all(_is_step(x) for x in ops):
        return False
    (hero,) = heroes
    if isinstance(op, Fusion) and hero.rhs in op.body.params:
        weight = op.inputs[op.body.params.index(hero.rhs)]
    else:
        weight = hero.rhs
    sizes = [hero.rhs.shape[d] for d in hero.rhs_contract]
    matrices = len(hero.lhs_free) == len(hero.rhs_free) == len(sizes) == 1 and not hero.lhs_batch
    return (
        weight in captures
        and matrices
        and hero.lhs.dtype == "float32" == op.results[0].dtype
        and hero.result.shape == op.results[0].shape
        and isinstance(sizes[0], int)
    )


def _is_step(op: Op) -> bool:
    """May it be done to vectors of sums?"""
    return Fact.ELEMENTWISE in op.facts or isinstance(op, DotGeneral | BroadcastInDim | Constant)


def _reads_parts(loop: Op, product: Value) -> bool:
    """Does the loop read the product as equal parts of its columns, each as wide as its results?"""
    assert isinstance(loop, Fusion)
    p = loop.body.params[loop.inputs.index(product)]
    shape = loop.results[0].shape
    if any(v.shape != shape for v in loop.results) or loop.inputs.count(product) != 1:
        return False
    rows, columns = product.shape
    width = shape[-1]
    if len(shape) != 2 or shape[0] != rows or not isinstance(columns, int):
        return False
    if not isinstance(width, int) or width % _WHOLE or columns % width:
        return False
    if not 2 <= columns // width <= _MOST or p in loop.body.results:
        return False
    for op in loop.body.ops:
        if p in op.operands and not _is_part(op, width):
            return False
        if isinstance(op, DotGeneral) or not (_is_step(op) or isinstance(op, Slice)):
            return False
    return True


def _is_part(op: Op, width: int) -> bool:
    """Is it a slice of so many columns, and all rows, that begins at a multiple of them?"""
    if not isinstance(op, Slice) or op.stride != (1, 1):
        return False
    first, size = op.start[1], op.result.shape[1]
    whole = op.result.shape[0] == op.x.shape[0]
    return whole and size == width and isinstance(first, int) and first % width == 0


def _joined(loop: Op, product: Op, env: dict[Value, Value]) -> Op:
    """One fusion of both."""
    assert isinstance(loop, Fusion)
    b = Builder()
    inputs: dict[Value, Value] = {}

    def param(v: Value) -> Value:
        if v not in inputs:
            inputs[v] = b.param(f"x{len(inputs)}", v.type)
        return inputs[v]

    operands = [param(v) for v in product.operands]
    if isinstance(product, Fusion):
        (made,) = b.inline(product.body, operands)
    else:
        (made,) = b.append(product.with_operands(tuple(operands)))
    given = [made if v is product.results[0] else param(v) for v in loop.inputs]
    body = b.function(*b.inline(loop.body, given))
    return Fusion(tuple([env[v] for v in inputs]), body).located(loop.location)
