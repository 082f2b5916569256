"""The op table, a file per family."""

from kgraph.ir.ops import (
    attention,
    contract,
    control,
    convolution,
    elementwise,
    gather,
    index,
    neural,
    random,
    reduce,
    scatter,
    shape,
    sort,
    window,
)

__all__ = [
    "attention",
    "contract",
    "control",
    "convolution",
    "elementwise",
    "gather",
    "index",
    "neural",
    "random",
    "reduce",
    "scatter",
    "shape",
    "sort",
    "window",
]
