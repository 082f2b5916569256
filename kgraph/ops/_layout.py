"""Images and sequences cut into patches, and channels into pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kgraph import config
from kgraph.ops._dispatch import op
from kgraph.ops._indexing import take
from kgraph.ops._padding import pad
from kgraph.ops._shapes import reshape, transpose
from kgraph.ops._updates import scatter

__all__ = ["depth_to_space", "extract_sequences", "fold", "space_to_depth", "unfold"]


@op("math.ExtractSequences")
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Any:
    """The windows of so many samples along the last dim, so many samples apart."""
    n = int(x.shape[-1])
    count = max((n - sequence_length) // sequence_stride + 1, 0)
    index = np.arange(count)[:, None] * sequence_stride + np.arange(sequence_length)
    return take(x, index.astype(np.int32), -1)


def _channels_last(x: Any, data_format: str | None) -> tuple[Any, bool]:
    first = config.standardize_data_format(data_format) == "channels_first"
    return (transpose(x, (0, 2, 3, 1)) if first else x), first


@op("nn.DepthToSpace")
def depth_to_space(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Channels become blocks of pixels: (batch, h, w, c) to (batch, h*s, w*s, c/s/s)."""
    x, first = _channels_last(x, data_format)
    batch, h, w, c = x.shape
    s = block_size
    if c % (s * s) != 0:
        raise ValueError(f"the channels must be a multiple of {s * s}; got {c}")
    x = reshape(x, (batch, h, w, s, s, c // (s * s)))
    x = reshape(transpose(x, (0, 1, 3, 2, 4, 5)), (batch, h * s, w * s, c // (s * s)))
    return transpose(x, (0, 3, 1, 2)) if first else x


@op("nn.SpaceToDepth")
def space_to_depth(x: Any, block_size: int, data_format: str = "channels_last") -> Any:
    """Blocks of pixels become channels: (batch, h, w, c) to (batch, h/s, w/s, c*s*s)."""
    x, first = _channels_last(x, data_format)
    batch, h, w, c = x.shape
    s = block_size
    if h % s != 0 or w % s != 0:
        raise ValueError(f"height and width must be multiples of {s}; got {h} and {w}")
    x = reshape(x, (batch, h // s, s, w // s, s, c))
    x = reshape(transpose(x, (0, 1, 3, 2, 4, 5)), (batch, h // s, w // s, c * s * s))
    return transpose(x, (0, 3, 1, 2)) if first else x


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


def _windows(size: tuple[int, int], kernel: Any, dilation: Any, stride: Any) -> tuple[Any, Any]:
    """The row and the column of each tap of each window: (taps, windows) of each."""
    kernel, dilation, stride = _pair(kernel), _pair(dilation), _pair(stride)
    places = [
        np.arange(0, n - d * (k - 1), s)
        for n, k, d, s in zip(size, kernel, dilation, stride, strict=True)
    ]
    taps = [np.arange(k) * d for k, d in zip(kernel, dilation, strict=True)]
    row = taps[0][:, None, None, None] + places[0][None, None, :, None]
    column = taps[1][None, :, None, None] + places[1][None, None, None, :]
    shape = (math.prod(map(len, taps)), math.prod(map(len, places)))
    row, column = np.broadcast_arrays(row, column)
    return row.reshape(shape), column.reshape(shape)


@op("nn.Unfold")
def unfold(x: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Any:
    """The windows of images: (batch, c, h, w) to (batch, c * taps, windows)."""
    batch, c, h, w = x.shape
    ph, pw = _pair(padding)
    x = pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    row, column = _windows((int(h) + 2 * ph, int(w) + 2 * pw), kernel_size, dilation, stride)
    flat = reshape(x, (batch, c, -1))
    index = (row * (int(w) + 2 * pw) + column).astype(np.int32)
    return reshape(take(flat, index, 2), (batch, c * index.shape[0], index.shape[1]))


@op("nn.Fold")
def fold(
    x: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Any:
    """The sum of windows at their places: (batch, c * taps, windows) to (batch, c, h, w)."""
    h, w = _pair(output_size)
    ph, pw = _pair(padding)
    row, column = _windows((h + 2 * ph, w + 2 * pw), kernel_size, dilation, stride)
    taps, count = row.shape
    batch, channels, n = x.shape
    if n != count or channels % taps != 0:
        raise ValueError(
            f"expected (batch, c * {taps}, {count}) for the output size {h, w}; "
            f"got {tuple(x.shape)}"
        )
    c = channels // taps
    rows = reshape(
        transpose(reshape(x, (batch, c, taps, count)), (2, 3, 0, 1)), (taps * count, batch, c)
    )
    index = (row * (w + 2 * pw) + column).reshape(-1, 1).astype(np.int32)
    flat = scatter(index, rows, ((h + 2 * ph) * (w + 2 * pw), batch, c))
    image = transpose(reshape(flat, (h + 2 * ph, w + 2 * pw, batch, c)), (2, 3, 0, 1))
    return image[:, :, ph : ph + h, pw : pw + w]
