"""Winograd's minimal filtering: few multiplications for many outputs of a three-tap filter.

F(m, 3) computes m neighbouring outputs from m + 2 inputs d and 3 taps g as

    y = A^T [(G g) * (B^T d)]

with m + 2 multiplications in place of 3 m. The matrices come from polynomial interpolation (Toom
and Cook) at m + 1 points and infinity; in two dims they act on rows, then on columns: Lavin and
Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016). The transposed algorithm
computes the gradients: that of d is B [(G g) * (A y')], that of g is G^T [(B^T d) * (A y')].

The points decide the rounding error. Those of F(4, 3) are 0, +-sqrt(1/2) and +-sqrt(2), which have
a quarter of the error of the integers; those of F(6, 3), of small denominators, are the best that a
search found. docs/numerics.md has the bounds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import prod, sqrt

import numpy as np
from numpy.typing import NDArray

from kgraph.codegen.llvm.emit import Function, Index, Operand, constant

TAPS = 3
POINTS: dict[int, tuple[float, ...]] = {
    2: (0.0, 1.0, -1.0),
    4: (0.0, sqrt(0.5), -sqrt(0.5), sqrt(2.0), -sqrt(2.0)),
    5: (0.0, 1.0, -1.0, 0.5, -0.5, -2.0),
    6: (0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -2.0),
}

Matrix = NDArray[np.float64]
Rows = tuple[tuple[float, ...], ...]


@dataclass(frozen=True, eq=False)
class Matrices:
    """F(tile, 3): `output` is A^T, `filter` G, `data` B^T; all one for a dim without taps."""

    output: Matrix
    filter: Matrix
    data: Matrix


@lru_cache(maxsize=16)
def matrices(tile: int) -> Matrices:
    """The matrices for `tile` outputs."""
    if tile == 1:
        one = np.ones((1, 1))
        return Matrices(one, one, one)
    points = POINTS[tile]
    output = [[p**i for p in points] + [float(i == tile - 1)] for i in range(tile)]
    filter_: list[list[float]] = []
    data: list[list[float]] = []
    for p in points:
        others = [q for q in points if q != p]
        scale = prod(p - q for q in others)
        filter_.append([p**i / scale for i in range(TAPS)])
        data.append([*_polynomial(others), 0.0])
    filter_.append([0.0] * (TAPS - 1) + [1.0])
    data.append(_polynomial(points))
    return Matrices(np.array(output), np.array(filter_), np.array(data))


def _polynomial(roots: Sequence[float]) -> list[float]:
    """Coefficients of the monic polynomial of these roots, the constant first; no rounding dust."""
    found: list[float] = np.poly(roots)[::-1].tolist()
    return [0.0 if abs(c) < 1e-12 else round(c, 14) for c in found]


def transform(
    f: Function,
    matrices: tuple[Matrix, Matrix],
    dtype: str,
    load: Callable[[int, Operand], Operand],
    store: Callable[[Operand, list[Operand]], None],
    height: Index | None = None,
) -> None:
    """`rows @ grid @ columns^T` of vectors: `load(i, j)` gives one of the grid, `store(i, line)`
    takes a row of the product, of those in front of `height`.

    Two loops, each around a product with one of the matrices, and the stack between them: a grid is
    more than the registers hold, and written out at once it would have many times the code.
    """
    rows, columns = matrices
    width = columns.shape[1]
    if rows.shape[1] == 1:
        store(f.index(0), multiply(f, columns, [load(0, f.index(j)) for j in range(width)]))
        return
    with f.loop(0, width, name="column") as j:
        turned = multiply(f, rows, [load(i, j) for i in range(rows.shape[1])])
        kind = turned[0].type
        stack = f.alloca(kind, len(rows) * width, name="turned")
        for i, value in enumerate(turned):
            at = f.mul(f.add(j, i * width), kind.lanes)
            f.store_at(f.offset(stack, at, dtype), dtype, value)
    with f.loop(0, len(rows) if height is None else height, name="row") as row:
        line = f.offset(stack, f.mul(row, width * kind.lanes), dtype)
        values = [
            f.load_at(f.offset(line, number * kind.lanes, dtype), dtype, kind.lanes)
            for number in range(width)
        ]
        store(row, multiply(f, columns, values))


def multiply(f: Function, matrix: Matrix, values: Sequence[Operand]) -> list[Operand]:
    """`matrix @ values`.

    Points come in pairs p, -p, whose rows (or columns) differ by the signs of every other entry:
    the part where they agree and the part where they differ are computed once for both.
    """
    rows = tuple(map(tuple, matrix.tolist()))
    by_columns = _pairs(tuple(zip(*rows, strict=True)))
    if by_columns:
        return _with_paired_columns(f, rows, values, by_columns)
    found: dict[int, Operand] = {}
    for i, j in _pairs(rows):
        both = list(zip(rows[i], rows[j], strict=True))
        even = _combination(f, [x if x == y else 0.0 for x, y in both], values)
        odd = _combination(f, [0.0 if x == y else x for x, y in both], values)
        found[i], found[j] = f.add(even, odd), f.sub(even, odd)
    for i, row in enumerate(rows):
        if i not in found:
            found[i] = _combination(f, row, values)
    return [found[i] for i in range(len(rows))]


@lru_cache(maxsize=64)
def _pairs(rows: Rows) -> list[tuple[int, int]]:
    """The rows of equal magnitudes that agree somewhere and differ somewhere."""
    matrix = np.array(rows)
    found: list[tuple[int, int]] = []
    for i in range(len(matrix)):
        for j in range(i + 1, len(matrix)):
            x, y = matrix[i], matrix[j]
            mixed = np.any((x == y) & (x != 0)) and np.any((x == -y) & (x != 0))
            if mixed and np.array_equal(abs(x), abs(y)):
                found.append((i, j))
    return found


def _with_paired_columns(
    f: Function, rows: Rows, values: Sequence[Operand], pairs: Sequence[tuple[int, int]]
) -> list[Operand]:
    """Sums and differences of paired values first; each row reads one of the two."""
    whole = {i: (f.add(values[i], values[j]), f.sub(values[i], values[j])) for i, j in pairs}
    second = {j for _, j in pairs}
    partner = dict(pairs)
    result = []
    for row in rows:
        weights, terms = [], []
        for k, weight in enumerate(row):
            if k in second:
                continue
            if k in whole:
                terms.append(whole[k][0] if row[partner[k]] == weight else whole[k][1])
            else:
                terms.append(values[k])
            weights.append(weight)
        result.append(_combination(f, weights, terms))
    return result


def _combination(f: Function, weights: Sequence[float], values: Sequence[Operand]) -> Operand:
    """The weighted sum; terms of weight 1 and -1 first, which need no multiplication."""
    terms = [(w, x) for w, x in zip(weights, values, strict=True) if w != 0]
    terms.sort(key=lambda term: (abs(term[0]) != 1, term[0] == -1))
    total: Operand | None = None
    for weight, x in terms:
        if total is None:
            total = x if weight == 1 else f.neg(x) if weight == -1 else f.mul(x, weight)
        elif abs(weight) == 1:
            total = f.add(total, x) if weight == 1 else f.sub(total, x)
        else:
            total = f.fma(x, weight, total)
    return constant(0, values[0].type) if total is None else total
