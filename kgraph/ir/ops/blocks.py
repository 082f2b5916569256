"""Combining what the blocks of a `batched` op give: the order of the sums is part of the program's
meaning.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from kgraph.ir.graph import Array
from kgraph.ir.ops.common import accumulator, identity, ufunc
from kgraph.ir.types import TensorType, dtype_name, numpy_dtype

CHUNKS = 8  # accumulators of a sum over the batch; a meaning, not a tuning knob

_T = TypeVar("_T")


def chunk_bounds(blocks: int) -> list[tuple[int, int]]:
    """First block and first block behind of each chunk: at most `CHUNKS`, none empty."""
    count = min(blocks, CHUNKS)
    return [(i * blocks // count, (i + 1) * blocks // count) for i in range(count)]


def in_order(combine: Callable[[_T, _T], _T], parts: Sequence[_T]) -> _T:
    """Each chunk of blocks from the left to the right, then the chunks by a balanced tree of
    neighbours.
    """
    level = []
    for first, behind in chunk_bounds(len(parts)):
        total = parts[first]
        for part in parts[first + 1 : behind]:
            total = combine(total, part)
        level.append(total)
    while len(level) > 1:
        pairs = [level[i : i + 2] for i in range(0, len(level), 2)]
        level = [combine(*pair) if len(pair) == 2 else pair[0] for pair in pairs]
    return level[0]


def combined(kind: str, parts: Sequence[Array], like: TensorType) -> Array:
    """The result for the batch from those of its blocks, by one of `KINDS`; the identity where
    there is no block.
    """
    if not parts:
        return np.full([int(n) for n in like.shape], identity(kind, like.dtype))
    wide = accumulator(like.dtype)
    combine = ufunc(kind)
    total = in_order(lambda x, y: combine(x, y), [p.astype(wide, copy=False) for p in parts])
    return np.asarray(total).astype(numpy_dtype(like.dtype), copy=False)


def combined_moments(
    means: Sequence[Array], variances: Sequence[Array], counts: Sequence[int]
) -> tuple[Array, Array]:
    """Mean and variance over all samples from those of the blocks, by the formula of Chan, Golub
    and LeVeque (1979).
    """
    dtype = means[0].dtype
    wide = accumulator(dtype_name(dtype))
    parts = [
        (n, m.astype(wide), v.astype(wide))
        for n, m, v in zip(counts, means, variances, strict=True)
    ]
    _, mean, variance = in_order(_merged, parts)
    return mean.astype(dtype), variance.astype(dtype)


def _merged(x: tuple[int, Array, Array], y: tuple[int, Array, Array]) -> tuple[int, Array, Array]:
    (n, mean, variance), (m, other, spread) = x, y
    share = np.asarray(m / (n + m)).astype(mean.dtype)
    apart = other - mean
    between = apart * apart * (share * (1 - share))
    return n + m, mean + apart * share, variance + (spread - variance) * share + between
