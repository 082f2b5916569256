"""How much work and memory traffic an op is, as sizes in the symbols."""

from __future__ import annotations

from kgraph.ir.dims import Size, product
from kgraph.ir.graph import Fact, Function, Op
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Scan
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.neural import Moments
from kgraph.ir.ops.reduce import Reduce


def flops(op: Op) -> Size:
    """Floating-point operations: a multiply-add counts as two, a transcendental function as one."""
    if isinstance(op, DotGeneral):
        return 2 * op.result.type.size * product(op.lhs.shape[d] for d in op.lhs_contract)
    if isinstance(op, Convolution):
        return 2 * op.result.type.size * _taps(op)
    if isinstance(op, Scan):
        return op.length * total_flops(op.body)
    if op.regions:
        inner: Size = 0
        for region in op.regions:
            inner = inner + total_flops(region)
        return inner
    if isinstance(op, Reduce):
        return op.x.type.size
    if isinstance(op, Moments):
        return 4 * op.x.type.size  # a sum, and one of squares of differences
    return op.results[0].type.size if Fact.ELEMENTWISE in op.facts else 0


def _taps(op: Convolution) -> Size:
    """Products in one element of a convolution's result."""
    kernel = op.dims.split("_")[1].split("->")[0]
    return product(size for size, letter in zip(op.rhs.shape, kernel, strict=True) if letter != "o")


def traffic(op: Op) -> Size:
    """Bytes read and written, each operand and result once."""
    total: Size = 0
    for v in (*dict.fromkeys(op.operands), *op.results):
        total = total + v.type.nbytes
    return total


def total_flops(fn: Function) -> Size:
    """The sum over the ops of a function; the body of a `batched` op counts for one block."""
    total: Size = 0
    for op in fn.ops:
        total = total + flops(op)
    return total
