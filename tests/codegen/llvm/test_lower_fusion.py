"""Fused bodies as native code: chains, reductions with prologues, contractions with epilogues."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from kgraph.codegen.llvm.gemm_spec import direct_a
from kgraph.codegen.llvm.image import lower
from kgraph.codegen.llvm.lower.loops import Loop
from kgraph.codegen.llvm.lower.product import Product
from kgraph.codegen.llvm.target import SKYLAKE512, host
from kgraph.ir import Builder, Function, TensorType, Value, numpy_dtype, symbol
from kgraph.ir.ops.contract import DotGeneral
from kgraph.ir.ops.control import Fusion
from kgraph.passes.fuse import Fuse
from tests.codegen.llvm.lowered import check, native, run

batch = symbol("batch")


def _arrays(fn: Function, seed: int = 0, **sizes: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    found = []
    for p in fn.params:
        shape = [d if isinstance(d, int) else sizes[str(d)] for d in p.shape]
        values = random.standard_normal(shape) * 3
        if p.dtype == "bool":
            values = values > 0
        found.append(np.asarray(values).astype(numpy_dtype(p.dtype)))
    return found


def _fused(fn: Function) -> Function:
    fused = Fuse().run(fn)
    assert any(isinstance(op, Fusion) for op in fused.ops)
    return fused


def _param(b: Builder, *shape: object, dtype: str = "float32") -> Value:
    return b.param("x", TensorType(tuple(shape), dtype))  # type: ignore[arg-type]  # sizes


def _relu(b: Builder, x: Value) -> Value:
    found: Value = b.maximum(x, b.splat(0, x.type))
    return found


def _biased(b: Builder, x: Value, dim: int = -1) -> Value:
    dim %= x.type.rank
    bias = _param(b, x.shape[dim], dtype=x.dtype)
    found: Value = b.add(x, b.broadcast_in_dim(bias, x.shape, (dim,)))
    return found


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "float16", "int8", "int64"])
@pytest.mark.parametrize(
    "sizes", [(batch, 5), (batch, 26, 3), (7, batch, 1), (batch,), (40, 33), ()]
)
def test_chain(dtype: str, sizes: tuple[object, ...]) -> None:
    b = Builder()
    x, y = _param(b, *sizes, dtype=dtype), _param(b, *sizes, dtype=dtype)
    z = b.multiply(b.add(x, y), x)
    fn = b.function(b.subtract(z, y), z, b.compare(z, y, "GT"))
    _fused(fn)
    for n in (1, 4, 13, 64) if batch in sizes else (0,):
        check(fn, _arrays(fn, batch=n), tolerance=1e-2 if "16" in dtype else 2e-6, fuse=True)


def test_a_run_over_many_tiles() -> None:
    b = Builder()
    x, scale = _param(b, batch, 37), _param(b, 37)
    z = b.exponential(b.multiply(b.tanh(x), b.broadcast_in_dim(scale, x.shape, (1,))))
    fn = b.function(z, b.add(x, x))
    for n in (3, 5000):
        check(fn, _arrays(fn, batch=n), fuse=True)


def test_lanes() -> None:
    """A register of the widest dtype; two of one that few ops have, and in long chains."""
    registers = host().lanes(4)

    def lanes(chain: Callable[[Builder, Value], Value]) -> int:
        b = Builder()
        fn = b.function(chain(b, _param(b, batch, 64)))
        check(fn, _arrays(fn, batch=3))
        return Loop.of(fn, host()).lanes

    assert lanes(lambda b, x: b.tanh(x)) == registers
    assert lanes(lambda b, x: b.convert(b.convert(x, "float64"), "float32")) == host().lanes(8)
    assert lanes(lambda b, x: b.tanh(b.convert(b.convert(x, "bfloat16"), "float32"))) == registers
    assert (
        lanes(lambda b, x: b.exponential(b.convert(b.convert(x, "int64"), "float32"))) == registers
    )
    assert lanes(lambda b, x: b.erf_inv(b.tanh(x))) == 2 * registers


def test_broadcasts_of_every_dim() -> None:
    b = Builder()
    x = _param(b, 4, 5, 6, 7)
    total = x
    for dims in [(0,), (1,), (2,), (3,), (0, 1), (1, 2), (0, 3), (1, 2, 3), ()]:
        part = _param(b, *[x.shape[d] for d in dims])
        total = b.add(total, b.broadcast_in_dim(part, x.shape, dims))
    fn = b.function(b.add(total, b.iota(x.shape, 2, "float32")))
    check(fn, _arrays(fn), fuse=True)


def test_reading_at_other_indices() -> None:
    b = Builder()
    x = _param(b, batch, 20, 9)
    y = b.slice(b.transpose(x, (0, 2, 1)), (0, 1, 3), (batch, 8, 19), (1, 1, 2))
    y = b.multiply(y, y)
    z = b.pad(y, b.constant(2.0, "float32"), (0, 2, 0), (0, 1, 5), (0, 0, 0))
    z = b.add(z, b.reverse(z, (2,)))
    fn = b.function(z, b.pad(y, b.constant(-1.0, "float32"), (0, 0, -2), (0, 0, 1), (0, 1, 2)))
    for n in (1, 6):
        check(fn, _arrays(fn, batch=n), fuse=True)


@pytest.mark.parametrize("dims", [None, (1,), (2,), (0, 1)])
def test_gathers_of_rows(dims: tuple[int, ...] | None) -> None:
    """In a loop and in reductions; places before and behind the array are those at its ends."""
    b = Builder()
    x, at = _param(b, 9, 37), _param(b, batch, 3, 1, dtype="int32")
    rows = b.gather(x, at, (2,), (0,), (0,), 2, (1, 37))
    y = b.tanh(b.multiply(rows, rows))
    fn = b.function(y if dims is None else b.reduce(y, "sum", dims))
    assert len(_fused(fn).ops) == 1
    for n in (1, 50):
        check(fn, _arrays(fn, batch=n), fuse=True)


@pytest.mark.parametrize("dims", [(0,), (1,), (2,), (0, 1), (1, 2), (0, 2), (0, 1, 2)])
@pytest.mark.parametrize("kind", ["sum", "max"])
def test_reduction_with_a_prologue(dims: tuple[int, ...], kind: str) -> None:
    b = Builder()
    x, y = _param(b, batch, 11, 21), _param(b, batch, 11, 21)
    z = b.multiply(x, y)
    fn = b.function(b.reduce(z, kind, dims), b.reduce(b.multiply(z, z), kind, dims), z)
    _fused(fn)
    for n in (1, 9, 700):
        check(fn, _arrays(fn, batch=n), tolerance=5e-6, fuse=True)


@pytest.mark.parametrize("dims", [(0, 1, 2), (1, 2), (0, 1, 2, 3), (0, 1, 3)])
def test_reduction_of_a_part_in_chunks(dims: tuple[int, ...]) -> None:
    """Dims that are cut are runs of their own: the outer ones are counted together."""
    b = Builder()
    x, y = _param(b, batch, 31, 29, 40), _param(b, batch, 30, 28, 40)
    cut = b.slice(x, (0, 1, 0, 0), (batch, 31, 28, 40), (1, 1, 1, 1))
    z = b.multiply(cut, y)
    fn = b.function(b.reduce(z, "sum", dims), b.reduce(b.multiply(z, cut), "sum", dims), z)
    _fused(fn)
    for n in (1, 3, 17):
        check(fn, _arrays(fn, batch=n), tolerance=5e-6, fuse=True)


@pytest.mark.parametrize(
    "shape", [(1 << 20,), (1 << 14, 64), (64, 1 << 14), (2, 300_000), (300_000, 2)]
)
@pytest.mark.parametrize("dim", [0, 1])
def test_long_sums_are_accurate(shape: tuple[int, ...], dim: int) -> None:
    b = Builder()
    x = _param(b, *shape)
    dims = (dim,) if len(shape) > 1 else (0,)
    fn = b.function(b.reduce(x, "sum", dims))
    (array,) = _arrays(fn)
    array = np.abs(array)
    (got,) = run(native(fn), fn, [array])
    want = array.astype("f8").sum(dims)
    assert np.max(np.abs(got - want) / want) < 1e-6


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16", "int32"])
@pytest.mark.parametrize("rows", [batch, 3, 1])
def test_dense(dtype: str, rows: object) -> None:
    b = Builder()
    x, w = _param(b, rows, 50, dtype=dtype), _param(b, 50, 35, dtype=dtype)
    y = _biased(b, b.dot_general(x, w, (), (), (1,), (0,)))
    z = _relu(b, y)
    fn = b.function(z, b.compare(y, z, "EQ"), y)
    assert len(_fused(fn).ops) == 1
    for n in (1, 4, 130) if rows is batch else (0,):
        check(fn, _arrays(fn, batch=n), tolerance=2e-2 if dtype == "bfloat16" else 2e-6, fuse=True)


def test_dense_with_a_mask_alone() -> None:
    b = Builder()
    x, w = _param(b, batch, 700), _param(b, 700, 20)
    y = b.dot_general(x, w, (), (), (1,), (0,))
    fn = b.function(b.compare(y, b.splat(1.0, y.type), "GT"))
    assert len(_fused(fn).ops) == 1
    check(fn, _arrays(fn, batch=31), fuse=True)


def test_dense_over_time_with_a_residual_and_a_transcendental() -> None:
    b = Builder()
    x, w = _param(b, batch, 6, 24), _param(b, 24, 24)
    place = _param(b, 6, 24)
    y = b.dot_general(x, w, (), (), (2,), (0,))
    y = b.add(b.tanh(_biased(b, y)), x)
    fn = b.function(b.add(y, b.broadcast_in_dim(place, y.shape, (1, 2))))
    assert len(_fused(fn).ops) == 1
    for n in (1, 5, 300):
        check(fn, _arrays(fn, batch=n), fuse=True)


DOTS: dict[str, tuple[tuple[object, ...], tuple[object, ...], tuple[tuple[int, ...], ...]]] = {
    "weights": ((batch, 20), (batch, 30), ((), (), (0,), (0,))),
    "input": ((batch, 20), (30, 20), ((), (), (1,), (1,))),
    "heads": ((batch, 9, 4, 16), (batch, 11, 4, 16), ((0, 2), (0, 2), (3,), (3,))),
    "values": ((batch, 4, 9, 11), (batch, 11, 4, 16), ((0, 1), (0, 2), (3,), (1,))),
    "apart": ((6, 20, 7), (20, 5, 3), ((), (), (1,), (0,))),
    "two": ((6, 4, 5), (5, 8, 4), ((), (), (1, 2), (2, 0))),
    "both": ((4, 6, 5, 3), (5, 8, 4, 2), ((), (), (0, 2), (2, 0))),
    "vector": ((batch, 40), (40,), ((), (), (1,), (0,))),
    "row": ((40,), (40, 33), ((), (), (0,), (0,))),
    "inner": ((batch,), (batch,), ((), (), (0,), (0,))),
    "outer": ((batch,), (9,), ((), (), (), ())),
    "long": ((3, 5000), (5000, 5), ((), (), (1,), (0,))),
}  # fmt: skip


@pytest.mark.parametrize("name", DOTS)
@pytest.mark.parametrize("follow", [False, True])
def test_products(name: str, follow: bool) -> None:
    left, right, dims = DOTS[name]
    b = Builder()
    x, y = _param(b, *left), _param(b, *right)
    z = b.dot_general(x, y, *dims)
    if follow:
        z = b.add(_relu(b, z), _param(b, *z.shape))
        if z.type.rank:
            z = _biased(b, z, 0)
    fn = b.function(z)
    for n in (1, 3, 70):
        check(fn, _arrays(fn, batch=n), tolerance=4e-6, fuse=True)


def _convolved(b: Builder, dims: str, x: Value, w: Value, **options: object) -> Value:
    settings: dict[str, object] = {
        "strides": (1, 1), "padding": ((0, 0), (0, 0)), "lhs_dilation": (1, 1),
        "rhs_dilation": (1, 1), "reversal": (False, False), "feature_groups": 1, "batch_groups": 1,
    } | options  # fmt: skip
    found: Value = b.convolution(x, w, dims, *settings.values())
    return found


CONVOLUTIONS: dict[str, Callable[[Builder], Value]] = {
    "plain": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, batch, 9, 8, 5), _param(b, 3, 3, 5, 20)
    ),
    "same": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, batch, 9, 8, 16), _param(b, 3, 3, 16, 32),
        padding=((1, 1), (1, 1)), strides=(2, 1),
    ),
    "channels first": lambda b: _convolved(
        b, "bf01_oi01->bf01", _param(b, batch, 5, 9, 8), _param(b, 20, 5, 3, 3)
    ),
    "mixed": lambda b: _convolved(
        b, "bf01_01io->b01f", _param(b, batch, 5, 9, 8), _param(b, 3, 3, 5, 20)
    ),
    "turned": lambda b: _convolved(
        b, "b01f_01io->b10f", _param(b, batch, 9, 8, 5), _param(b, 3, 3, 5, 20)
    ),
    "depthwise": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, batch, 9, 8, 24), _param(b, 3, 3, 1, 24), feature_groups=24
    ),
    "multiplied": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, batch, 9, 8, 6), _param(b, 3, 3, 1, 12), feature_groups=6
    ),
    "input gradient": lambda b: _convolved(
        b, "b01f_01oi->b01f", _param(b, batch, 4, 4, 12), _param(b, 3, 3, 7, 12),
        padding=((2, 2), (1, 2)), lhs_dilation=(2, 2), reversal=(True, True),
    ),
    "pointwise": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, batch, 4, 5, 40), _param(b, 1, 1, 40, 20)
    ),
    "pointwise input gradient": lambda b: _convolved(
        b, "b01f_01oi->b01f", _param(b, batch, 4, 5, 20), _param(b, 1, 1, 40, 20),
        reversal=(True, True),
    ),
    "pointwise weight gradient": lambda b: _convolved(
        b, "f01b_i01o->01bf", _param(b, batch, 4, 5, 40), _param(b, batch, 4, 5, 20)
    ),
    "pointwise channels first": lambda b: _convolved(
        b, "bf01_oi01->bf01", _param(b, batch, 40, 4, 5), _param(b, 20, 40, 1, 1)
    ),
    "pointwise with a stride": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, batch, 4, 5, 40), _param(b, 1, 1, 40, 20), strides=(2, 1)
    ),
    "pointwise in one dim": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, batch, 4, 5, 7), _param(b, 1, 5, 7, 20)
    ),
    "pointwise of any size": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, 2, batch, 5, 7), _param(b, 1, 1, 7, 20)
    ),
    "weight gradient": lambda b: _convolved(
        b, "f01b_i01o->01bf", _param(b, batch, 9, 8, 5), _param(b, batch, 7, 6, 20)
    ),
    "depthwise weight gradient": lambda b: _convolved(
        b, "f01b_i01o->01bf", _param(b, batch, 9, 8, 6), _param(b, batch, 7, 6, 6), batch_groups=6
    ),
    "symbolic size": lambda b: _convolved(
        b, "b01f_01io->b01f", _param(b, 2, batch + 3, 8, 5), _param(b, 3, 3, 5, 20),
        padding=((1, 1), (0, 1)),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("follow", [False, True])
def test_convolutions(name: str, follow: bool) -> None:
    b = Builder()
    y = CONVOLUTIONS[name](b)
    results = [y]
    if follow:
        z = _relu(b, _biased(b, y))
        results = [z, b.compare(y, z, "EQ")]
    fn = b.function(*results)
    for n in (1, 3, 20):
        check(fn, _arrays(fn, batch=n, **{"batch+3": n + 3}), tolerance=5e-6, fuse=True)


def test_equal_kernels_are_emitted_once() -> None:
    from kgraph.codegen.llvm.image import lower
    from kgraph.codegen.llvm.target import HASWELL

    b = Builder()
    results = []
    for sizes in [(7,), (3, 5), (batch, 2), (batch, 4, 4)]:
        x, y = _param(b, *sizes), _param(b, *sizes)
        results.append(b.tanh(b.add(b.multiply(x, y), x)))
    text = lower(Fuse().run(b.function(*results)), HASWELL).text
    assert text.count("define internal") == 1


def test_an_operand_of_a_product_that_its_epilogue_copies() -> None:
    b = Builder()
    row, w = _param(b, 8), _param(b, 8, 8)
    repeated = b.broadcast_in_dim(row, (8, 8), (1,))
    y = b.add(b.dot_general(repeated, w, (), (), (1,), (0,)), repeated)
    number = b.constant(2.0, "float32")
    z = b.multiply(b.dot_general(number, _param(b), (), (), (), ()), number)
    fn = b.function(y, z)
    check(fn, _arrays(fn), fuse=True)


def test_padding_of_dims_of_one_element() -> None:
    b = Builder()
    x = _param(b, batch, 1, 1, 2)
    fn = b.function(b.pad(x, b.constant(0.5, "float32"), (0, 3, 0, 0), (0, 1, 3, 0), (0,) * 4))
    check(fn, _arrays(fn, batch=3))


def test_counters_of_one_element_are_other_kernels() -> None:
    b = Builder()
    x = _param(b, batch)
    counters = [((batch, 1), 1), ((batch,), 0), ((1, batch), 1), ((1, batch), 0)]
    fn = b.function(x, *[b.iota(shape, dim, "int32") for shape, dim in counters])
    check(fn, _arrays(fn, batch=5))


@pytest.mark.parametrize("rows", [256, 1024])
def test_tiles_of_a_weight_gradient_are_wide(rows: int) -> None:
    """What a tile streams again, A or panels of B, serves at least 256 columns or rows."""
    b = Builder()
    x, y = _param(b, batch, 128, rows), _param(b, batch, 128, 1280 - rows)
    op = b.dot_general(x, y, (), (), (0, 1), (0, 1)).op
    assert isinstance(op, DotGeneral)
    product = Product.of(op, host(), "")
    shape = product.spec.shape(host())
    unit = shape.rows if product.spec.split == "rows" else shape.columns
    assert 256 <= product.units * unit < 256 + unit
    assert product.spec.long
    assert not direct_a(product.spec, host())


@pytest.mark.parametrize(("k", "columns"), [(256, 32), (512, 256)])
def test_tiles_are_wide_where_each_packs_its_rows(k: int, columns: int) -> None:
    """Of 512 columns; one panel of this many operations would be enough for a tile."""
    b = Builder()
    x, y = _param(b, k, 1024), _param(b, k, 512)
    op = b.dot_general(x, y, (), (), (0,), (0,)).op
    assert isinstance(op, DotGeneral)
    target = replace(SKYLAKE512, l2=1 << 22)
    product = Product.of(op, target, "")
    assert direct_a(product.spec, target) == (columns == 32)
    assert product.units * product.spec.shape(target).columns == columns


@pytest.mark.parametrize(("turned", "asked"), [(False, True), (True, False)])
def test_what_an_epilogue_reads_is_asked_for(turned: bool, asked: bool) -> None:
    """An array that lies as the result does; the sums alone, or another order, need no such."""
    b = Builder()
    x, y = _param(b, batch, 48), _param(b, 48, 70)
    z = _param(b, *((70, batch) if turned else (batch, 70)))
    product = b.dot_general(x, y, (), (), (1,), (0,))
    fn = _fused(b.function(b.erf(b.add(product, b.transpose(z, (1, 0)) if turned else z))))
    assert ("@llvm.prefetch" in lower(fn, host()).text) == asked
    check(fn, _arrays(fn, batch=19), 1e-5)  # erf sees the rounding of sums some 60 large


@pytest.mark.parametrize("dtype", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("height", [7, symbol("height")])
@pytest.mark.parametrize("follow", [False, True])
def test_depthwise_convolutions_behind_a_loop(dtype: str, height: object, follow: bool) -> None:
    """Zeros of the padding are not what the loop makes of zero."""
    b = Builder()
    x = _param(b, batch, height, 6, 20, dtype=dtype)
    shift, w = _param(b, 20, dtype=dtype), _param(b, 3, 3, 1, 20, dtype=dtype)
    loop = Builder()
    inner = [loop.param(label, v.type) for label, v in (("x", x), ("shift", shift))]
    moved = loop.add(inner[0], loop.broadcast_in_dim(inner[1], x.shape, (3,)))
    made = loop.maximum(moved, loop.splat(0.5, x.type))
    kernel = loop.param("w", w.type)
    once = ((1, 1), (1, 1))
    y = loop.convolution(
        made, kernel, "b01f_01io->b01f", (2, 1), once, *once, (False, False), 20, 1
    )
    if follow:
        y = loop.multiply(y, loop.broadcast_in_dim(inner[1], y.shape, (3,)))
    fn = b.function(b.append(Fusion((x, shift, w), loop.function(y)))[0])
    for n, rows in ((1, 7), (3, 7 if height == 7 else 4)):
        check(fn, _arrays(fn, batch=n, height=rows))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_gradient_of_a_depthwise_kernel_behind_a_loop(dtype: str) -> None:
    b = Builder()
    x, dy = (_param(b, batch, 7, 6, 20, dtype=dtype) for _ in "xy")
    shift = _param(b, 20, dtype=dtype)
    loop = Builder()
    inner = [loop.param(label, v.type) for label, v in (("x", x), ("shift", shift), ("dy", dy))]
    made = loop.exponential(loop.add(inner[0], loop.broadcast_in_dim(inner[1], x.shape, (3,))))
    once = ((1, 1), (1, 1))
    dw = loop.convolution(
        made, inner[2], "f01b_i01o->01bf", (1, 1), once, *once, (False, False), 1, 20
    )
    fn = b.function(b.append(Fusion((x, shift, dy), loop.function(dw)))[0])
    for n in (1, 5):
        check(fn, _arrays(fn, batch=n), 1e-2 if dtype == "bfloat16" else 1e-5)
