"""Which dim of a value carries the samples, and which ops compute each sample alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache
from itertools import accumulate

from kgraph.ir import (
    All,
    Combine,
    Dim,
    Fact,
    Function,
    Locality,
    Op,
    Param,
    Rows,
    Size,
    TensorType,
    Value,
    bind_size,
    symbols_of,
)
from kgraph.ir.cost import flops
from kgraph.ir.ops.blocks import CHUNKS
from kgraph.ir.ops.common import is_zero
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Scan
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.shape import BroadcastInDim, DimSize, Iota
from kgraph.passes.algorithm import weights_read

AMBIGUOUS = -1
_LENGTH = 64  # the value of a symbol other than the batch that is assumed where bytes are weighed


@lru_cache(maxsize=4096)  # types are interned, and a program has few of them
def carrier(type_: TensorType, batch: str) -> int | None:
    """The one dim that is a multiple of the batch; None without one.

    AMBIGUOUS where samples cannot be told apart: two such dims, or a size that mixes the batch with
    another symbol.
    """
    found = [i for i, d in enumerate(type_.shape) if batch in symbols_of(d)]
    if not found:
        return None
    size = type_.shape[found[0]]
    alone = (
        len(found) == 1
        and isinstance(size, Dim)
        and len(size.terms) == 1
        and size.terms[0][0] == ((batch, 1),)
    )
    return found[0] if alone else AMBIGUOUS


def samples_of(v: Value, batch: str) -> int:
    """The k of the dim `k*batch` that carries the samples."""
    d = v.shape[carrier(v.type, batch) or 0]
    assert isinstance(d, Dim)
    return d.terms[0][1]


def locality(op: Op, batch: str) -> tuple[Locality, ...] | None:
    """How each result relates to the samples; None where the op has to stay outside of regions."""
    if isinstance(op, DimSize):
        return None  # it means the whole batch
    carried = tuple(carrier(v.type, batch) for v in op.operands)
    made = tuple(carrier(v.type, batch) for v in op.results)
    if AMBIGUOUS in carried or AMBIGUOUS in made or all(d is None for d in carried + made):
        return None
    found = _rule(op, carried, made, batch)
    if found is None:
        return None
    for how, d in zip(found, made, strict=True):
        if (how.dim if isinstance(how, Rows) else None) != d:
            return None  # the type and the rule disagree: better outside than wrong
    return found


def _rule(
    op: Op, carried: tuple[int | None, ...], made: tuple[int | None, ...], batch: str
) -> tuple[Locality, ...] | None:
    """The op's own rule; where only the result has samples, they are where its type says."""
    if isinstance(op, Scan):
        return _scan_locality(op, carried, batch)
    if isinstance(op, Iota | BroadcastInDim) and all(d is None for d in carried):
        return None if made[0] is None else (Rows(made[0]),)
    return op.locality(carried)


def _scan_locality(
    op: Scan, carried: tuple[int | None, ...], batch: str
) -> tuple[Locality, ...] | None:
    """Local if each op of the body is.

    A carry that starts at zero and only collects sums over the batch is a sum.
    """
    n = len(op.init)
    if batch in symbols_of(op.length) or 0 in carried[n : n + len(op.xs)]:
        return None
    body = op.body
    sums = {
        p
        for p, v in zip(body.params, op.init, strict=False)
        if is_zero(v) and carrier(p.type, batch) is None
    }
    if not all(_stays_local(inner, sums, batch) for inner in body.ops):
        return None
    if any((r in sums) != (p in sums) for p, r in zip(body.params[:n], body.results, strict=False)):
        return None
    if sums & set(body.results[n:]):
        return None
    found: list[Locality] = []
    for v, r in zip(op.results, body.results, strict=True):
        d = carrier(v.type, batch)
        found.append(Rows(d) if d is not None else Combine("sum") if r in sums else All())
    return tuple(found)


def _stays_local(op: Op, sums: set[Value], batch: str) -> bool:
    """May an op of a scan's body run in a region? Adds to `sums` what are sums over the samples."""
    if isinstance(op, DimSize | Iota):
        return not any(batch in symbols_of(size) for size in _sizes_of(op))
    summed = [v in sums for v in op.operands]
    if any(summed):
        sums.add(op.results[0])
        return op.name in ("add", "negate", "transpose", "reshape") and all(summed)
    how = locality(op, batch)
    if how is None:
        return all(carrier(v.type, batch) is None for v in op.operands + op.results)
    sums.update(r for r, h in zip(op.results, how, strict=True) if isinstance(h, Combine))
    return all(h.kind == "sum" for h in how if isinstance(h, Combine))


def _sizes_of(op: DimSize | Iota) -> tuple[Size, ...]:
    return (op.size,) if isinstance(op, DimSize) else op.shape


@lru_cache(maxsize=4096)
def bytes_per_sample(type_: TensorType, batch: str) -> int:
    """For comparisons: the bytes that a sample adds to a value, or those of one without samples."""
    return _sample(type_.nbytes, batch)


def reuse_per_sample(fn: Function, batch: str) -> tuple[int, float, float]:
    """The bytes of weights that contractions read, and how often a sample uses each on average.

    That is the mean over the elements, and the harmonic one: bytes read for a use of each weight
    are the bytes over it. What Winograd's algorithm reads are the weights that it transformed.
    """
    nbytes = elements = products = 0
    inverse = 0.0
    for op in fn.ops:
        shared = [
            v for v in op.operands if isinstance(v.op, Param) and carrier(v.type, batch) is None
        ]
        if shared and isinstance(op, DotGeneral | Convolution):
            grown = weights_read(op) if isinstance(op, Convolution) else 1
            nbytes += int(grown * sum(bytes_per_sample(v.type, batch) for v in shared))
            count = sum(_sample(v.type.size, batch) for v in shared)
            work = _sample(flops(op), batch) // 2
            elements += count
            products += work
            inverse += count * count / max(1, work)
    return nbytes, products / max(1, elements), elements / max(1.0, inverse)


def _sample(size: Size, batch: str) -> int:
    """For comparisons: a size at one sample."""
    found = bind_size(size, {s: 1 if s == batch else _LENGTH for s in symbols_of(size)})
    assert isinstance(found, int)
    return found


def passing_by(ops: Sequence[Op], returned: Collection[Value]) -> set[Value]:
    """The values that fusion leaves in registers.

    Repetitions, and what only one elementwise op reads, at the index at which it was made.
    """
    reader: dict[Value, Op | None] = {}  # the only one
    for op in ops:
        for v in op.operands:
            reader[v] = op if reader.get(v, op) is op else None

    def passes_by(v: Value) -> bool:
        if isinstance(v.op, BroadcastInDim | Iota):
            return True
        op = reader.get(v)
        return op is not None and Fact.ELEMENTWISE in op.facts and op.results[0].shape == v.shape

    kept = set(returned)
    return {v for op in ops for v in op.results if v not in kept and passes_by(v)}


def peak_per_sample(fn: Function, batch: str) -> int:
    """The most bytes that a sample has in use at a time, of the values that the function stores."""
    last = {v: at for at, op in enumerate(fn.ops) for v in op.operands}
    passing = passing_by(fn.ops, fn.results)
    change = [0] * (len(fn.ops) + 1)  # of the bytes in use, from one op to the next
    for at, op in enumerate(fn.ops):
        for v in op.results:
            if carrier(v.type, batch) is not None and v not in passing:
                size = bytes_per_sample(v.type, batch)
                change[at] += size
                change[last.get(v, at) + 1] -= size
    return max(accumulate(change))


def is_heavy(op: Op, how: tuple[Locality, ...], batch: str, expected: int) -> bool:
    """Would the partial sums be more bytes than the rows that they sum?

    Then the rows are stored and contracted once, outside.
    """
    if isinstance(op, Scan) or not any(isinstance(h, Combine) for h in how):
        return False
    combined = [v for v, h in zip(op.results, how, strict=True) if isinstance(h, Combine)]
    read = [v for v in set(op.operands) if carrier(v.type, batch) is not None]
    sums, rows = (sum(bytes_per_sample(v.type, batch) for v in vs) for vs in (combined, read))
    return sums * CHUNKS > expected * rows
