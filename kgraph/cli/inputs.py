"""Data for programs that are only measured."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from kgraph.ir import (
    INTEGERS,
    Function,
    Op,
    Size,
    Value,
    bind_size,
    bind_type,
    numpy_dtype,
    users,
)
from kgraph.ir.ops.binary import Compare
from kgraph.ir.ops.gather import Gather
from kgraph.ir.ops.places import Indexed
from kgraph.ir.ops.scatter import Scatter
from kgraph.ir.ops.shape import Iota


def made_up(fn: Function, sizes: Mapping[str, int], first: int = 0) -> list[Any]:
    """Arrays for the parameters from `first` on: numbers between 0 and 1, indices that are valid.

    An integer is zero where nothing shows what it may be an index of.
    """
    used = users(fn)
    arrays = []
    for seed, p in enumerate(fn.params[first:]):
        random = np.random.default_rng(seed)
        type_ = bind_type(p.type, sizes)
        if numpy_dtype(type_.dtype).kind in "biu":
            drawn: Any = random.integers(_bound(p, used, sizes), size=type_.shape)
        else:
            drawn = random.random(type_.shape)
        arrays.append(drawn.astype(numpy_dtype(type_.dtype)))
    return arrays


def _bound(p: Value, used: Mapping[Value, list[Op]], sizes: Mapping[str, int]) -> int:
    """The least size that is indexed by a parameter, or by numbers that are made of it, or 1."""
    found: list[int] = []
    seen = {p}
    pending = [p]
    while pending:
        value = pending.pop()
        for op in used.get(value, ()):
            found += [bind_size(n, sizes) for n in _indexed(op, value)]
            # Labels often pass through a float dtype on their way.
            for result in op.results:
                if result not in seen and result.dtype != "bool" and not isinstance(op, Indexed):
                    seen.add(result)
                    pending.append(result)
    return min(found, default=1)


def _indexed(op: Op, value: Value) -> list[Size]:
    """The sizes of the dims in which the op takes elements of `value` as places."""
    match op:
        case Gather() if value is op.indices:
            return [op.x.shape[d] for d in op.start_index_map]
        case Scatter() if value is op.indices:
            return [op.x.shape[d] for d in op.scatter_dims_to_operand_dims]
        case Compare() if value.dtype in INTEGERS:
            other = op.y if value is op.x else op.x
            if isinstance(other.op, Iota):
                return [other.op.shape[other.op.dim]]
    return []
