"""The op table, a file per family."""

from kgraph.ir.ops import (
    contract,
    control,
    convolution,
    elementwise,
    gather,
    index,
    random,
    reduce,
    shape,
    sort,
    unary,
    window,
)
