"""Random bits: Threefry-2x32 of each element's linear index, JAX's partitionable layout."""

from __future__ import annotations

from typing import Any

from kgraph.ir import Shape, Value, product

__all__ = ["Key", "bits", "drawn_bits", "key_words", "split"]

Key = tuple[Value, Value]

_WORD = 2**32


def key_words(b: Any, key: Value) -> Key:
    """The two words of a key: scalars."""
    words = [b.reshape(b.slice(key, (i,), (i + 1,), (1,)), ()) for i in (0, 1)]
    return words[0], words[1]


def split(b: Any, key: Key) -> tuple[Key, Key]:
    """Two new keys: the words at the counters 0 and 1."""
    zero = b.constant(0, "uint32")
    first = b.threefry(key[0], key[1], zero, zero)
    second = b.threefry(key[0], key[1], zero, b.constant(1, "uint32"))
    return first, second


def bits(b: Any, key: Key, shape: Shape, width: int) -> Value:
    """Unsigned integers of `width` random bits: 8, 16, 32 or 64."""
    high, low = _counters(b, shape)
    k0, k1 = (b.broadcast(word, shape) for word in key)
    word0, word1 = b.threefry(k0, k1, high, low)
    return drawn_bits(b, word0, word1, width)


def drawn_bits(b: Any, word0: Value, word1: Value, width: int) -> Value:
    """The two words of a draw as one unsigned integer of `width` bits."""
    if width == 64:
        wide0, wide1 = b.convert(word0, "uint64"), b.convert(word1, "uint64")
        joined: Value = b.or_(b.shift_left(wide0, b.splat(32, wide0.type)), wide1)
        return joined
    found: Value = b.cast(b.xor(word0, word1), f"uint{width}")
    return found


def _counters(b: Any, shape: Shape) -> tuple[Value, Value]:
    """The high and the low word of each element's linear index.

    An unknown number of elements is taken to be below 2**32.
    """
    count = product(shape)
    large = isinstance(count, int) and count > _WORD
    dtype = "uint64" if large else "uint32"
    index: Value | None = None
    for dim in range(len(shape)):
        if shape[dim] == 1:
            continue
        part = b.iota(shape, dim, dtype)
        step = product(shape[dim + 1 :])
        if step != 1:
            factor = b.constant(step, dtype) if isinstance(step, int) else b.dim_size(step, dtype)
            part = b.multiply(part, b.broadcast(factor, shape))
        index = part if index is None else b.add(index, part)
    if index is None:
        zero = b.broadcast(b.constant(0, "uint32"), shape)
        return zero, zero
    if not large:
        return b.splat(0, index.type), index
    high = b.shift_right_logical(index, b.splat(32, index.type))
    return b.convert(high, "uint32"), b.convert(index, "uint32")
