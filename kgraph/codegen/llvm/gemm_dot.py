"""Products of a few rows with a matrix whose columns are contiguous: dot products.

With up to four rows and k the contiguous direction of both A and B, nothing is packed: a group of
four columns is summed along k in vectors, one accumulator for each pair of row and column, and the
lanes are added in the end. B is read once, in order.
"""

from __future__ import annotations

from kgraph.codegen.llvm.emit import (
    Function,
    Index,
    Module,
    Operand,
    View,
    item_bytes,
    poison,
    register_type,
)
from kgraph.codegen.llvm.gemm_spec import GemmSpec
from kgraph.codegen.llvm.gemm_tile import compute_dtype, multiply_add, zeros

GROUP = 4


def dots(spec: GemmSpec) -> bool:
    """Whether a product is done this way."""
    plain = spec.parts == 1 and not (spec.prologue_a or spec.prologue_b)
    plain = plain and not (spec.packed_b or spec.continued)
    contiguous = spec.a_strides[1] == 1 and spec.b_strides[0] == 1 and spec.b_strides[1] != 1
    few = spec.m is not None and spec.m <= 4
    return plain and few and contiguous and compute_dtype(spec.dtype) == spec.dtype


def emit_dots(module: Module, name: str, spec: GemmSpec) -> None:
    """Defines the function of `spec.parameters()`."""
    assert spec.m is not None
    unit = spec.shape(module.target)
    with module.function(name, spec.parameters()) as f:
        lo, hi = f.parameter("lo"), f.parameter("hi")
        n = _value(f, "n", spec.n)
        if spec.split == "rows":
            # Four rows are one unit: the range is empty or everything.
            start, stop = f.index(0), f.select(f.compare("LT", lo, hi), f.index(n), 0)
        else:
            start, stop = f.mul(lo, unit.columns), f.smin(f.mul(hi, unit.columns), n)
        with f.loop(start, stop, GROUP, name="column") as column:
            left = f.sub(stop, column)
            mask = f.tail_mask(f.smin(left, GROUP), GROUP)
            sums = _sums(f, spec, column, f.sub(stop, 1))
            for row in range(spec.m):
                total = poison(register_type(spec.dtype, GROUP))
                for j in range(GROUP):
                    lane = f.reduce_lanes(sums[row * GROUP + j], f.add)
                    total = f.insert(total, lane, j)
                _finish(f, spec, f.index(row), column, total, mask)


def _sums(f: Function, spec: GemmSpec, column: Operand, last: Operand) -> tuple[Operand, ...]:
    """A vector of partial sums for every row and column of the group; beyond `last` repeats."""
    assert spec.m is not None
    dtype, rows = spec.dtype, spec.m
    lanes = f.target.lanes(item_bytes(dtype))
    a_m, b_n = _value(f, "a_m", spec.a_strides[0]), _value(f, "b_n", spec.b_strides[1])
    a = [f.offset(f.parameter("a"), f.mul(a_m, row), dtype) for row in range(rows)]
    b = [
        f.offset(f.parameter("b"), f.mul(f.smin(f.add(column, j), last), b_n), dtype)
        for j in range(GROUP)
    ]

    def step(k: Operand, mask: Operand | None, totals: tuple[Operand, ...]) -> list[Operand]:
        left = [f.load_at(f.offset(p, k, dtype), dtype, lanes, mask) for p in a]
        result = list(totals)
        for j, pointer in enumerate(b):
            right = f.load_at(f.offset(pointer, k, dtype), dtype, lanes, mask)
            for row in range(rows):
                place = row * GROUP + j
                result[place] = multiply_add(f, left[row], right, result[place])
        return result

    count = f.index(_value(f, "k", spec.k))
    whole = f.sub(count, f.srem(count, lanes))
    with f.carried_loop(0, whole, zeros(dtype, rows * GROUP, lanes), lanes, "k") as loop:
        loop.next(*step(loop.index, None, loop.values))
    if whole.constant is not None and whole.constant == count.constant:
        return loop.results
    return tuple(step(whole, f.tail_mask(f.sub(count, whole), lanes), loop.results))


def _finish(
    f: Function, spec: GemmSpec, row: Operand, column: Operand, value: Operand, mask: Operand
) -> None:
    strides = (_value(f, "c_m", spec.c_strides[0]), _value(f, "c_n", spec.c_strides[1]))
    result = spec.result or spec.dtype
    view = View(f.parameter("c"), result, strides)
    if spec.accumulate:
        before = f.load(view, [row, column], GROUP, mask=mask)
        value = f.add(value, f.convert(before, result, spec.dtype))
    stored: Operand | None
    if spec.epilogue is None:
        stored = f.convert(value, spec.dtype, result)
    else:
        stored = spec.epilogue(f, row, column, value, mask)
    if stored is not None:
        f.store(view, [row, column], stored, mask=mask)


def _value(f: Function, name: str, known: int | None) -> Index:
    return f.parameter(name) if known is None else known
