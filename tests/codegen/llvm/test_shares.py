"""A single sample is cut into tiles for several threads; larger batches are not cut finer."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import kgraph
from kgraph.codegen.llvm.emit import Module
from kgraph.codegen.llvm.lower.convolution import Forward
from kgraph.codegen.llvm.lower.frame import Code
from kgraph.codegen.llvm.lower.product import Product
from kgraph.codegen.llvm.lower.tiling import Tiling
from kgraph.codegen.llvm.target import SKYLAKE512
from kgraph.ir import Builder, Size, TensorType, bind_size, symbol
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.convolution import Convolution
from kgraph.runtime import set_threads

batch = symbol("batch")


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    yield
    set_threads(None)


def product(rows: int, k: int, columns: int) -> Product:
    """Of so many rows of each sample with weights in panels."""
    b = Builder()
    x = b.param("x", TensorType((batch, rows, k), "float32"))
    w = b.param("w", TensorType((k, columns), "float32"))
    op = b.dot_general(x, w, (), (), (2,), (0,)).op
    assert isinstance(op, DotGeneral)
    return Product.of(op, SKYLAKE512, "", packed=True)


def at(size: Size, samples: int) -> int:
    number = bind_size(size, {"batch": samples})
    assert isinstance(number, int)
    return number


@pytest.mark.parametrize(("rows", "k", "columns"), [(49, 160, 960), (49, 960, 160), (196, 384, 64)])
def test_products_of_a_sample(rows: int, k: int, columns: int) -> None:
    units, panels = product(rows, k, columns).shares(SKYLAKE512)
    tiles = -(-rows // (8 * at(units, 1))) * -(-columns // (32 * at(panels, 1)))
    assert 8 <= tiles <= 32
    # every tile of many samples has all columns, and a panel serves 256 rows
    assert at(panels, 128) * 32 >= columns
    assert at(units, 128) * 8 >= 256


def depthwise(side: int, channels: int) -> Forward:
    b = Builder()
    x = b.param("x", TensorType((batch, side, side, channels), "float32"))
    w = b.param("w", TensorType((3, 3, 1, channels), "float32"))
    ones, pads = (1, 1), ((1, 1), (1, 1))
    dims = "b01f_01io->b01f"
    y = b.convolution(x, w, dims, ones, pads, ones, ones, (False, False), channels, 1, "direct")
    assert isinstance(y.op, Convolution)
    found = Forward.of(y.op, SKYLAKE512, "")
    assert found is not None
    return found


@pytest.mark.parametrize(("side", "channels"), [(112, 32), (56, 144), (7, 960)])
def test_depthwise_convolutions_of_a_sample(side: int, channels: int) -> None:
    plan = depthwise(side, channels)
    assert 4 <= at(plan.tiles(), 1) <= 8
    assert at(plan.units, 1) * at(plan.tiles(), 1) >= side
    assert at(plan.tiles(), 128) <= 128 * 8
    assert at(plan.tiles(), 0) == 0


def test_results_do_not_depend_on_shares() -> None:
    """Of products that keep rows, or panels; of one sample and of several."""
    layers = kgraph.layers
    x = inputs = layers.Input((5, 7, 24))
    for filters in (200, 40):
        x = layers.Conv2D(filters, 1, activation="relu")(x)
        x = layers.DepthwiseConv2D(3, padding="same")(x)
    model = kgraph.Model(inputs, layers.Conv2D(70, 3, padding="same")(x))
    data = np.random.default_rng(0).standard_normal((5, 5, 7, 24)).astype("float32")
    for n in (1, 2, 5):
        found = []
        for threads in (1, 2, 3):
            set_threads(threads)
            found.append(model.predict_on_batch(data[:n]))
        assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
        whole = model.predict_on_batch(data)[:n]
        np.testing.assert_allclose(found[0], whole, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("sizes", "tiles", "rows"),
    [
        ((12, 12, 64), 2, 6),  # 10 rows would fit
        ((10, 768), 1, 10),
        ((30, 768), 4, 8),  # three tiles would do
        ((1000, 3000), 500, 2),
        ((3, 100_000), 3 * 13, 1),
        ((0, 768), 0, 1),
    ],
)
def test_tiles_of_loops(sizes: tuple[int, ...], tiles: int, rows: int) -> None:
    module = Module(SKYLAKE512)
    with module.function("f", []) as f:
        tiling = Tiling.of(Code(f, {}), [f.index(size) for size in sizes], 8192)
        assert tiling.count().constant == tiles
        (first, last), _ = tiling.bounds(f.index(0))
        assert (first.constant, last.constant) == (0, min(rows, sizes[0]))


def test_weight_gradients_of_one_block() -> None:
    """A thread has some of the features of a region that is a single block, or each a chunk."""
    ops, random = kgraph.ops, np.random.default_rng(0)
    x, w = (random.standard_normal(s).astype("float32") for s in ((9, 9, 9, 5), (2, 2, 5, 70)))

    def loss(x: object, w: object) -> object:
        return ops.sum(ops.square(ops.conv(x, w, strides=2)))

    gradients = kgraph.jit(kgraph.grad(loss, argnums=(0, 1)))
    for n in (1, 9):
        found = []
        for threads in (1, 2, 3):
            set_threads(threads)
            found.append([np.asarray(g) for g in gradients(x[:n], w)])
        for other in found[1:]:
            assert [g.tobytes() for g in other] == [g.tobytes() for g in found[0]]
        patches = x[:n, :8, :8].reshape(n, 4, 2, 4, 2, 5).transpose(0, 1, 3, 2, 4, 5)
        rows = patches.reshape(-1, 20).astype("float64")
        want = rows.T @ (2 * rows @ w.reshape(20, 70))
        np.testing.assert_allclose(found[0][1].reshape(20, 70), want, rtol=1e-5, atol=1e-4)
