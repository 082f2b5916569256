"""Convolutions of the graph and their gradients through the kernels, against the reference."""

import numpy as np
import pytest

from kgraph import ir
from kgraph.codegen.llvm.conv_match import match_convolution
from kgraph.codegen.llvm.conv_spec import ConvSpec
from kgraph.codegen.llvm.conv_weights import WeightsSpec
from kgraph.ir.ops.convolution import Convolution
from tests.codegen.llvm.native import targets
from tests.codegen.llvm.test_conv import run, run_weights

LAYOUTS = ("b01f_01io->b01f", "bf01_oi01->bf01", "01bf_io01->0b1f")


def convolution(dims: str, groups: int, strides, padding, lhs_dilation, rhs_dilation):
    sizes = {"b": 3, "f": 8, "0": 7, "1": 9, "i": 8 // groups, "o": 12}
    taps = {**sizes, "0": 3, "1": 2}
    lhs, rhs = dims.split("->")[0].split("_")
    b = ir.Builder()
    x = b.param("x", ir.TensorType(tuple(sizes[r] for r in lhs), "float32"))
    w = b.param("w", ir.TensorType(tuple(taps[r] for r in rhs), "float32"))
    y = b.convolution(x, w, dims, strides, padding, lhs_dilation, rhs_dilation, (False, True),
                      groups, 1)  # fmt: skip
    assert isinstance(y.op, Convolution)
    g = b.param("g", y.type)
    backward = y.op.vjp(b, g)
    operations = [y.op]
    for value in backward:
        op = value.op
        while not isinstance(op, Convolution):
            op = op.operands[0].op
        operations.append(op)
    return operations


def through_kernels(op: Convolution, lhs: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    spec, target = match_convolution(op), targets()[0]
    out = np.zeros(op.result.shape, np.float32)
    if isinstance(spec, WeightsSpec):
        batch = lhs.shape[op.roles.lhs.index("f")] // 1
        run_weights(target, spec, _first(lhs, batch), rhs, out)
    else:
        batch = lhs.shape[op.roles.lhs.index("b")]
        run(target, spec, _first(lhs, batch), rhs, out)
    return out


def _first(array: np.ndarray, batch: int) -> np.ndarray:
    """The same memory as an array whose first dim is the batch, which is all the runners ask."""
    return array.reshape(batch, -1)


@pytest.mark.parametrize("dims", LAYOUTS)
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(
    ("strides", "padding", "lhs_dilation", "rhs_dilation"),
    [
        ((1, 1), ((0, 0), (0, 0)), (1, 1), (1, 1)),
        ((1, 1), ((1, 1), (0, 1)), (1, 1), (1, 1)),
        ((2, 3), ((1, 1), (0, 1)), (1, 1), (1, 2)),
        ((1, 1), ((1, 2), (1, -1)), (2, 3), (1, 1)),
    ],
)
def test_forward_and_gradients(dims, groups, strides, padding, lhs_dilation, rhs_dilation):
    operations = convolution(dims, groups, strides, padding, lhs_dilation, rhs_dilation)
    kinds = []
    random = np.random.default_rng(2)
    for op in operations:
        lhs, rhs = (random.standard_normal(v.shape).astype(np.float32) for v in (op.lhs, op.rhs))
        kinds.append(type(match_convolution(op)))
        expected = op.reference(lhs, rhs)
        found = through_kernels(op, lhs, rhs)
        assert np.abs(found - expected).max() <= 1e-5 * (1 + np.abs(expected).max())
    assert kinds == [ConvSpec, ConvSpec, WeightsSpec]


def test_a_symbolic_batch_is_free_and_a_symbolic_width_is_not():
    b = ir.Builder()
    batch = ir.symbol("batch")
    for width, good in ((5, True), (ir.symbol("width"), False)):
        x = b.param("x", ir.TensorType((batch, 6, width, 4), "float32"))
        w = b.param("w", ir.TensorType((3, 3, 4, 8), "float32"))
        ones = (1, 1)
        y = b.convolution(x, w, "b01f_01io->b01f", ones, ((1, 1), (1, 1)), ones, ones,
                          (False, False), 1, 1)  # fmt: skip
        if good:
            spec = match_convolution(y.op)
            assert [dim.y for dim in spec.dims] == [6, 5]
            assert spec.units(batch) == batch * 6
        else:
            with pytest.raises(ValueError, match="need width of"):
                match_convolution(y.op)
