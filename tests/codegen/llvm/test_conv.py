"""Convolutions of all kinds of geometry against sums over taps in float64."""

import itertools
from dataclasses import replace

import ml_dtypes
import numpy as np
import pytest

from kgraph.codegen.llvm.conv import ConvSpec, Dim, emit_conv, emit_pack_weights
from kgraph.codegen.llvm.conv_weights import WeightsSpec, emit_weights
from kgraph.codegen.llvm.emit import PTR, Module, View
from tests.codegen.llvm.native import Loaded, targets

all_targets = pytest.mark.parametrize("target", targets(), ids=lambda item: item.name)


def make_dim(x: int, taps: int, stride=1, low=0, high=0, dilation=1, x_dilation=1, reverse=False):
    padded = (x - 1) * x_dilation + 1 + low + high
    y = max(0, (padded - (taps - 1) * dilation - 1) // stride + 1)
    return Dim(x, taps, y, stride, low, dilation, x_dilation, reverse)


def pieces(dim: Dim):
    """(tap in w, slice of y, slice of x) of every tap."""
    for t in range(dim.taps):
        pairs = [
            (o, (o * dim.stride + t * dim.dilation - dim.low) // dim.x_dilation)
            for o in range(dim.y)
            if (o * dim.stride + t * dim.dilation - dim.low) % dim.x_dilation == 0
        ]
        pairs = [(o, q) for o, q in pairs if 0 <= q < dim.x]
        if pairs:
            yield (dim.taps - 1 - t if dim.reverse else t), *map(list, zip(*pairs, strict=True))


def reference(dims, x: np.ndarray, w: np.ndarray, groups: int) -> np.ndarray:
    """Of arrays batch, space, channels and space, input, output; in float64."""
    each = w.shape[-1] // groups
    x = x.astype(np.float64).reshape(*x.shape[:-1], groups, -1)
    w = w.astype(np.float64).reshape(*w.shape[:-1], groups, each)
    y = np.zeros((x.shape[0], *(dim.y for dim in dims), groups, each))
    for combination in itertools.product(*(list(pieces(dim)) for dim in dims)):
        taps, outputs, inputs = zip(*combination, strict=True)
        out = np.ix_(range(x.shape[0]), *outputs)
        y[out] += np.einsum("...gc,cgo->...go", x[np.ix_(range(x.shape[0]), *inputs)], w[taps])
    return y.reshape(*y.shape[:-2], groups * each)


def arrays(dims, channels: int, features: int, groups: int, dtype: str, batch: int):
    random = np.random.default_rng(7)
    kind = np.dtype(ml_dtypes.bfloat16 if dtype == "bfloat16" else dtype)
    shapes = [(batch, *(dim.x for dim in dims), channels),
              (*(dim.taps for dim in dims), channels // groups, features)]  # fmt: skip
    if kind.kind in "iu":
        return [random.integers(0, 5, shape).astype(kind) for shape in shapes]
    return [random.standard_normal(shape).astype(kind) for shape in shapes]


def run(target, spec: ConvSpec, x, w, y, parts: int = 3, extra=()) -> np.ndarray:
    """Computes y; returns the scratch memory."""
    module = Module(target)
    emit_pack_weights(module, "pack", spec)
    emit_conv(module, "conv", spec)
    loaded = Loaded(module)
    packed = np.full(spec.packed_bytes(target), 0xFF, np.uint8)
    for panel in range(spec.panels(target)):
        loaded("pack", w, packed, panel, panel + 1)
    scratch = np.full(spec.scratch_bytes(target), 0xFF, np.uint8)
    units = spec.units(x.shape[0])
    steps = [units * i // parts for i in range(parts + 1)]
    for lo, hi in itertools.pairwise(steps):
        loaded("conv", x, packed, y, scratch, lo, hi, *extra)
    return scratch


def check(target, dims, channels, features, groups=1, dtype="float32", batch=2, **options) -> None:
    x, w = arrays(dims, channels, features, groups, dtype, batch)
    y = np.full((batch, *(dim.y for dim in dims), features), 99).astype(x.dtype)
    spec = ConvSpec(dims, channels, features, groups, dtype, **options)
    run(target, spec, x, w, y)
    expected = reference(dims, x, w, groups)
    if x.dtype.kind in "iu":
        assert np.array_equal(y, expected.astype(x.dtype))
        return
    scale = np.abs(expected).max() + 1
    tolerance = {2: 1e-2, 4: 2e-6, 8: 1e-14}[x.itemsize]
    assert np.abs(y.astype(np.float64) - expected).max() <= tolerance * scale


GEOMETRIES = {
    "valid": (make_dim(9, 3), make_dim(11, 3)),
    "same": (make_dim(9, 3, low=1, high=1), make_dim(11, 3, low=1, high=1)),
    "wide": (make_dim(3, 3, low=1, high=1), make_dim(37, 5, low=2, high=2)),
    "strided": (make_dim(9, 3, 2, 1, 1), make_dim(12, 3, 2, 0, 1)),
    "dilated": (make_dim(9, 3, dilation=2, low=2, high=2), make_dim(12, 2, dilation=3)),
    "cropped": (make_dim(9, 2, low=-1, high=-2), make_dim(9, 3, low=-2, high=1)),
    "line": (make_dim(30, 5, 2, 2, 2),),
    "solid": (make_dim(4, 3, low=1, high=1), make_dim(5, 2, 2), make_dim(6, 3, low=1)),
    "solid strided": (make_dim(5, 3, x_dilation=2, low=2, high=2), make_dim(3, 2), make_dim(4, 1)),
    "point": (make_dim(5, 1), make_dim(6, 1)),
    "turned": (make_dim(6, 3, low=2, high=2, reverse=True), make_dim(7, 4, reverse=True)),
    "gradient of stride 2": (make_dim(5, 3, x_dilation=2, low=2, high=1, reverse=True),
                             make_dim(6, 3, x_dilation=2, low=1, high=2)),
    "gradient of stride 3": (make_dim(4, 2, x_dilation=3, low=1, high=3),
                             make_dim(4, 3, x_dilation=3, dilation=2, low=4, high=4)),
    "strides up and down": (make_dim(7, 4, 2, x_dilation=3, low=3, high=3), make_dim(5, 2, 2)),
}  # fmt: skip


@all_targets
@pytest.mark.parametrize("name", GEOMETRIES)
def test_geometry(target, name):
    dims = GEOMETRIES[name]
    check(target, dims, 5, 19)
    check(target, dims, 6, 4, groups=2)
    check(target, dims, 19, 19, groups=19)
    check(target, dims, 3, 6, groups=3)
    check(target, dims, 24, 24, groups=6)
    check(target, dims, 40, 40, groups=5)


@all_targets
@pytest.mark.parametrize("name", ["valid", "same", "solid", "gradient of stride 2"])
def test_several_images_pass_by_a_panel(target, name):
    """Where the weights outgrow the cache and images do not; parts cut groups, and images."""
    small = replace(target, l2=1 << 14)
    assert ConvSpec(GEOMETRIES[name], 5, 96).sheets(small) > 1
    check(small, GEOMETRIES[name], 5, 96, batch=5)


@all_targets
@pytest.mark.parametrize(
    ("channels", "features"), [(1, 33), (3, 64), (64, 16), (17, 70), (32, 96), (1, 1)]
)
def test_channels(target, channels, features):
    check(target, (make_dim(7, 3), make_dim(16, 3)), channels, features)
    check(
        target, (make_dim(7, 3, low=1, high=1), make_dim(26, 3, low=1, high=1)), channels, features
    )


@all_targets
@pytest.mark.parametrize("name", ["valid", "solid strided", "gradient of stride 2", "dilated"])
def test_few_features(target, name):
    """Vectors run over channels, of which some may be left."""
    for channels, features, groups, dtype in (
        (16, 1, 1, "float32"), (19, 2, 1, "float32"), (64, 3, 1, "float32"), (33, 8, 1, "float32"),
        (40, 4, 2, "float32"), (20, 2, 1, "float64"), (35, 3, 1, "bfloat16"), (18, 1, 1, "int32"),
    ):  # fmt: skip
        check(target, GEOMETRIES[name], channels, features, groups, dtype)
    assert ConvSpec(GEOMETRIES[name], 19, 2).few(target)


@all_targets
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int32", "uint8", "int64"])
@pytest.mark.parametrize("groups", [1, 4])
def test_dtypes(target, dtype, groups):
    dims = (make_dim(6, 3, low=1, high=1), make_dim(7, 3))
    check(target, dims, 4, 20, groups, dtype)
    check(target, dims, 20, 20, 5 * groups, dtype)


def test_blocks_of_rows():
    """Images larger than the cache go through in blocks."""
    target = targets()[0]
    dims = (make_dim(90, 3, low=1, high=1), make_dim(70, 3, low=1, high=1))
    spec = ConvSpec(dims, 40, 8)
    assert spec.block(target) < dims[0].y
    check(target, dims, 40, 8)
    check(target, (make_dim(90, 3), make_dim(70, 3)), 40, 8)


@all_targets
@pytest.mark.parametrize("groups", [1, 12])
def test_channels_first(target, groups):
    dims = (make_dim(6, 3, low=1, high=1), make_dim(7, 3))
    x, w = arrays(dims, 12, 12, groups, "float32", 2)
    images = np.ascontiguousarray(np.moveaxis(x, -1, 1))
    kernel = np.ascontiguousarray(np.moveaxis(w, (-1, -2), (0, 1)))
    y = np.zeros((2, 12, 6, 5), np.float32)
    n, c, h, wide = (step // 4 for step in images.strides)
    o, i, a, b = (step // 4 for step in kernel.strides)
    ny, cy, hy, wy = (step // 4 for step in y.strides)
    spec = ConvSpec(dims, 12, 12, groups, x_strides=(n, h, wide, c), w_strides=(a, b, i, o),
                    y_strides=(ny, hy, wy, cy))  # fmt: skip
    run(target, spec, images, kernel, y)
    expected = np.moveaxis(reference(dims, x, w, groups), -1, 1)
    assert np.abs(y - expected).max() < 1e-4


@all_targets
@pytest.mark.parametrize(("groups", "features"), [(1, 20), (5, 20), (20, 20), (1, 2)])
@pytest.mark.parametrize("inline", [True, False])
@pytest.mark.parametrize("name", ["valid", "same", "gradient of stride 2", "solid"])
def test_hooks(target, groups, features, inline, name):
    """relu(conv(2 x + channel) + bias) + pixel number."""
    dims = GEOMETRIES[name]

    def epilogue(f, row, column, value, mask):
        bias = f.load(View(f.parameter("bias"), "float32", (1,)), [column], value.lanes, mask=mask)
        value = f.fmax(f.add(value, bias), 0.0)
        return f.add(value, f.convert(row, "int64", "float32"))

    def prologue(f, pixel, channel, value, mask):
        lanes = f.convert(f.lane_numbers(value.type.with_element("i32")), "int32", "float32")
        number = f.add(f.convert(channel, "int64", "float32"), lanes)
        pixels = f.mul(f.convert(pixel, "int64", "float32"), 1 / 64)
        return f.add(f.fma(value, 2.0, number), pixels)

    x, w = arrays(dims, 20, features, groups, "float32", 2)
    bias = np.arange(features, dtype=np.float32)
    y = np.zeros((2, *(dim.y for dim in dims), features), np.float32)
    spec = ConvSpec(dims, 20, features, groups, epilogue=epilogue, inline_epilogue=inline,
                    prologue=prologue, extra=(("bias", PTR),))  # fmt: skip
    run(target, spec, x, w, y, extra=(bias,))
    pixels = np.arange(x[..., 0].size).reshape(x.shape[:-1])[..., None]
    plain = reference(dims, 2 * x.astype(np.float64) + np.arange(20) + pixels / 64, w, groups)
    expected = (
        np.maximum(plain + bias, 0) + np.arange(y[..., 0].size).reshape(y.shape[:-1])[..., None]
    )
    assert np.abs(y - expected).max() < 1e-5 * np.abs(expected).max()


def test_a_depthwise_multiplier_takes_no_epilogue():
    with pytest.raises(ValueError, match="multiplier"):
        ConvSpec((make_dim(5, 3),), 4, 8, groups=4, epilogue=lambda *args: args[3])


def weights_reference(dims, x: np.ndarray, dy: np.ndarray, groups: int) -> np.ndarray:
    x = x.astype(np.float64).reshape(*x.shape[:-1], groups, -1)
    dy = dy.astype(np.float64).reshape(*dy.shape[:-1], groups, -1)
    dw = np.zeros((*(dim.taps for dim in dims), x.shape[-1], groups, dy.shape[-1]))
    batch = range(x.shape[0])
    for combination in itertools.product(*(list(pieces(dim)) for dim in dims)):
        taps, outputs, inputs = zip(*combination, strict=True)
        a, b = x[np.ix_(batch, *inputs)], dy[np.ix_(batch, *outputs)]
        a, b = (item.reshape(-1, *item.shape[-2:]) for item in (a, b))
        dw[taps] = np.einsum("pgc,pgo->cgo", a, b)
    return dw.reshape(*dw.shape[:-2], -1)


def run_weights(target, spec: WeightsSpec, x, dy, dw, parts: int = 2, extra=()) -> None:
    module = Module(target)
    emit_weights(module, "weights", spec)
    loaded = Loaded(module)
    scratch = np.full(spec.scratch_bytes(target), 0xFF, np.uint8)
    steps = [x.shape[0] * i // parts for i in range(parts + 1)]
    for lo, hi in itertools.pairwise(steps):
        loaded("weights", x, dy, dw, scratch, lo, hi, *extra)


def check_weights(target, dims, channels, features, groups=1, dtype="float32", batch=3) -> None:
    x, w = arrays(dims, channels, features, groups, dtype, batch)
    dy = np.random.default_rng(8).standard_normal((batch, *(dim.y for dim in dims), features))
    dy = (dy * 3).astype(x.dtype)
    wide = {2: "float32"}.get(x.itemsize, dtype)
    dw = np.ones(w.shape, wide)
    run_weights(target, WeightsSpec(ConvSpec(dims, channels, features, groups, dtype)), x, dy, dw)
    expected = weights_reference(dims, x, dy, groups) + 1
    # Large caches make large blocks, whose ten thousand pixels are summed in order.
    tolerance = {4: 4e-6, 8: 1e-14}[dw.itemsize] * (np.abs(expected).max() + 1)
    assert np.abs(dw - expected).max() <= tolerance


@all_targets
@pytest.mark.parametrize("name", GEOMETRIES)
def test_weight_gradient(target, name):
    dims = GEOMETRIES[name]
    check_weights(target, dims, 5, 19)
    check_weights(target, dims, 6, 4, groups=2)
    check_weights(target, dims, 19, 19, groups=19)
    check_weights(target, dims, 3, 6, groups=3)
    check_weights(target, dims, 24, 24, groups=6)
    check_weights(target, dims, 40, 40, groups=5)


@all_targets
@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16", "int32"])
@pytest.mark.parametrize("groups", [1, 4])
def test_weight_gradient_dtypes(target, dtype, groups):
    dims = (make_dim(6, 3, low=1, high=1), make_dim(7, 3))
    check_weights(target, dims, 4, 20, groups, dtype)
    check_weights(target, dims, 20, 20, 5 * groups, dtype)


@all_targets
@pytest.mark.parametrize(("channels", "features"), [(1, 33), (3, 64), (64, 16), (17, 70), (32, 96)])
def test_weight_gradient_channels(target, channels, features):
    check_weights(target, (make_dim(7, 3), make_dim(16, 3)), channels, features)
    same = (make_dim(7, 3, low=1, high=1), make_dim(26, 3, low=1, high=1))
    check_weights(target, same, channels, features)


@all_targets
@pytest.mark.parametrize("name", ["valid", "same", "gradient of stride 2", "solid"])
def test_weight_gradient_by_panels(target, name):
    """Each has all images, and the bits that it has among the others."""
    dims, features = GEOMETRIES[name], 3 * ConvSpec((make_dim(5, 1),), 7, 99).shape(target).columns
    conv = ConvSpec(dims, 7, features - 5)
    x, w = arrays(dims, 7, conv.features, 1, "float32", 3)
    dy = np.ones((3, *(dim.y for dim in dims), conv.features), np.float32) * np.float32(0.3)
    together, apart = np.ones_like(w), np.ones_like(w)
    run_weights(target, WeightsSpec(conv), x, dy, together, parts=1)
    spec, module = WeightsSpec(conv, by_panels=True), Module(target)
    emit_weights(module, "weights", spec)
    scratch = np.full(spec.scratch_bytes(target), 0xFF, np.uint8)
    for lo, hi in ((2, 3), (0, 2)):
        Loaded(module)("weights", x, dy, apart, scratch, lo, hi, len(x))
    np.testing.assert_array_equal(apart, together)


def test_weight_gradient_in_blocks():
    target = targets()[0]
    check_weights(target, (make_dim(90, 3, low=1, high=1), make_dim(70, 3)), 40, 8, batch=2)
    check_weights(target, (make_dim(90, 3), make_dim(70, 3)), 40, 8, batch=2)
    check_weights(target, (make_dim(4, 3), make_dim(4, 3)), 8, 8, batch=13)


@all_targets
@pytest.mark.parametrize("groups", [1, 5, 20])
def test_weight_gradient_hooks(target, groups):
    """The mask of a relu on dy, an affine function of x."""
    dims = GEOMETRIES["same"]

    def mask_of_relu(f, pixel, feature, value, mask):
        view = View(f.parameter("out"), "float32", (20, 1))
        out = f.load(view, [pixel, feature], value.lanes, mask=mask)
        return f.select(f.compare("GT", out, 0.0), value, 0.0)

    x, w = arrays(dims, 20, 20, groups, "float32", 3)
    random = np.random.default_rng(9)
    dy, out = (random.standard_normal((3, 9, 11, 20)).astype(np.float32) for _ in range(2))
    dw = np.zeros(w.shape, np.float32)

    def affine(f, pixel, channel, value, mask):
        return f.fma(value, 2.0, 1.0)

    conv = ConvSpec(dims, 20, 20, groups, extra=(("out", PTR),), prologue=affine)
    run_weights(target, WeightsSpec(conv, mask_of_relu), x, dy, dw, extra=(out,))
    expected = weights_reference(dims, 2 * x.astype(np.float64) + 1, dy * (out > 0), groups)
    assert np.abs(dw - expected).max() < 1e-5 * np.abs(expected).max()
