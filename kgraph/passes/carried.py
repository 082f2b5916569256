"""Which dim of a value carries the samples, and which ops compute each sample alone."""

from __future__ import annotations

from kgraph.ir import All, Combine, Dim, Locality, Op, Rows, TensorType, Value, numpy_dtype
from kgraph.ir.ops.control import Scan
from kgraph.ir.ops.shape import BroadcastInDim, Constant, DimSize, Iota, Reshape

AMBIGUOUS = -1
CHUNKS = 8  # a sum over the batch is that of at most so many chunks of blocks


def carrier(type_: TensorType, batch: str) -> int | None:
    """The one dim that is a multiple of the batch; None without one, AMBIGUOUS where samples cannot be told apart."""
    found = [i for i, d in enumerate(type_.shape) if isinstance(d, Dim)]
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
    found = _scan_locality(op, carried, batch) if isinstance(op, Scan) else op.locality(carried)
    if found is None and not op.operands and isinstance(op, Iota):
        found = (Rows(made[0]),) if made[0] is not None else None
    if (
        found is None
        and isinstance(op, BroadcastInDim)
        and carried == (None,)
        and made[0] is not None
    ):
        found = (Rows(made[0]),)
    if found is None:
        return None
    for how, d in zip(found, made, strict=True):
        if (how.dim if isinstance(how, Rows) else None) != d:
            return None  # the type and the rule disagree: better outside than wrong
    return found


def _scan_locality(
    op: Scan, carried: tuple[int | None, ...], batch: str
) -> tuple[Locality, ...] | None:
    """Local if each op of the body is. A carry that starts at zero and only collects sums over the batch is a sum."""
    n = len(op.init)
    if isinstance(op.length, Dim) or any(d == 0 for d in carried[n : n + len(op.xs)]):
        return None
    body = op.body
    sums = {
        p
        for p, v in zip(body.params, op.init, strict=False)
        if is_zero(v) and carrier(p.type, batch) is None
    }
    for inner in body.ops:
        if isinstance(inner, DimSize | Iota):
            return None  # a size or an index of the whole batch
        summed = [v in sums for v in inner.operands]
        if any(summed):
            if inner.name not in ("add", "negate", "transpose", "reshape") or not all(summed):
                return None
            sums.add(inner.results[0])
            continue
        how = locality(inner, batch)
        if how is None and any(
            carrier(v.type, batch) is not None for v in inner.operands + inner.results
        ):
            return None
        if any(isinstance(h, Combine) and h.kind != "sum" for h in how or ()):
            return None
        sums.update(
            r for r, h in zip(inner.results, how or (), strict=False) if isinstance(h, Combine)
        )
    if any((r in sums) != (p in sums) for p, r in zip(body.params[:n], body.results, strict=False)):
        return None
    if sums & set(body.results[n:]):
        return None
    found: list[Locality] = []
    for v, r in zip(op.results, body.results, strict=True):
        d = carrier(v.type, batch)
        found.append(Rows(d) if d is not None else Combine("sum") if r in sums else All())
    return tuple(found)


def is_zero(v: Value) -> bool:
    """Is the value a constant 0, broadcast or not?"""
    while isinstance(v.op, BroadcastInDim | Reshape):
        v = v.op.x
    return isinstance(v.op, Constant) and not v.op.value.array.any()


def bytes_per_sample(v: Value) -> int:
    """For comparisons: the bytes that a sample adds to a value, or a static value's bytes."""
    total = numpy_dtype(v.dtype).itemsize
    for d in v.shape:
        total *= d if isinstance(d, int) else d.terms[0][1]
    return total


def is_heavy(op: Op, how: tuple[Locality, ...], batch: str, expected: int) -> bool:
    """Would the partial sums be more bytes than the rows that they sum? Then the rows are stored and contracted once."""
    if isinstance(op, Scan):
        return False
    sums = sum(
        bytes_per_sample(v) for v, h in zip(op.results, how, strict=True) if isinstance(h, Combine)
    )
    rows = sum(bytes_per_sample(v) for v in set(op.operands) if carrier(v.type, batch) is not None)
    return sums * CHUNKS > expected * rows
