"""The attention kernels at sizes that fill panels, tiles and chunks of queries, or do not."""

from __future__ import annotations

import numpy as np
import pytest

from kgraph.codegen.llvm.target import Target
from kgraph.ir import Array, Builder, Function, TensorType, evaluate, symbol
from tests.codegen.llvm.lowered import assert_like, native, run
from tests.codegen.llvm.native import targets

all_targets = pytest.mark.parametrize("target", targets(), ids=lambda target: target.name)

# batch, queries, keys, heads, elements of a key and of a value
SIZES = [(2, 150, 70, 3, 33, 40), (1, 16, 64, 2, 32, 64), (1, 7, 1, 1, 1, 1), (1, 20, 600, 1, 5, 3)]


def step(
    sizes: tuple[int, ...], mask: tuple[int, ...] | None, causal: bool, symbolic: bool = False
) -> Function:
    """Attention and its gradient; of symbolic length, queries are as many as keys."""
    batch, time, span, heads, size, width = sizes
    long = symbol("time") if symbolic else time
    keys = symbol("time") if symbolic else span
    b = Builder()
    q, k, v, g = (
        b.param(label, TensorType(shape, "float32"))
        for label, shape in {
            "q": (batch, long, heads, size),
            "k": (batch, keys, heads, size),
            "v": (batch, keys, heads, width),
            "g": (batch, long, heads, width),
        }.items()
    )
    masks = () if mask is None else (b.param("mask", TensorType(mask, "bool")),)
    y = b.attention(q, k, v, masks, 0.3, causal)
    return b.function(y, *b.attention_grad(q, k, v, masks, 0.3, causal, y, g))


def arrays(fn: Function, **sizes: int) -> list[Array]:
    random = np.random.default_rng(0)
    found = []
    for p in fn.params:
        shape = [n if isinstance(n, int) else sizes["time"] for n in p.shape]
        made = random.normal(size=shape)
        found.append(made > -1 if p.dtype == "bool" else made.astype(p.dtype))
    return found


def check(fn: Function, target: Target, given: list[Array]) -> None:
    assert_like(run(native(fn, target), fn, given), evaluate(fn, given), 3e-6)


@all_targets
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_sizes(target: Target, sizes: tuple[int, ...], causal: bool) -> None:
    fn = step(sizes, None, causal)
    check(fn, target, arrays(fn))


def test_causal_queries_do_not_touch_what_lies_far_behind_them() -> None:
    """Of keys that no query of a tile looks at, nothing is read."""
    fn = step((1, 64, 64, 1, 8, 8), None, True)
    given = arrays(fn)
    clean = run(native(fn), fn, given)
    for x in given[1:3]:
        x[0, 63] = np.nan
    y, of_q, _, _ = run(native(fn), fn, given)
    np.testing.assert_array_equal(y[0, :48], clean[0][0, :48])
    np.testing.assert_array_equal(of_q[0, :48], clean[1][0, :48])


@all_targets
@pytest.mark.parametrize("mask", [None, (2, 1, 1, 70), (1, 3, 150, 1), (2, 3, 150, 70)], ids=str)
def test_masks(target: Target, mask: tuple[int, ...] | None) -> None:
    fn = step(SIZES[0], mask, causal=True)
    check(fn, target, arrays(fn))


@all_targets
@pytest.mark.parametrize("time", [3, 33, 130])
def test_a_length_that_is_not_known(target: Target, time: int) -> None:
    fn = step(SIZES[0], None, causal=True, symbolic=True)
    check(fn, target, arrays(fn, time=time))


def test_a_query_that_may_look_nowhere_sees_the_mean() -> None:
    fn = step((1, 3, 5, 1, 4, 4), (1, 1, 3, 5), False)
    q, k, v, g, mask = arrays(fn)
    mask[0, 0, 1] = False
    y, gq, _, _ = run(native(fn), fn, [q, k, v, g, mask])
    np.testing.assert_allclose(y[0, 1, 0], v[0, :, 0].mean(axis=0), rtol=1e-6)
    np.testing.assert_array_equal(gq[0, 1], np.zeros_like(gq[0, 1]))


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_row(number: float) -> None:
    """A query that is not finite spoils its own result only."""
    fn = step((1, 9, 40, 2, 8, 8), None, False)
    given = arrays(fn)
    clean = run(native(fn), fn, given)
    given[0][0, 4, 1, 3] = number
    y = run(native(fn), fn, given)[0]
    assert np.isnan(y[0, 4, 1]).all()
    y[0, 4, 1] = clean[0][0, 4, 1]
    np.testing.assert_array_equal(y, clean[0])
