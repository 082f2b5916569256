"""Products of matrices and tensors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kgraph.ir import Size, Value
from kgraph.ops._common import axis_of, reshaped
from kgraph.ops._dispatch import op
from kgraph.ops._indexing import gather_dims
from kgraph.ops._promote import broadcast_shapes, broadcast_value, common_dtype
from kgraph.ops._reductions import reduced
from kgraph.ops._shapes import ravel
from kgraph.ops._trace import context_of

__all__ = ["dot", "einsum", "inner", "kron", "matmul", "outer", "tensordot", "vdot"]


def _pair(x1: Any, x2: Any) -> tuple[Any, Value, Value]:
    dtype = common_dtype(x1, x2)
    context = context_of((x1, x2))
    # int8 operands are summed in 32 bits, as in Keras
    if dtype == "int8":
        dtype = "int32"
    return context, context.lift(x1, dtype), context.lift(x2, dtype)


def contract(
    b: Any,
    lhs: Value,
    rhs: Value,
    batch: tuple[Sequence[int], Sequence[int]],
    over: tuple[Sequence[int], Sequence[int]],
) -> Value:
    """`dot_general`, with sizes of paired dims that are taken to be equal."""
    left, right = list(lhs.type.shape), list(rhs.type.shape)
    for i, j in [*zip(*batch, strict=True), *zip(*over, strict=True)]:
        n, m = left[i], right[j]
        if isinstance(n, int) and isinstance(m, int) and n != m:
            raise ValueError(
                f"sizes that are summed over must agree; got the shapes {lhs.type.shape} and "
                f"{rhs.type.shape}, with {n} in dim {i} and {m} in dim {j}"
            )
        left[i] = right[j] = m if isinstance(m, int) else n
    if tuple(left) != lhs.type.shape:
        lhs = b.assume_shape(lhs, tuple(left))
    if tuple(right) != rhs.type.shape:
        rhs = b.assume_shape(rhs, tuple(right))
    result: Value = b.dot_general(
        lhs, rhs, tuple(batch[0]), tuple(batch[1]), tuple(over[0]), tuple(over[1])
    )
    return result


@op("numpy.Matmul", 2)
def matmul(x1: Any, x2: Any) -> Any:
    """The matrix product over the last two dims; dims before them broadcast.

    A tensor of rank 1 is a row on the left and a column on the right.
    """
    context, x, y = _pair(x1, x2)
    b, m, n = context.b, x.type.rank, y.type.rank
    if m == 0 or n == 0:
        raise ValueError("`matmul` takes tensors of rank 1 or more; use `multiply` for scalars")
    if n <= 2:  # dims of x before the last are rows, however many there are
        return context.wrap(contract(b, x, y, ((), ()), ((m - 1,), (max(n - 2, 0),))))
    if m == 1:
        found = contract(b, y, x, ((), ()), ((n - 2,), (0,)))
        return context.wrap(found)
    lead = broadcast_shapes(x.type.shape[:-2], y.type.shape[:-2])
    x = broadcast_value(b, x, (*lead, *x.type.shape[-2:]))
    y = broadcast_value(b, y, (*lead, *y.type.shape[-2:]))
    dims, r = tuple(range(len(lead))), len(lead)
    return context.wrap(contract(b, x, y, (dims, dims), ((r + 1,), (r,))))


@op("numpy.Dot", 2)
def dot(x1: Any, x2: Any) -> Any:
    """The sum over the last dim of x1 and the last but one of x2 (the last, if it has rank 1)."""
    context, x, y = _pair(x1, x2)
    if x.type.rank == 0 or y.type.rank == 0:
        b = context.b
        shape = broadcast_shapes(x.type.shape, y.type.shape)
        return context.wrap(b.multiply(broadcast_value(b, x, shape), broadcast_value(b, y, shape)))
    over = ((x.type.rank - 1,), (max(y.type.rank - 2, 0),))
    return context.wrap(contract(context.b, x, y, ((), ()), over))


@op("numpy.Vdot", 2)
def vdot(x1: Any, x2: Any) -> Any:
    """The sum of the products of all elements."""
    return dot(ravel(x1), ravel(x2))


@op("numpy.Inner", 2)
def inner(x1: Any, x2: Any) -> Any:
    """The sum over the last dims."""
    context, x, y = _pair(x1, x2)
    if x.type.rank == 0 or y.type.rank == 0:
        return dot(x1, x2)
    over = ((x.type.rank - 1,), (y.type.rank - 1,))
    return context.wrap(contract(context.b, x, y, ((), ()), over))


@op("numpy.Outer", 2)
def outer(x1: Any, x2: Any) -> Any:
    """The products of each element of x1 with each of x2."""
    context, x, y = _pair(ravel(x1), ravel(x2))
    shape = (*x.type.shape, *y.type.shape)
    b = context.b
    return context.wrap(
        b.multiply(b.broadcast_in_dim(x, shape, (0,)), b.broadcast_in_dim(y, shape, (1,)))
    )


@op("numpy.Kron", 2)
def kron(x1: Any, x2: Any) -> Any:
    """The Kronecker product: x2 times each element of x1, as blocks."""
    context, x, y = _pair(x1, x2)
    b, rank = context.b, max(x.type.rank, y.type.rank)
    left = (*[1] * (rank - x.type.rank), *x.type.shape)
    right = (*[1] * (rank - y.type.rank), *y.type.shape)
    apart = tuple(n for pair in zip(left, right, strict=True) for n in pair)
    x = b.broadcast_in_dim(reshaped(b, x, left), apart, tuple(range(0, 2 * rank, 2)))
    y = b.broadcast_in_dim(reshaped(b, y, right), apart, tuple(range(1, 2 * rank, 2)))
    whole = tuple(n * m for n, m in zip(left, right, strict=True))
    return context.wrap(reshaped(b, b.multiply(x, y), whole))


@op("numpy.Tensordot", 2)
def tensordot(x1: Any, x2: Any, axes: Any = 2) -> Any:
    """The sum over pairs of dims: the last `axes` with the first, or the two lists of dims."""
    context, x, y = _pair(x1, x2)
    m, n = x.type.rank, y.type.rank
    if isinstance(axes, int):
        over = (tuple(range(m - axes, m)), tuple(range(axes)))
    else:
        left, right = ([a] if isinstance(a, int) else list(a) for a in axes)
        over = (
            tuple(axis_of(a, m, "axes") for a in left),
            tuple(axis_of(a, n, "axes") for a in right),
        )
    return context.wrap(contract(context.b, x, y, ((), ()), over))


@op("numpy.Einsum", 0)
def einsum(subscripts: str, *operands: Any) -> Any:
    """Einstein's sums: `"bij,bjk->bik"`; `...` stands for dims that broadcast.

    Several operands are multiplied from left to right.
    """
    terms, out = _einsum_terms(subscripts, operands)
    context = context_of(operands)
    dtype = common_dtype(*operands)
    dtype = "int32" if dtype == "int8" else dtype
    values = [context.lift(x, dtype) for x in operands]
    b = context.b
    left, names = _without_repeats(b, values[0], terms[0])
    for k in range(1, len(values)):
        right, others = _without_repeats(b, values[k], terms[k])
        later = set(out).union(*terms[k + 1 :])
        left, names = _einsum_pair(b, (left, names), (right, others), later)
    gone = tuple(d for d, name in enumerate(names) if name not in out)
    left = reduced(b, left, "sum", gone, False)
    names = [name for name in names if name in out]
    perm = tuple(names.index(name) for name in out)
    if perm != tuple(range(len(perm))):
        left = b.transpose(left, perm)
    return context.wrap(left)


def _einsum_terms(subscripts: str, operands: Sequence[Any]) -> tuple[list[list[str]], list[str]]:
    """The names of the dims of each operand and of the result; those of `...` are numbers."""
    text = subscripts.replace(" ", "")
    given, arrow, out = text.partition("->")
    parts = given.split(",")
    if len(parts) != len(operands):
        raise ValueError(
            f"einsum {subscripts!r} has {len(parts)} terms for {len(operands)} operands"
        )
    ranks = [len(getattr(x, "shape", ())) for x in operands]
    terms = [_names(p, r, subscripts) for p, r in zip(parts, ranks, strict=True)]
    dots = max([sum(n.isdigit() for n in t) for t in terms], default=0)
    if arrow:
        result = _names(
            out, len(out.replace("...", "")) + dots if "..." in out else len(out), subscripts
        )
    else:
        every = [n for t in terms for n in t]
        once = sorted({n for n in every if not n.isdigit() and every.count(n) == 1})
        result = [str(k) for k in reversed(range(dots))] + once
    unknown = set(result) - {n for t in terms for n in t}
    if unknown or len(set(result)) != len(result):
        raise ValueError(f"einsum {subscripts!r}: the result names {result}")
    return terms, result


def _names(term: str, rank: int, subscripts: str) -> list[str]:
    before, dots, after = term.partition("...")
    many = rank - len(before) - len(after)
    if (
        many < 0
        or (not dots and many != 0)
        or not (before + after).isalpha() | (before + after == "")
    ):
        raise ValueError(f"einsum {subscripts!r}: {term!r} does not fit an operand of rank {rank}")
    return [*before, *[str(k) for k in reversed(range(many))], *after]


def _without_repeats(b: Any, value: Value, names: list[str]) -> tuple[Value, list[str]]:
    """The diagonal where a name comes twice in one term."""
    for name in dict.fromkeys(names):
        while names.count(name) > 1:
            first = names.index(name)
            second = names.index(name, first + 1)
            n = value.type.shape[first]
            place = b.iota((n,), 0, "int32")
            value = gather_dims(b, value, [place, place], [first, second], first)
            names = [*names[:second], *names[second + 1 :]]
    return value, names


def _einsum_pair(
    b: Any,
    left: tuple[Value, list[str]],
    right: tuple[Value, list[str]],
    later: set[str],
) -> tuple[Value, list[str]]:
    """The product of two terms, summed over what no later term names."""
    (x, xs), (y, ys) = left, right
    x, xs = _summed(b, x, xs, later | set(ys))
    y, ys = _summed(b, y, ys, later | set(xs))
    x, y = _same_sizes(b, x, xs, y, ys)
    batch = [n for n in xs if n in ys and n in later]
    over = [n for n in xs if n in ys and n not in later]
    found = contract(
        b,
        x,
        y,
        ([xs.index(n) for n in batch], [ys.index(n) for n in batch]),
        ([xs.index(n) for n in over], [ys.index(n) for n in over]),
    )
    free = [n for n in xs if n not in ys] + [n for n in ys if n not in xs]
    return found, batch + free


def _summed(b: Any, x: Value, names: list[str], kept: set[str]) -> tuple[Value, list[str]]:
    gone = tuple(d for d, n in enumerate(names) if n not in kept)
    return reduced(b, x, "sum", gone, False), [n for n in names if n in kept]


def _same_sizes(b: Any, x: Value, xs: list[str], y: Value, ys: list[str]) -> tuple[Value, Value]:
    """Dims of size 1 that meet others are repeated."""
    shapes: list[list[Size]] = [list(x.type.shape), list(y.type.shape)]
    for name in xs:
        if name in ys:
            i, j = xs.index(name), ys.index(name)
            n, m = shapes[0][i], shapes[1][j]
            if n == 1:
                shapes[0][i] = m
            elif m == 1:
                shapes[1][j] = n
    return broadcast_value(b, x, tuple(shapes[0])), broadcast_value(b, y, tuple(shapes[1]))
