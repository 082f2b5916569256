"""Pooling to a given size."""

from __future__ import annotations

from typing import Any

from kgraph import config
from kgraph.ops._dispatch import op
from kgraph.ops._joining import concatenate
from kgraph.ops._reductions import max as largest
from kgraph.ops._reductions import mean
from kgraph.ops._shapes import cut
from kgraph.ops._trace import context_of

__all__ = ["adaptive_average_pool", "adaptive_max_pool"]


@op("nn.AdaptiveAveragePool")
def adaptive_average_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Any:
    """The means of windows that divide each spatial dim as evenly as can be.

    Args:
        inputs: (batch, *spatial, channels), or with the channels first.
        output_size: the size of the result: one int, or one for each spatial dim.
        data_format: "channels_last" or "channels_first"; None: the configured default.
    """
    return _pool(inputs, output_size, data_format, mean)


@op("nn.AdaptiveMaxPool")
def adaptive_max_pool(inputs: Any, output_size: Any, data_format: str | None = None) -> Any:
    """The largest of windows; the arguments are those of `adaptive_average_pool`."""
    return _pool(inputs, output_size, data_format, largest)


def _pool(x: Any, output_size: Any, data_format: str | None, reduce: Any) -> Any:
    rank = len(x.shape) - 2
    sizes = (output_size,) * rank if isinstance(output_size, int) else tuple(output_size)
    if len(sizes) != rank:
        raise ValueError(f"`output_size` must have {rank} entries; got {output_size}")
    first = 1 if config.standardize_data_format(data_format) == "channels_last" else 2
    for dim, count in enumerate(sizes, first):
        n = int(x.shape[dim])
        context = context_of((x,))
        value = context.lift(x)
        parts = []
        for i in range(count):
            window = cut(context.b, value, dim, i * n // count, -(-(i + 1) * n // count))
            parts.append(reduce(context.wrap(window), dim, True))
        x = concatenate(parts, dim)
    return x
