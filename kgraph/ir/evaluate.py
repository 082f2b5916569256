"""The reference interpreter, the oracle: one op after the other, for reading and not for speed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from kgraph.ir.bind import bind
from kgraph.ir.dims import Dim, bind_size
from kgraph.ir.errors import IRError
from kgraph.ir.graph import Array, Function, Op, Value
from kgraph.ir.types import numpy_dtype


def evaluate(fn: Function, args: Sequence[ArrayLike]) -> list[Array]:
    """The results of `fn`; they may share memory with each other, with constants and `args`."""
    arrays = [np.asarray(a) for a in args]
    sizes = sizes_of(fn, [a.shape for a in arrays])
    if sizes:
        fn = bind(fn, sizes)
    for p, name, a in zip(fn.params, fn.param_names, arrays, strict=True):
        if a.shape != p.shape or a.dtype != numpy_dtype(p.dtype):
            raise IRError(f"the argument {name} must be {p.type}; got {a.dtype}{list(a.shape)}")
    return run(fn, arrays)


def sizes_of(fn: Function, shapes: Sequence[tuple[int, ...]]) -> dict[str, int]:
    """The value of each symbol, read off the arguments' shapes; IRError if they do not fit."""
    if len(shapes) != len(fn.params):
        raise IRError(f"expected {len(fn.params)} arguments; got {len(shapes)}")
    sizes: dict[str, int] = {}
    late: list[tuple[str, Dim, int]] = []
    for p, name, shape in zip(fn.params, fn.param_names, shapes, strict=True):
        if len(shape) != p.type.rank:
            raise IRError(f"the argument {name} must be {p.type}; got the shape {list(shape)}")
        for d, n in zip(p.shape, shape, strict=True):
            if isinstance(d, int):
                if d != n:
                    raise IRError(
                        f"the argument {name} must be {p.type}; got the shape {list(shape)}"
                    )
            else:
                alone = _symbol_in(d, n)
                if alone is None or sizes.setdefault(*alone) != alone[1]:
                    late.append((name, d, n))
    for name, d, n in late:
        if bind_size(d, sizes) != n:
            known = ", ".join(f"{s}={v}" for s, v in sizes.items())
            raise IRError(f"the argument {name} has {n} where {d} is expected, with {known}")
    return sizes


def _symbol_in(d: Dim, n: int) -> tuple[str, int] | None:
    """The symbol of `d`, if that is `k*symbol + c`, and the value that makes it `n`, if any."""
    monomial, k = d.terms[0]
    c = d.terms[1][1] if len(d.terms) == 2 and not d.terms[1][0] else 0
    if (
        len(d.terms) > 1 + (c != 0)
        or len(monomial) != 1
        or not isinstance(monomial[0][0], str)
        or monomial[0][1] != 1
    ):
        return None
    return (monomial[0][0], (n - c) // k) if (n - c) % k == 0 and (n - c) // k >= 0 else None


def run(fn: Function, arrays: Sequence[Array]) -> list[Array]:
    """The results of a function without symbols; arrays are freed after their last use."""
    last: dict[Value, Op] = {}
    for op in fn.ops:
        for v in op.operands:
            last[v] = op
    kept = set(fn.results)
    env: dict[Value, Array] = dict(zip(fn.params, arrays, strict=True))
    with np.errstate(all="ignore"):
        for op in fn.ops:
            outs = op.reference(*[env[v] for v in op.operands])
            for v, a in zip(op.results, outs if isinstance(outs, tuple) else (outs,), strict=True):
                a = np.asarray(a)  # numpy gives scalars for rank 0
                if a.shape != v.shape or a.dtype != numpy_dtype(v.dtype):
                    got = f"{a.dtype}{list(a.shape)}"
                    raise AssertionError(f"{op.name}: the reference gave {got}, not {v.type}")
                env[v] = a
            for v in op.operands:
                if last[v] is op and v not in kept:
                    env.pop(v, None)
    return [env[v] for v in fn.results]
