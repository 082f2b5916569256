"""Convolutions and pooling."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from kgraph import config
from kgraph.ir import Dim, Shape, Size, SizeNeededError, Value, maximum, symbols_of
from kgraph.ops._arithmetic import divide
from kgraph.ops._common import entered
from kgraph.ops._creation import ones
from kgraph.ops._dispatch import op
from kgraph.ops._promote import common_dtype, dtype_of
from kgraph.ops._scope import current_path
from kgraph.ops._shapes import reshape
from kgraph.ops._trace import context_of

__all__ = [
    "average_pool", "conv", "conv_transpose", "depthwise_conv", "max_pool", "separable_conv",
]  # fmt: skip


def _per_dim(value: Any, rank: int, name: str) -> tuple[int, ...]:
    """One int for all spatial dims, or one for each."""
    found = (int(value),) * rank if isinstance(value, int) else tuple(int(v) for v in value)
    if len(found) != rank:
        raise ValueError(
            f"`{name}` must have an entry for each of {rank} spatial dims; got {value}"
        )
    return found


def _spatial(shape: Shape, data_format: str) -> Shape:
    return shape[1:-1] if data_format == "channels_last" else shape[2:]


def _ask_for_numbers(context: Any, sizes: Shape) -> None:
    """Has the program made for these sizes where they can be had: the fast kernels know theirs."""
    symbols = [s for n in sizes if isinstance(n, Dim) for s in symbols_of(n)]
    if symbols and context.sizes_at_hand:
        where = f" of {current_path()}" if current_path() else ""
        raise SizeNeededError(
            f"the kernel{where} is made for the size of what its window slides over",
            tuple(dict.fromkeys(symbols)),
        )


def _letters(rank: int, data_format: str) -> str:
    digits = "".join(map(str, range(rank)))
    return f"b{digits}f" if data_format == "channels_last" else f"bf{digits}"


def _padding(
    padding: str, sizes: Shape, window: Sequence[int], strides: Sequence[int]
) -> tuple[tuple[Size, Size], ...]:
    """What "same" and "valid" add before and behind each spatial dim."""
    mode = padding.lower()
    if mode == "valid":
        return ((0, 0),) * len(sizes)
    if mode != "same":
        raise ValueError(f"`padding` must be 'same' or 'valid'; got {padding!r}")
    found: list[tuple[Size, Size]] = []
    for n, k, s in zip(sizes, window, strides, strict=True):
        total: Size = k - 1 if s == 1 else maximum((-(-n // s) - 1) * s + k - n, 0)
        found.append((total // 2, total - total // 2))
    return tuple(found)


@op("nn.Conv", 2)
def conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """Slides the kernel over the inputs.

    Args:
        inputs: (batch, *spatial, channels), or (batch, channels, *spatial) if channels come first.
        kernel: (*window, channels / groups, filters).
        strides: steps of the window: one int, or one for each spatial dim.
        padding: "valid", or "same": zeros around, so that stride 1 keeps the size.
        data_format: "channels_last" or "channels_first"; None: the configured default.
        dilation_rate: distances of the kernel's taps: one int, or one for each spatial dim.

    Raises:
        ValueError: the channels do not fit, or the result has no elements.
    """
    data_format = config.standardize_data_format(data_format)
    context = context_of((inputs, kernel))
    w = context.lift(kernel, common_dtype(kernel, at_least="float"))
    x = context.lift(inputs, w.type.dtype)
    _ask_for_numbers(context, _spatial(x.type.shape, data_format))
    return context.wrap(_conv(context.b, x, w, strides, padding, data_format, dilation_rate))


def _conv(
    b: Any, x: Value, w: Value, strides: Any, padding: str, data_format: str, dilation_rate: Any
) -> Value:
    rank = x.type.rank - 2
    if w.type.rank != x.type.rank or rank < 1:
        raise ValueError(
            f"the kernel must have the rank of the inputs, {x.type.rank}; got the shapes "
            f"{w.type.shape} and {x.type.shape}"
        )
    steps = _per_dim(strides, rank, "strides")
    dilation = _per_dim(dilation_rate, rank, "dilation_rate")
    channels = x.type.shape[-1 if data_format == "channels_last" else 1]
    each = w.type.shape[-2]
    if channels % each != 0:
        raise ValueError(
            f"the input channels must be a multiple of those of the kernel; got {channels} of the "
            f"inputs {x.type.shape} and {each} of the kernel {w.type.shape}"
        )
    sizes = _spatial(x.type.shape, data_format)
    span = [(int(k) - 1) * d + 1 for k, d in zip(w.type.shape[:rank], dilation, strict=True)]
    letters = _letters(rank, data_format)
    dims = f"{letters}_{letters.replace('b', '').replace('f', '')}io->{letters}"
    result: Value = b.convolution(
        x, w, dims, steps, _padding(padding, sizes, span, steps), (1,) * rank, dilation,
        (False,) * rank, int(channels // each), 1,
    )  # fmt: skip
    if result.type.size == 0 and x.type.size != 0:
        raise ValueError(
            f"the convolution has no result: the inputs {x.type.shape} are smaller than the window "
            f"{span} of the kernel {w.type.shape}; check the sizes, strides, dilation and padding"
        )
    return result


@op("nn.DepthwiseConv", 2)
def depthwise_conv(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """A convolution of each channel by itself; the kernel is (*window, channels, multiplier)."""
    data_format = config.standardize_data_format(data_format)
    shape = tuple(kernel.shape)
    channels = inputs.shape[-1 if data_format == "channels_last" else 1]
    if channels != shape[-2]:
        raise ValueError(
            f"the depthwise kernel {shape} is one for {shape[-2]} channels; the inputs have "
            f"{channels}"
        )
    grouped = reshape(kernel, (*shape[:-2], 1, shape[-2] * shape[-1]))
    return conv(inputs, grouped, strides, padding, data_format, dilation_rate)


@op("nn.SeparableConv", 3)
def separable_conv(
    inputs: Any,
    depthwise_kernel: Any,
    pointwise_kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """A depthwise convolution, and one of window 1 that mixes the channels."""
    found = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(found, pointwise_kernel, 1, "valid", data_format, dilation_rate)


@op("nn.ConvTranspose", 2)
def conv_transpose(
    inputs: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    output_padding: Any = None,
    data_format: str | None = None,
    dilation_rate: Any = 1,
) -> Any:
    """The transpose of a convolution: from its result's shape to its input's.

    Args:
        inputs: as of `conv`.
        kernel: (*window, filters, channels).
        strides: as of the convolution that is transposed.
        padding: as of that convolution.
        output_padding: elements more at the end of each spatial dim.
        data_format, dilation_rate: as of `conv`.
    """
    data_format = config.standardize_data_format(data_format)
    context = context_of((inputs, kernel))
    dtype = common_dtype(inputs, kernel, at_least="float")
    x, w = context.lift(inputs, dtype), context.lift(kernel, dtype)
    rank = x.type.rank - 2
    steps = _per_dim(strides, rank, "strides")
    dilation = _per_dim(dilation_rate, rank, "dilation_rate")
    more = (
        [None] * rank
        if output_padding is None
        else list(_per_dim(output_padding, rank, "output_padding"))
    )
    channels = x.type.shape[-1 if data_format == "channels_last" else 1]
    if channels != w.type.shape[-1]:
        raise ValueError(
            f"the kernel {w.type.shape} is one for {w.type.shape[-1]} channels; the inputs "
            f"{x.type.shape} have {channels}"
        )
    _ask_for_numbers(context, _spatial(x.type.shape, data_format))
    window = [int(k) for k in w.type.shape[:rank]]
    pads = tuple(
        _transposed_padding(k, s, d, padding, extra)
        for k, s, d, extra in zip(window, steps, dilation, more, strict=True)
    )
    letters = _letters(rank, data_format)
    dims = f"{letters}_{letters.replace('b', '').replace('f', '')}oi->{letters}"
    return context.wrap(
        context.b.convolution(x, w, dims, (1,) * rank, pads, steps, dilation, (True,) * rank, 1, 1)
    )


def _transposed_padding(
    k: int, stride: int, dilation: int, padding: str, output_padding: int | None
) -> tuple[int, int]:
    """What Keras adds around the spread-out inputs, so that the output has its size."""
    mode = padding.lower()
    span = (k - 1) * dilation + 1
    if mode == "valid":
        extra = max(stride - span, 0) if output_padding is None else output_padding
        return span - 1, span - 1 + extra
    if mode != "same":
        raise ValueError(f"`padding` must be 'same' or 'valid'; got {padding!r}")
    more = stride - span % 2 if output_padding is None else output_padding
    total = span + span % 2 - 2 + more  # by default the result has `stride` times the size
    low = min(-(-total // 2), span - 1)
    return low, total - low


def _pool(
    x: Any, kind: str, pool_size: Any, strides: Any, padding: str, data_format: str
) -> tuple[Any, Any, tuple[int, ...]]:
    context, value = entered(x)
    rank = value.type.rank - 2
    window = _per_dim(pool_size, rank, "pool_size")
    steps = window if strides is None else _per_dim(strides, rank, "strides")
    sizes = _spatial(value.type.shape, data_format)
    _ask_for_numbers(context, sizes)
    pads = _padding(padding, sizes, window, steps)
    last = data_format == "channels_last"

    def whole(entries: Sequence[Any], beside: Any) -> tuple[Any, ...]:
        return (beside, *entries, beside) if last else (beside, beside, *entries)

    one = (1,) * (rank + 2)
    found = context.b.reduce_window(
        value, kind, whole(window, 1), whole(steps, 1), whole(pads, (0, 0)), one, one
    )
    return context, context.wrap(found), window


@op("nn.MaxPool")
def max_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The largest of each window over the spatial dims; windows are `strides` apart, by default
    side by side.
    """
    data_format = config.standardize_data_format(data_format)
    return _pool(inputs, "max", pool_size, strides, padding, data_format)[1]


@op("nn.AveragePool")
def average_pool(
    inputs: Any,
    pool_size: Any,
    strides: Any = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Any:
    """The mean of each window over the spatial dims; what "same" adds around does not count."""
    data_format = config.standardize_data_format(data_format)
    _, sums, window = _pool(inputs, "sum", pool_size, strides, padding, data_format)
    if padding == "valid":
        return divide(sums, math.prod(window))
    shape = (1, *_spatial(tuple(inputs.shape), data_format), 1)
    if data_format == "channels_first":
        shape = (1, 1, *shape[1:-1])
    counts = _pool(ones(shape, dtype_of(inputs)), "sum", pool_size, strides, padding, data_format)[
        1
    ]
    return divide(sums, counts)
