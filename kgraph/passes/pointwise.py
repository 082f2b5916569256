"""Convolutions that are matrix products: one tap per dim, or a window as large as the image."""

from __future__ import annotations

from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.convolution import Convolution


def as_product(op: Convolution) -> DotGeneral | None:
    """The product with the same elements in memory; None for other convolutions.

    A spatial dim with one tap is a row of the product, one whose window is all of it (as in the
    weight gradient of the former) is summed over. The result's dims of size 1 may differ.
    """
    if op.feature_groups > 1 or op.batch_groups > 1:
        return None
    roles = op.roles
    left, right = [roles.lhs.index("f")], [roles.rhs.index("i")]
    rows = {"b"}
    for i, s in enumerate(roles.spatial):
        if op.padding[i] != (0, 0) or op.lhs_dilation[i] != 1:
            return None
        size, taps = op.lhs.shape[roles.lhs.index(s)], op.rhs.shape[roles.rhs.index(s)]
        if taps == 1 and op.strides[i] == 1:
            rows.add(s)
        elif taps == size and op.rhs_dilation[i] == 1 and not op.reversal[i]:
            left.append(roles.lhs.index(s))
            right.append(roles.rhs.index(s))
        else:
            return None
    free = [r for r in roles.lhs if r in rows]
    if [r for r in roles.out if r in rows or r == "f"] != [*free, "f"]:
        return None
    return DotGeneral(op.lhs, op.rhs, (), (), tuple(left), tuple(right))


def labels_of(op: Convolution) -> list[str]:
    """Which operand's dims the result's dims follow."""
    return ["right" if r == "f" else "left" for r in op.roles.out]
