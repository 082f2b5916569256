"""Where regions are cut: samples that no longer fit against weights that are read per block."""

import pytest

from kgraph.ir import Builder, TensorType, symbol
from kgraph.ir.ops.convolution import Convolution
from kgraph.passes.algorithm import weights_read
from kgraph.passes.cuts import Cuts
from kgraph.passes.outline import Outline

BATCH = symbol("batch")


def param(b: Builder, name: str, *shape):
    return b.param(name, TensorType(shape, "float32"))


def parts(ops, gives, block) -> list[int]:
    return [len(part) for part in Cuts(ops, gives, (), "batch", block).parts]


def test_what_passes_in_registers_takes_no_room():
    """Of three values of 4000 bytes only the last is stored: where that fits, nothing is cut."""
    b = Builder()
    x, wide = param(b, "x", BATCH, 8), param(b, "wide", 8, 1000)
    narrow, last = param(b, "narrow", 1000, 10), param(b, "last", 10, 10)

    def product(x, w):
        return b.dot_general(x, w, (), (), (1,), (0,))

    y = b.negate(b.tanh(product(x, wide)))
    z = product(product(y, narrow), last)
    ops = b.function(z).ops
    assert parts(ops, [z], lambda n: 16 if n <= 4040 else 1) == [5]
    assert parts(ops, [z], lambda n: 16 if n < 4000 else 1) == [4, 1]


@pytest.mark.parametrize(
    ("algorithm", "times", "found"), [("direct", 1, [3]), ("winograd_4", 4, [2, 1])]
)
def test_the_weights_of_a_convolution(algorithm, times, found):
    """Winograd's are 2304 bytes, of which most are worth a cut that moves 2048; a kernel's 576."""
    b = Builder()
    value, ones = param(b, "x", BATCH, 8, 8, 16), (1, 1)
    for channels, features, name in ((16, 32, "direct"), (32, 4, "direct"), (4, 4, algorithm)):
        kernel = param(b, f"kernel{channels}", 3, 3, channels, features)
        value = b.append(
            Convolution(
                value, kernel, "b01f_01io->b01f", ones, ((1, 1), (1, 1)), ones, ones,
                (False, False), 1, 1, name,
            )
        )[0]  # fmt: skip
    ops = [op for op in b.function(value).ops if isinstance(op, Convolution)]
    assert weights_read(ops[-1]) == times
    assert parts(ops, [value], lambda n: 16 if n <= 2048 else 1) == found


def test_values_have_more_room_beside_many_weights():
    outline = Outline(cache=1000)
    assert outline.fitting(400, 16, weights=1000) == 2
    assert outline.fitting(400, 16, weights=1001) == 4
