"""Where elements are equal or NaN: who is chosen, in the op and in the gradients."""

from __future__ import annotations

import numpy as np
import pytest

from kgraph.ir import Array, Builder, TensorType, evaluate
from kgraph.passes.autodiff import gradients

NAN = np.nan


def test_the_first_of_equal_elements_is_chosen() -> None:
    b = Builder()
    x = b.param("x", TensorType((1, 4), "float64"))
    source = b.param("source", TensorType((1, 2), "float64"))
    window = ((1, 2), (1, 2), ((0, 0), (0, 0)))
    fn = b.function(*[b.select_and_scatter(x, source, kind, *window) for kind in ("max", "min")])
    for row, most, least in [
        ([1, 1, 2, 2], [5, 0, 7, 0], [5, 0, 7, 0]),
        ([1, 2, 2, 1], [0, 5, 7, 0], [5, 0, 0, 7]),
        ([NAN, 9, 9, NAN], [5, 0, 0, 7], [5, 0, 0, 7]),
        ([NAN, NAN, -np.inf, np.inf], [5, 0, 0, 7], [5, 0, 7, 0]),
        ([-np.inf, -np.inf, 0.0, -0.0], [5, 0, 7, 0], [5, 0, 7, 0]),
    ]:
        found = evaluate(fn, [np.array([row], float), np.array([[5.0, 7.0]])])
        np.testing.assert_array_equal(found[0], [most], err_msg=str(row))
        np.testing.assert_array_equal(found[1], [least], err_msg=str(row))


def test_padding_is_never_chosen() -> None:
    b = Builder()
    x = b.param("x", TensorType((2,), "float64"))
    source = b.param("source", TensorType((3,), "float64"))
    fn = b.function(b.select_and_scatter(x, source, "max", (2,), (1,), ((1, 1),)))
    (found,) = evaluate(fn, [np.array([-np.inf, -np.inf]), np.array([1.0, 10.0, 100.0])])
    np.testing.assert_array_equal(found, [11.0, 100.0])


@pytest.mark.parametrize("kind", ["max", "min"])
@pytest.mark.parametrize("padding", [((0, 0), (0, 0)), ((1, 1), (0, 1)), ((-1, 2), (1, 0))])
def test_the_second_gradient_reads_what_the_first_wrote(
    kind: str, padding: tuple[tuple[int, int], ...]
) -> None:
    """<scatter(x, s), c> is <s, gradient of it by s>, with ties and NaN in x."""
    random = np.random.default_rng(3)
    values = random.choice([0.0, 1.0, 2.0, NAN], (6, 5))
    b = Builder()
    x = b.param("x", TensorType(values.shape, "float64"))
    probe = b.reduce_window(x, kind, (3, 2), (2, 1), padding, (1, 1), (1, 1))
    source = b.param("source", probe.type)
    c = b.param("c", x.type)
    y = b.select_and_scatter(x, source, kind, (3, 2), (2, 1), padding)
    loss = b.reduce(b.multiply(y, c), "sum", (0, 1))
    fn = b.function(loss, *gradients(b, loss, [source]))
    shape = [int(n) for n in probe.shape]
    s, weights = random.standard_normal(shape), random.standard_normal(values.shape)
    total, slope = evaluate(fn, [values, s, weights])
    np.testing.assert_allclose(np.sum(s * slope), total, rtol=1e-12)


def _gradient_of(build: object, x: Array) -> Array:
    b = Builder()
    p = b.param("x", TensorType(x.shape, "float64"))
    y = build(b, p)  # type: ignore[operator]  # a function
    weights = b.constant(np.arange(1.0, 1.0 + y.type.size).reshape(y.shape))
    loss = b.reduce(b.multiply(y, weights), "sum", tuple(range(y.type.rank)))
    return evaluate(b.function(*gradients(b, loss, [p])), [x])[0]


def test_equal_elements_of_a_sort_keep_their_places() -> None:
    x = np.array([2.0, 1.0, 2.0, 1.0])
    up = _gradient_of(lambda b, x: b.sort((x,), 0, 1, False), x)
    down = _gradient_of(lambda b, x: b.sort((x,), 0, 1, True), x)
    top = _gradient_of(lambda b, x: b.top_k(x, 3)[0], x)
    np.testing.assert_array_equal(up, [3, 1, 4, 2])
    np.testing.assert_array_equal(down, [1, 3, 2, 4])
    np.testing.assert_array_equal(top, [1, 3, 2, 0])


def test_equal_maxima_of_a_scatter_share() -> None:
    def build(b: Builder, x: object) -> object:
        rows = b.constant(np.array([[0], [0], [2]], np.int32))
        base = b.constant(np.array([1.0, 5.0, 1.0]))
        return b.scatter(base, rows, x, "max", (), (0,), (0,), 1)

    found = _gradient_of(build, np.array([3.0, 3.0, 1.0]))
    np.testing.assert_array_equal(found, [0.5, 0.5, 1.5])
