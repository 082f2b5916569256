"""Exact rules of convolutions."""

from __future__ import annotations

from kgraph.ir import Builder, Value
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.index import Pad
from kgraph.passes.exact import exact, is_number


@exact
def convolution_of_pad(op: Convolution, b: Builder) -> Value | None:
    """convolution(pad(x, 0))  ->  convolution(x), with more padding"""
    pad = op.lhs.op
    if not isinstance(pad, Pad) or op.algorithm != "direct" or not is_number(pad.value, 0.0):
        return None
    roles = op.roles
    places = [roles.lhs.index(s) for s in roles.spatial]
    for d, (low, high, interior) in enumerate(zip(pad.low, pad.high, pad.interior, strict=True)):
        if (low, high, interior) == (0, 0, 0):
            continue
        if d not in places or not (isinstance(low, int) and isinstance(high, int)):
            return None
        i = places.index(d)
        before, behind = op.padding[i]
        if op.lhs_dilation[i] != 1 or not (isinstance(before, int) and isinstance(behind, int)):
            return None
        if min(low, high, before, behind) < 0:
            return None  # what is cropped is no zero
    dilation = tuple(pad.interior[d] + 1 if pad.interior[d] else n
                     for d, n in zip(places, op.lhs_dilation, strict=True))  # fmt: skip
    padding = tuple(
        (pad.low[d] + low, pad.high[d] + high)
        for d, (low, high) in zip(places, op.padding, strict=True)
    )
    made = Convolution(
        pad.x, op.rhs, op.dims, op.strides, padding, dilation, op.rhs_dilation, op.reversal,
        op.feature_groups, op.batch_groups,
    )  # fmt: skip
    return b.append(made)[0]
