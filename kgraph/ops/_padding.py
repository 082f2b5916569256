"""Elements added around a tensor."""

from __future__ import annotations

from typing import Any

from kgraph.ir import Dim, Size, Value, maximum
from kgraph.ops._dispatch import op
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import dtype_of
from kgraph.ops._shapes import cut
from kgraph.ops._trace import context_of

__all__ = ["pad"]


@op("numpy.Pad", ("x", "constant_values"))
def pad(x: Any, pad_width: Any, mode: str = "constant", constant_values: Any = None) -> Any:
    """Elements added before and behind each dim.

    Args:
        x: a tensor.
        pad_width: (before, behind) for each dim, or one pair, or one number, for all.
        mode: "constant", "edge" (the last element again), "reflect" (mirrored at it) or "symmetric"
            (mirrored behind it).
        constant_values: what "constant" adds; 0 by default.

    Raises:
        ValueError: the mode is unknown, or `constant_values` goes with another one.
    """
    if constant_values is not None and mode != "constant":
        raise ValueError(
            "Argument `constant_values` can only be provided when `mode == 'constant'`. "
            f"Received: mode={mode}"
        )
    context = context_of((x, constant_values))
    value = context.lift(x)
    b, rank = context.b, value.type.rank
    widths = _widths(pad_width, rank)
    if mode == "constant":
        fill = context.lift(0 if constant_values is None else constant_values, dtype_of(x))
        low, high = tuple(w[0] for w in widths), tuple(w[1] for w in widths)
        return context.wrap(b.pad(value, fill, low, high, (0,) * rank))
    if mode not in ("edge", "reflect", "symmetric"):
        raise ValueError(f"`mode` must be constant, edge, reflect or symmetric; got {mode!r}")
    for dim, (before, behind) in enumerate(widths):
        if isinstance(value.type.shape[dim], Dim) and mode != "edge" and (before or behind):
            value = context.lift(_looked_up(context.wrap(value), dim, before, behind, mode))
        else:
            value = _mirrored(b, value, dim, int(before), int(behind), mode)
    return context.wrap(value)


def _widths(pad_width: Any, rank: int) -> list[tuple[Size, Size]]:
    if not isinstance(pad_width, tuple | list):
        pad_width = (pad_width.tolist() if hasattr(pad_width, "tolist") else pad_width,)
    if len(pad_width) == 1 and isinstance(pad_width[0], list):
        pad_width = pad_width[0]
    entries = list(pad_width)
    if len(entries) == 2 and not any(isinstance(e, tuple | list) for e in entries):
        entries = [tuple(entries)]
    pairs = [tuple(e) if isinstance(e, tuple | list) else (e, e) for e in entries]
    pairs = [p * 2 if len(p) == 1 else p for p in pairs]
    if len(pairs) == 1:
        pairs *= rank
    if len(pairs) != rank:
        raise ValueError(f"`pad_width` must have a pair for each of {rank} dims; got {pad_width}")
    return pairs


def _looked_up(x: Any, dim: int, before: Size, behind: Size, mode: str) -> Any:
    """One dim of unknown size mirrored: each place looks up the element that it repeats."""
    n, twice = x.shape[dim], 1 if mode == "symmetric" else 0  # whether the ends stand twice
    period = maximum(n * 2 - 2 + 2 * twice, 1)
    places = FUNCTIONS["arange"](n + before + behind, dtype="int32")
    places = FUNCTIONS["mod"](places - before, period)
    return FUNCTIONS["take"](x, FUNCTIONS["minimum"](places, period - twice - places), dim)


def _mirrored(b: Any, value: Value, dim: int, before: int, behind: int, mode: str) -> Value:
    """One dim padded with what it has itself, in as many rounds as its size asks for."""
    skip = 1 if mode == "reflect" else 0
    while before or behind:
        n = value.type.shape[dim]
        room = 1 if mode == "edge" else int(n) - skip
        if mode == "reflect" and n == 1:
            room, skip = 1, 0  # a single element is its own mirror image
        low, high = min(before, room), min(behind, room)
        if mode == "edge":
            shape = value.type.shape
            every = tuple(range(len(shape)))

            def repeated(part: Value, count: int, shape: Any = shape, every: Any = every) -> Value:
                found: Value = b.broadcast_in_dim(
                    part, (*shape[:dim], count, *shape[dim + 1 :]), every
                )
                return found

            parts = [
                repeated(cut(b, value, dim, 0, 1), before),
                value,
                repeated(cut(b, value, dim, n - 1, n), behind),
            ]
            low, high = before, behind
        else:
            parts = [
                b.reverse(cut(b, value, dim, skip, skip + low), (dim,)),
                value,
                b.reverse(cut(b, value, dim, n - skip - high, n - skip), (dim,)),
            ]
        parts = [p for p, w in zip(parts, (low, 1, high), strict=True) if w]
        value = b.concatenate(tuple(parts), dim) if len(parts) > 1 else parts[0]
        before, behind = before - low, behind - high
    return value
