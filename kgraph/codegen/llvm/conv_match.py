"""From a convolution of the graph, whatever its dimension numbers, to the kernel that does it."""

from __future__ import annotations

from math import prod

from kgraph.codegen.llvm.conv_spec import ConvSpec, Dim
from kgraph.codegen.llvm.conv_weights import WeightsSpec
from kgraph.codegen.llvm.conv_winograd_spec import winograd_of
from kgraph.codegen.llvm.conv_winograd_weights import winograd_weights_of
from kgraph.ir import Size
from kgraph.ir.ops.convolution import Convolution


def match_convolution(op: Convolution) -> ConvSpec | WeightsSpec:
    """The spec of a convolution of dense arrays.

    A `ConvSpec` computes y = lhs * rhs: x is lhs, w rhs; units count over the size of the batch. A
    `WeightsSpec` is for the form that a weight gradient has, in which the batch is summed: x is
    lhs, dy rhs, dw the result; its units are the size of role `f` of lhs, its sums are of the
    compute dtype and are added to what dw holds.

    Raises:
        ValueError: a size that kernels need as a number is symbolic, or the op has batch groups
            without being such a gradient.
    """
    name, _, form = op.algorithm.removeprefix("winograd_").partition("_")  # or_2: another's matter
    if _sums_batch(op):
        weights = WeightsSpec(_of_gradient(op))
        return weights if name == "direct" else winograd_weights_of(weights, int(name))
    if op.batch_groups > 1:
        raise ValueError(f"no kernel for batch_groups={op.batch_groups} in {op.dims}")
    spec = _of_forward(op)
    return spec if name == "direct" else winograd_of(spec, int(name), form == "adjoint")


def _sums_batch(op: Convolution) -> bool:
    """Whether the op has the form of a weight gradient.

    Its lhs has the channels as role `b`, which then lie side by side, or, in other layouts, its
    window is larger than its result.
    """
    if op.feature_groups > 1 or any(op.reversal):
        return False
    if op.batch_groups > 1:
        return True
    roles = op.roles
    if roles.lhs.endswith(("b", "f")):
        return roles.lhs.endswith("b")
    window = prod(_number(op, op.rhs.shape[roles.rhs.index(s)]) for s in roles.spatial)
    result = prod(_number(op, op.result.shape[roles.out.index(s)]) for s in roles.spatial)
    return window > result


def _of_forward(op: Convolution) -> ConvSpec:
    roles = op.roles
    lhs, rhs, out = op.lhs.shape, op.rhs.shape, op.result.shape
    dims = tuple(
        Dim(
            x=_number(op, lhs[roles.lhs.index(s)]),
            taps=_number(op, rhs[roles.rhs.index(s)]),
            y=_number(op, out[roles.out.index(s)]),
            stride=op.strides[i],
            low=_number(op, op.padding[i][0]),
            dilation=op.rhs_dilation[i],
            x_dilation=op.lhs_dilation[i],
            reverse=op.reversal[i],
        )
        for i, s in enumerate(roles.spatial)
    )
    return ConvSpec(
        dims,
        channels=_number(op, lhs[roles.lhs.index("f")]),
        features=_number(op, rhs[roles.rhs.index("o")]),
        groups=op.feature_groups,
        dtype=op.lhs.dtype,
        x_strides=_strides(op, lhs, roles.lhs, f"b{roles.spatial}f"),
        w_strides=_strides(op, rhs, roles.rhs, f"{roles.spatial}io"),
        y_strides=_strides(op, out, roles.out, f"b{roles.spatial}f"),
    )


def _of_gradient(op: Convolution) -> ConvSpec:
    """The forward convolution whose weights the op differentiates; taps and outputs swap roles."""
    roles = op.roles
    lhs, rhs, out = op.lhs.shape, op.rhs.shape, op.result.shape
    dims = tuple(
        Dim(
            x=_number(op, lhs[roles.lhs.index(s)]),
            taps=_number(op, out[roles.out.index(s)]),
            y=_number(op, rhs[roles.rhs.index(s)]),
            stride=op.rhs_dilation[i],
            low=_number(op, op.padding[i][0]),
            dilation=op.strides[i],
            x_dilation=op.lhs_dilation[i],
        )
        for i, s in enumerate(roles.spatial)
    )
    return ConvSpec(
        dims,
        channels=_number(op, lhs[roles.lhs.index("b")]),
        features=_number(op, rhs[roles.rhs.index("o")]),
        groups=op.batch_groups,
        dtype=op.lhs.dtype,
        x_strides=_strides(op, lhs, roles.lhs, f"f{roles.spatial}b"),
        w_strides=_strides(op, out, roles.out, f"{roles.spatial}bf"),
        y_strides=_strides(op, rhs, roles.rhs, f"i{roles.spatial}o"),
    )


def _strides(op: Convolution, shape: tuple[Size, ...], roles: str, order: str) -> tuple[int, ...]:
    """Strides of a dense array for its roles in another order; the outermost size may be any."""
    found: dict[str, int] = {}
    step = 1
    for position in reversed(range(len(shape))):
        found[roles[position]] = step
        if position:
            step *= _number(op, shape[position])
    return tuple(found[role] for role in order)


def _number(op: Convolution, size: Size) -> int:
    if isinstance(size, int):
        return size
    raise ValueError(f"convolution {op.dims}: the kernels need {size} of {op.lhs.type} as a number")
