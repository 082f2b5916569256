"""Winograd's convolutions, forward and both gradients, against sums over taps in float64."""

import itertools
from dataclasses import replace

import numpy as np
import pytest

from kgraph.codegen.llvm.conv_spec import ConvSpec
from kgraph.codegen.llvm.conv_weights import WeightsSpec
from kgraph.codegen.llvm.conv_winograd import emit_winograd
from kgraph.codegen.llvm.conv_winograd_spec import MOST_TILES, winograd_of
from kgraph.codegen.llvm.conv_winograd_weights import emit_winograd_weights, winograd_weights_of
from kgraph.codegen.llvm.emit import I64, PTR, Module, View
from kgraph.codegen.llvm.winograd import POINTS, matrices
from kgraph.codegen.llvm.winograd_tiles import cut, each_tile
from tests.codegen.llvm.native import Loaded, targets
from tests.codegen.llvm.test_conv import arrays, make_dim, reference, run, weights_reference

all_targets = pytest.mark.parametrize("target", targets(), ids=lambda item: item.name)
widest = pytest.mark.parametrize("target", targets()[:1], ids=lambda item: item.name)
all_tiles = pytest.mark.parametrize("tile", POINTS)

VALID = (make_dim(12, 3), make_dim(22, 3))
SAME = (make_dim(9, 3, low=1, high=1), make_dim(11, 3, low=1, high=1))
GEOMETRIES = {
    "valid": VALID,
    "same": SAME,
    "turned": (make_dim(6, 3, low=2, high=2, reverse=True), make_dim(7, 3, low=2, high=2)),
    "cropped": (make_dim(9, 3, low=-1, high=-2), make_dim(9, 3, low=-2, high=1)),
    "small": (make_dim(3, 3, low=1, high=1), make_dim(1, 3, low=1, high=1)),
    "line": (make_dim(31, 3, low=1, high=1),),
    "rows alone": (make_dim(11, 3), make_dim(5, 1)),
}


@all_tiles
def test_matrices_filter_exactly(tile):
    m = matrices(tile)
    random = np.random.default_rng(3)
    data, taps = random.standard_normal(tile + 2), random.standard_normal(3)
    found = m.output @ ((m.filter @ taps) * (m.data @ data))
    assert np.allclose(found, np.correlate(data, taps), rtol=0, atol=1e-11)


def scaled_error(found: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def check(target, dims, channels, features, tile, adjoint=False, dtype="float32", batch=3) -> None:
    x, w = arrays(dims, channels, features, 1, dtype, batch)
    y = np.full((batch, *(dim.y for dim in dims), features), 99).astype(x.dtype)
    spec = winograd_of(ConvSpec(dims, channels, features, dtype=dtype), tile, adjoint)
    run(target, spec, x, w, y)
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    assert scaled_error(y, reference(dims, x, w, 1)) < tolerance


@widest
def test_transforms_are_written_once_for_all_rows_and_columns(target):
    """A tile of five has 49 points, one of four 36: the code has a product with each matrix."""
    lengths = []
    for tile in (4, 5):
        module = Module(target)
        emit_winograd(module, "w", winograd_of(ConvSpec(VALID, 64, 64), tile, False))
        lengths.append(module.text().count("\n"))
    assert lengths[1] - lengths[0] < 100


@widest
def test_tiles_are_counted_up(target):
    """Over the end of rows and of images, from anywhere, as division would have it."""
    cuts = (cut(make_dim(12, 3), 4), cut(make_dim(22, 3), 4))  # 3 x 5 tiles
    module = Module(target)
    with module.function("places", [("first", I64), ("count", I64), ("to", PTR)]) as f:
        first, count, to = f.parameters
        with each_tile(f, first, count, cuts) as tile:
            line = f.offset(to, f.mul(tile.number, 3), "int64")
            for i, value in enumerate((tile.image, tile.row, tile.column)):
                f.store_at(f.offset(line, i, "int64"), "int64", value)
    loaded = Loaded(module)
    for first in (0, 4, 14, 31):
        found = np.zeros((40, 3), np.int64)
        loaded("places", first, 40, found)
        numbers = np.arange(first, first + 40)
        assert np.array_equal(found, np.stack(np.unravel_index(numbers, (9, 3, 5)), axis=1))


@widest
@all_tiles
@pytest.mark.parametrize("name", GEOMETRIES)
def test_forward(target, tile, name):
    check(target, GEOMETRIES[name], 5, 19, tile)


@all_targets
@pytest.mark.parametrize(("channels", "features"), [(1, 33), (16, 64), (17, 70), (33, 96)])
def test_channels(target, channels, features):
    check(target, SAME, channels, features, 4)
    check(target, VALID, channels, features, 5, batch=1)


@widest
@all_tiles
def test_adjoint(target, tile):
    """The input gradient of a convolution without padding: tiles of x are added up in y."""
    for height, width in ((tile, 2 * tile), (3 * tile, tile)):
        dims = tuple(make_dim(n, 3, low=2, high=2, reverse=True) for n in (height, width))
        check(target, dims, 20, 17, tile, adjoint=True)
        check(target, dims, 3, 40, tile, adjoint=True)
    check(target, (make_dim(4 * tile, 3, low=2, high=2),), 8, 8, tile, adjoint=True)


@all_targets
def test_every_target(target):
    check(target, SAME, 17, 40, 4)
    check_weights(target, SAME, 17, 40, 4)


@all_targets
def test_weights_larger_than_the_cache(target):
    """Blocks then have as many tiles as make the weights worth their way."""
    small = replace(target, l2=1 << 14)
    assert winograd_of(ConvSpec(SAME, 17, 40), 4, False).rows(small) > MOST_TILES
    check(small, SAME, 17, 40, 4, batch=8)


@widest
@pytest.mark.parametrize("batch", [1, 3, 13])
def test_rows_behind_the_last_tile_are_zeros(target, batch):
    """They take part in products: what lies there may be denormal, or raise flags."""
    spec = winograd_of(ConvSpec((make_dim(6, 3), make_dim(6, 3)), 16, 16), 4, False)
    x, w = arrays(spec.dims, 16, 16, 1, "float32", batch)
    y = np.zeros((batch, 4, 4, 16), np.float32)
    scratch = run(target, spec, x, w, y, parts=1).view(np.float32)
    low, high = sorted(spec.heights(target))
    first = -scratch.ctypes.data % 64 // 4
    plane, width = spec.planes(target)[0], spec.reading().width(target)
    tail = batch % high
    rows = batch - tail + (0 if tail == 0 else low if tail <= low else high)
    for point in range(spec.points):
        start = first + point * plane
        behind = scratch[start + batch * width : start + rows * width]
        assert not behind.any()


@all_targets
@pytest.mark.parametrize(("tile", "features"), [(2, 36), (4, 36), (2, 84)])
def test_an_image_alone(target, tile, features):
    """In register tiles that its tiles, or half of them, fill; the bits do not depend on parts,
    which are halves of many features.
    """
    dims = (make_dim(12, 3), make_dim(12, 3))
    spec = replace(winograd_of(ConvSpec(dims, 20, features), tile, False), alone=True)
    assert spec.halves == (features == 84)
    assert spec.units(1) == (2 if spec.halves else spec.tiles)
    high = spec.heights(target)[0]
    passes = spec.rows(target) // high
    assert (passes - 1) * high < spec.tiles <= spec.rows(target)
    assert high * 2 <= spec.tiles + 1
    panel, turns = 20 * spec.shape(target).columns * 4, 20 // 4
    assert passes * spec.lines(target) * 64 * turns >= panel
    x, w = arrays(dims, 20, features, 1, "float32", 1)
    found = []
    for parts in (1, 2, 3):
        y = np.zeros((1, 10, 10, features), np.float32)
        run(target, spec, x, w, y, parts)
        found.append(y)
    assert scaled_error(found[0], reference(dims, x, w, 1)) < 2e-5
    assert all(np.array_equal(found[0], y) for y in found)


@widest
def test_float64(target):
    check(target, SAME, 5, 19, 4, dtype="float64")
    check(target, (make_dim(8, 3, low=2, high=2),), 5, 19, 4, adjoint=True, dtype="float64")


@all_targets
@pytest.mark.parametrize("adjoint", [False, True])
@pytest.mark.parametrize("features", [16, 20])
def test_epilogue(target, adjoint, features):
    """relu(conv(x) + bias) + pixel number."""
    padding = {"low": 2, "high": 2} if adjoint else {"low": 1, "high": 1}
    dims = (make_dim(8, 3, **padding), make_dim(12 if adjoint else 11, 3, **padding))

    def epilogue(f, row, column, value, mask):
        bias = f.load(View(f.parameter("bias"), "float32", (1,)), [column], value.lanes, mask=mask)
        value = f.fmax(f.add(value, bias), 0.0)
        return f.add(value, f.convert(row, "int64", "float32"))

    x, w = arrays(dims, 20, features, 1, "float32", 2)
    bias = np.arange(features, dtype=np.float32)
    y = np.zeros((2, *(dim.y for dim in dims), features), np.float32)
    spec = ConvSpec(dims, 20, features, epilogue=epilogue, extra=(("bias", PTR),))
    run(target, winograd_of(spec, 4, adjoint), x, w, y, extra=(bias,))
    number = np.arange(y[..., 0].size).reshape(y.shape[:-1])[..., None]
    expected = np.maximum(reference(dims, x, w, 1) + bias, 0) + number
    assert scaled_error(y, expected) < 1e-5


def check_weights(target, dims, channels, features, tile, dtype="float32", batch=3) -> None:
    x, w = arrays(dims, channels, features, 1, dtype, batch)
    dy = np.random.default_rng(8).standard_normal((batch, *(dim.y for dim in dims), features))
    dy = dy.astype(x.dtype)
    dw = np.ones(w.shape, x.dtype)
    spec = winograd_weights_of(WeightsSpec(ConvSpec(dims, channels, features, dtype=dtype)), tile)
    module = Module(target)
    emit_winograd_weights(module, "weights", spec)
    loaded = Loaded(module)
    scratch = np.full(spec.scratch_bytes(target), 0xFF, np.uint8)
    for lo, hi in itertools.pairwise([0, 0, 1, batch]):
        loaded("weights", x, dy, dw, scratch, lo, hi)
    tolerance = 2e-5 if dtype == "float32" else 1e-13
    assert scaled_error(dw - 1, weights_reference(dims, x, dy, 1)) < tolerance


@widest
@all_tiles
@pytest.mark.parametrize("name", [name for name in GEOMETRIES if name != "turned"])
def test_weight_gradient(target, tile, name):
    check_weights(target, GEOMETRIES[name], 5, 19, tile)


@widest
@pytest.mark.parametrize(("channels", "features"), [(1, 33), (16, 64), (17, 70), (33, 96)])
def test_weight_gradient_channels(target, channels, features):
    check_weights(target, SAME, channels, features, 4)
    check_weights(target, VALID, channels, features, 5, batch=17)
    check_weights(target, VALID, channels, features, 4, dtype="float64")


def test_what_it_does_not_take():
    pair = (make_dim(8, 3), make_dim(8, 3))
    for spec in (
        ConvSpec((make_dim(8, 3, 2), make_dim(8, 3)), 4, 4),
        ConvSpec((make_dim(8, 5), make_dim(8, 3)), 4, 4),
        ConvSpec(pair, 4, 4, groups=2),
        ConvSpec(pair, 4, 4, dtype="float16"),
    ):
        with pytest.raises(ValueError, match="Winograd"):
            winograd_of(spec, 4, False)
    with pytest.raises(ValueError, match="adjoint"):
        winograd_of(ConvSpec(pair, 4, 4), 4, True)


LAYERS = {
    "conv2d_1": (26, 64, 64, 6),
    "conv2d_1 of four": (26, 64, 64, 4),
    "conv2d_2": (12, 64, 128, 5),
    "conv2d_3": (10, 128, 128, 4),
}
# Numbers of both signs, and positive ones, whose sums do not cancel but whose transforms do.
DATA = {"random": lambda x: x, "positive": np.abs}
# Of a tile, up to 128 channels and beyond; docs/numerics.md has them.
BOUNDS = {
    ("random", 2): (1e-6, 2e-6), ("random", 4): (2e-6, 5e-6),
    ("random", 5): (1e-5, None), ("random", 6): (1e-5, None),
    ("positive", 2): (2e-6, 5e-6), ("positive", 4): (5e-6, 1.2e-5),
    ("positive", 5): (1.5e-5, None), ("positive", 6): (1.5e-5, None),
}  # fmt: skip


def errors(target, size: int, channels: int, features: int, tile: int, data: str) -> dict:
    """Of the output and both gradients of a layer, as parts of the largest value."""
    dims, batch = (make_dim(size, 3),) * 2, 2
    full = (make_dim(size - 2, 3, low=2, high=2, reverse=True),) * 2
    x, w = (DATA[data](a) for a in arrays(dims, channels, features, 1, "float32", batch))
    w /= np.float32(3 * np.sqrt(channels))
    dy = np.random.default_rng(5).standard_normal((batch, size - 2, size - 2, features))
    dy = DATA[data](dy).astype(np.float32)
    y, dx, dw = (np.zeros(shape, np.float32) for shape in (dy.shape, x.shape, w.shape))
    run(target, winograd_of(ConvSpec(dims, channels, features), tile, False), x, w, y)
    turned = np.ascontiguousarray(np.swapaxes(w, 2, 3))
    run(target, winograd_of(ConvSpec(full, features, channels), tile, True), dy, turned, dx)
    spec = winograd_weights_of(WeightsSpec(ConvSpec(dims, channels, features)), tile)
    module = Module(target)
    emit_winograd_weights(module, "weights", spec)
    scratch = np.zeros(spec.scratch_bytes(target), np.uint8)
    Loaded(module)("weights", x, dy, dw, scratch, 0, batch)
    return {
        "y": scaled_error(y, reference(dims, x, w, 1)),
        "dx": scaled_error(dx, reference(full, dy, turned, 1)),
        "dw": scaled_error(dw, weights_reference(dims, x, dy, 1)),
    }


@widest
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("layer", LAYERS)
def test_error_bounds(target, layer, data):
    found = errors(target, *LAYERS[layer], data)
    assert max(found.values()) <= BOUNDS[data, LAYERS[layer][3]][0], found


@pytest.mark.slow
@all_targets
@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize(("size", "channels", "tile"), [(14, 256, 4), (10, 512, 2), (10, 512, 4)])
def test_error_bounds_of_many_channels(target, size, channels, tile, data):
    found = errors(target, size, channels, channels, tile, data)
    assert max(found.values()) <= BOUNDS[data, tile][1], found
