"""Convolutions of which a slice is all that is read.

The gradient of a padded convolution is that of the padded image, of which the edges are dropped.
Less padding makes it without them, and what follows becomes its epilogue.
"""

from __future__ import annotations

from typing import ClassVar

from kgraph.ir import Function, Op, Size, users
from kgraph.ir.ops.convolution import Convolution
from kgraph.ir.ops.index import Slice
from kgraph.passes.base import Pass, exchanged, in_regions
from kgraph.passes.dce import without_dead_ops


class CropConvolutions(Pass):
    """Makes no more of a convolution than its only reader, a slice, takes: the same sums."""

    name: ClassVar[str] = "crop_convolutions"

    def run(self, fn: Function) -> Function:
        """The same results; the slices that became needless are gone."""
        fn = in_regions(fn, self.run)
        readers, returned = users(fn), set(fn.results)
        made: dict[Op, Op] = {}
        for op in fn.ops:
            if isinstance(op, Slice) and isinstance(op.x.op, Convolution):
                alone = len(readers[op.x]) == 1 and op.x not in returned
                cropped = _cropped(op.x.op, op) if alone else None
                if cropped is not None:
                    made[op] = cropped
        return without_dead_ops(exchanged(fn, made)) if made else fn


def _cropped(conv: Convolution, part: Slice) -> Convolution | None:
    """The convolution with the part's elements; None where that crops more than padding."""
    padding: list[tuple[Size, Size]] = list(conv.padding)
    roles = conv.roles
    for d, (role, size) in enumerate(zip(roles.out, conv.result.shape, strict=True)):
        start, limit = part.start[d], part.limit[d]
        if (start, limit, part.stride[d]) == (0, size, 1):
            continue
        if part.stride[d] != 1 or role not in roles.spatial:
            return None
        i = roles.spatial.index(role)
        low = padding[i][0] - start * conv.strides[i]
        high = padding[i][1] - (size - limit) * conv.strides[i]
        if not (isinstance(low, int) and isinstance(high, int) and min(low, high) >= 0):
            return None
        padding[i] = (low, high)
    made = conv.with_fields(padding=tuple(padding))
    assert isinstance(made, Convolution)
    return made if made.result.type is part.result.type else None
