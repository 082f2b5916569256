"""Other shapes for the same elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from kgraph.ir import Dim, Shape, Size, product
from kgraph.ops._common import axes_of, axis_of, entered, reshaped
from kgraph.ops._creation import shape_of
from kgraph.ops._dispatch import op
from kgraph.ops._operators import FUNCTIONS
from kgraph.ops._promote import broadcast_value
from kgraph.ops._trace import context_of

__all__ = [
    "broadcast_to", "expand_dims", "flip", "fliplr", "flipud", "moveaxis", "ravel", "repeat",
    "reshape", "roll", "rot90", "squeeze", "swapaxes", "tile", "transpose",
]  # fmt: skip


@op("numpy.Reshape")
def reshape(x: Any, newshape: Any) -> Any:
    """The elements in another shape; one size may be -1 (or None): what is left."""
    context = context_of((x, *(newshape if isinstance(newshape, tuple | list) else (newshape,))))
    value = context.lift(x)
    shape = _resolved(value.type.shape, newshape)
    b = context.b
    if product(shape) != value.type.size:
        value, shape = _with_assumed_size(b, value, shape)
    result = reshaped(b, value, shape)
    return context.wrap(result)


def _resolved(shape: Shape, newshape: Any) -> Shape:
    given = newshape if isinstance(newshape, tuple | list) else (newshape,)
    free = [k for k, n in enumerate(given) if n is None or (isinstance(n, int) and n == -1)]
    if len(free) > 1:
        raise ValueError(f"at most one size of a new shape may be -1; got {tuple(newshape)}")
    if not free:
        return shape_of(given)
    known = shape_of([n for k, n in enumerate(given) if k not in free])
    total, rest = product(shape), product(known)
    if rest == 0:
        size: Size = 0
    else:
        size = total // rest
        if isinstance(total, int) and isinstance(rest, int) and total % rest:
            raise _wrong_size(shape, tuple(given))
    return (*known[: free[0]], size, *known[free[0] :])


def _with_assumed_size(b: Any, value: Any, shape: Shape) -> Any:
    """Where the element counts differ as far as can be told: the sizes that make them equal."""
    given = value.type.shape
    if isinstance(product(given), int) and isinstance(product(shape), int):
        raise _wrong_size(given, shape)
    # a size of either side that alone is unknown can be solved for
    for k, n in enumerate(given):
        others = product([*given[:k], *given[k + 1 :]])
        if (
            isinstance(n, Dim)
            and others != 0
            and (wanted := product(shape) // others) * others == product(shape)
        ):
            return b.assume_shape(value, (*given[:k], wanted, *given[k + 1 :])), shape
    int(product(given)), int(product(shape))  # asks for the numbers
    raise _wrong_size(given, shape)


def _wrong_size(shape: Shape, newshape: Any) -> ValueError:
    return ValueError(f"a tensor of the shape {shape} cannot be reshaped to {newshape}")


@op("numpy.Transpose")
def transpose(x: Any, axes: Sequence[int] | None = None) -> Any:
    """The dims in another order; by default reversed."""
    context, value = entered(x)
    rank = value.type.rank
    if axes is None:
        perm = tuple(reversed(range(rank)))
    else:
        perm = tuple(axis_of(a, rank, "axes") for a in axes)
        if sorted(perm) != list(range(rank)):
            raise ValueError(f"`axes` must name each of {rank} dims once; got {axes}")
    return context.wrap(value if perm == tuple(range(rank)) else context.b.transpose(value, perm))


@op("numpy.Moveaxis")
def moveaxis(x: Any, source: Any, destination: Any) -> Any:
    """Dims moved to other places."""
    rank = len(context_of((x,)).lift(x).type.shape)
    sources = [source] if isinstance(source, int) else list(source)
    places = [destination] if isinstance(destination, int) else list(destination)
    if len(sources) != len(places):
        raise ValueError("`source` and `destination` must have the same number of axes")
    moved = [axis_of(a, rank, "source") for a in sources]
    order = [d for d in range(rank) if d not in moved]
    for place, dim in sorted(
        zip([axis_of(a, rank, "destination") for a in places], moved, strict=True)
    ):
        order.insert(place, dim)
    return transpose(x, order)


@op("numpy.Swapaxes")
def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """Two dims exchanged."""
    rank = len(context_of((x,)).lift(x).type.shape)
    order = list(range(rank))
    a, z = axis_of(axis1, rank, "axis1"), axis_of(axis2, rank, "axis2")
    order[a], order[z] = order[z], order[a]
    return transpose(x, order)


@op("numpy.ExpandDims")
def expand_dims(x: Any, axis: Any) -> Any:
    """New dims of size 1, at these places of the result."""
    context, value = entered(x)
    given = axis if isinstance(axis, list | tuple) else (axis,)
    rank = value.type.rank + len(given)
    dims = axes_of(axis, rank)
    sizes = iter(value.type.shape)
    shape = tuple(1 if d in dims else next(sizes) for d in range(rank))
    return context.wrap(reshaped(context.b, value, shape))


@op("numpy.Squeeze")
def squeeze(x: Any, axis: Any = None) -> Any:
    """Without dims of size 1: all of them, or those named.

    Raises:
        ValueError: a named dim has another size.
    """
    context, value = entered(x)
    shape = value.type.shape
    if axis is None:
        dims = tuple(d for d, n in enumerate(shape) if n == 1)
    else:
        dims = axes_of(axis, len(shape))
        for d in dims:
            if isinstance(shape[d], int) and shape[d] != 1:
                raise ValueError(f"only dims of size 1 can be squeezed; got axis={axis} of {shape}")
        fits = tuple(1 if d in dims else n for d, n in enumerate(shape))
        if fits != shape:
            value = context.b.assume_shape(value, fits)
    kept = tuple(n for d, n in enumerate(shape) if d not in dims)
    return context.wrap(reshaped(context.b, value, kept))


@op("numpy.Ravel")
def ravel(x: Any) -> Any:
    """All elements in one dim."""
    return reshape(x, (-1,))


@op("numpy.BroadcastTo")
def broadcast_to(x: Any, shape: Any) -> Any:
    """x repeated along dims of size 1 and new leading dims."""
    sizes = shape_of(shape)
    context = context_of((x, *sizes))
    value = context.lift(x)
    own = value.type.shape
    pairs = list(zip(reversed(own), reversed(sizes), strict=False))
    wrong = any(n not in (1, m) and isinstance(n, int) and isinstance(m, int) for n, m in pairs)
    if len(own) > len(sizes) or wrong:
        raise ValueError(f"a tensor of the shape {own} cannot be broadcast to {sizes}")
    return context.wrap(broadcast_value(context.b, value, sizes))


@op("numpy.Tile")
def tile(x: Any, repeats: Any) -> Any:
    """x, so many times along each dim."""
    counts: list[Size] = list(shape_of(repeats))
    context = context_of((x, *counts))
    value = context.lift(x)
    shape: list[Size] = list(value.type.shape)
    rank = max(len(shape), len(counts))
    shape = [*[1] * (rank - len(shape)), *shape]
    counts = [*[1] * (rank - len(counts)), *counts]
    b = context.b
    value = reshaped(b, value, tuple(shape))
    apart = tuple(n for pair in zip(counts, shape, strict=True) for n in pair)
    spread = b.broadcast_in_dim(value, apart, tuple(range(1, 2 * rank, 2)))
    whole = tuple(n * m for n, m in zip(counts, shape, strict=True))
    return context.wrap(reshaped(b, spread, whole))


@op("numpy.Repeat")
def repeat(x: Any, repeats: Any, axis: int | None = None) -> Any:
    """Each element so many times in a row, along a dim or of all; one number, or one for each."""
    if axis is None:
        return repeat(ravel(x), repeats, 0)
    context, value = entered(x)
    shape = value.type.shape
    dim = axis_of(axis, len(shape))
    if isinstance(repeats, list | tuple) or getattr(repeats, "ndim", 0):
        return _repeat_each(x, repeats, dim, shape)
    count = shape_of(repeats)[0]
    apart = (*shape[: dim + 1], count, *shape[dim + 1 :])
    kept = tuple(d for d in range(len(apart)) if d != dim + 1)
    spread = context.b.broadcast_in_dim(value, apart, kept)
    whole = (*shape[:dim], shape[dim] * count, *shape[dim + 1 :])
    return context.wrap(reshaped(context.b, spread, whole))


def _repeat_each(x: Any, repeats: Any, dim: int, shape: Shape) -> Any:
    counts = np.asarray(repeats).reshape(-1)
    if counts.size == 1:
        return repeat(x, int(counts[0]), dim)
    indices = np.repeat(np.arange(int(shape[dim])), counts).astype(np.int32)
    return FUNCTIONS["take"](x, indices, axis=dim)


@op("numpy.Flip")
def flip(x: Any, axis: Any = None) -> Any:
    """The order of the elements reversed along all dims, or those named."""
    context, value = entered(x)
    dims = axes_of(axis, value.type.rank)
    return context.wrap(context.b.reverse(value, dims) if dims else value)


@op("numpy.Fliplr")
def fliplr(x: Any) -> Any:
    """The columns in reverse order."""
    return flip(x, 1)


@op("numpy.Flipud")
def flipud(x: Any) -> Any:
    """The rows in reverse order."""
    return flip(x, 0)


@op("numpy.Rot90")
def rot90(array: Any, k: int = 1, axes: tuple[int, int] = (0, 1)) -> Any:
    """Turned by k quarters in the plane of two dims, from the first towards the second."""
    rank = len(context_of((array,)).lift(array).type.shape)
    if rank < 2 or len(axes) != 2 or axes[0] == axes[1]:
        raise ValueError(
            f"`rot90` needs two different `axes` of at least 2 dims; got {axes} of {rank}"
        )
    first, second = (axis_of(a, rank, "axes") for a in axes)
    turns = k % 4
    if turns == 0:
        return flip(array, ())
    if turns == 2:
        return flip(array, (first, second))
    turned = swapaxes(array, first, second)
    return flip(turned, first if turns == 1 else second)


@op("numpy.Roll")
def roll(x: Any, shift: Any, axis: Any = None) -> Any:
    """Elements moved along dims; what leaves at one end comes in at the other."""
    context, value = entered(x)
    shape = value.type.shape
    if axis is None:
        flat = context.wrap(reshaped(context.b, value, (value.type.size,)))
        return reshape(roll(flat, shift, 0), shape)
    axes = axis if isinstance(axis, list | tuple) else (axis,)
    shifts = shift if isinstance(shift, list | tuple) else (shift,) * len(axes)
    b = context.b
    for by, a in zip(shifts, axes, strict=True):
        value = _rolled(b, value, int(by), axis_of(a, len(shape)))
    return context.wrap(value)


def _rolled(b: Any, value: Any, by: int, dim: int) -> Any:
    n = value.type.shape[dim]
    if n == 0:
        return value
    first = (-by) % n
    if first == 0:
        return value
    return b.concatenate((cut(b, value, dim, first, n), cut(b, value, dim, 0, first)), dim)


def cut(b: Any, value: Any, dim: int, start: Size, limit: Size) -> Any:
    """The elements from `start` to before `limit` of one dim."""
    shape = value.type.shape
    low = tuple(start if d == dim else 0 for d in range(len(shape)))
    high = tuple(limit if d == dim else n for d, n in enumerate(shape))
    return b.slice(value, low, high, (1,) * len(shape))
