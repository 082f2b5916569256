"""jit, grad and value_and_grad; control flow that programs run."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import kgraph
from kgraph import ops
from kgraph.ir import NotDifferentiableError
from kgraph.ops import TraceError, Variable

X = np.arange(6, dtype="float32").reshape(2, 3)


def test_decorators() -> None:
    @kgraph.jit
    def plain(x: Any) -> Any:
        """Doc."""
        return x + 1

    @kgraph.jit(name="other", symbolic_batch=False)
    def named(x: Any) -> Any:
        return x + 2

    assert plain(X)[0, 0] == 1
    assert plain.__doc__ == "Doc."
    assert named.name == "other"
    assert named(X)[0, 0] == 2


def test_structures_come_back() -> None:
    found = kgraph.jit(lambda x, s: {"a": [x, None], "b": (x * 2, s)})(X, "text")
    assert found["a"][1] is None
    assert found["b"][1] == "text"
    assert isinstance(found["b"], tuple)


def f(x: Any, y: Any) -> Any:
    return ops.sum(ops.sin(x) * y["a"] + ops.square(y["b"]))


def test_gradients_are_those_of_jax() -> None:
    y = {"a": X + 1, "b": X - 2}

    def g(x: Any, y: Any) -> Any:
        return jnp.sum(jnp.sin(x) * y["a"] + jnp.square(y["b"]))

    wanted = jax.grad(g, (0, 1))(X, y)
    both = kgraph.grad(f, (0, 1))
    for found in (both(X, y), kgraph.jit(both)(X, y)):
        np.testing.assert_allclose(found[0], wanted[0], 1e-6)
        np.testing.assert_allclose(found[1]["a"], wanted[1]["a"], 1e-6)
        np.testing.assert_allclose(found[1]["b"], wanted[1]["b"], 1e-6)
    value, gradient = kgraph.value_and_grad(lambda x: (ops.sum(x * x), x), has_aux=True)(X)
    assert value[0] == 55
    np.testing.assert_array_equal(gradient, 2 * X)
    gradient, aux = kgraph.grad(lambda x: (ops.sum(x * x), {"x": x}), has_aux=True)(X)
    np.testing.assert_array_equal(aux["x"], X)


def test_second_order() -> None:
    def cube(x: Any) -> Any:
        return ops.sum(x**3)

    twice = kgraph.grad(lambda x: ops.sum(kgraph.grad(cube)(x)))
    np.testing.assert_allclose(twice(X), 6 * X)
    np.testing.assert_allclose(kgraph.jit(twice)(X), 6 * X)


def test_what_a_function_closes_over_is_constant() -> None:
    def outer(x: Any) -> Any:
        return kgraph.grad(lambda y: ops.sum(y * ops.sin(x)))(x)

    np.testing.assert_allclose(kgraph.jit(outer)(X), np.sin(X), 1e-6)


def test_kinks_as_jax() -> None:
    x = np.array([-1.0, 0.0, 1.0, 6.0], "float32")
    pairs = [
        (ops.relu, jax.nn.relu), (ops.relu6, jax.nn.relu6), (ops.absolute, jnp.abs),
        (lambda x: ops.maximum(x, 0.0), lambda x: jnp.maximum(x, 0.0)),
        (lambda x: ops.clip(x, 0.0, 6.0), lambda x: jnp.clip(x, 0.0, 6.0)),
        (ops.leaky_relu, lambda x: jax.nn.leaky_relu(x, 0.2)), (ops.elu, jax.nn.elu),
        (ops.hard_tanh, jax.nn.hard_tanh), (ops.softplus, jax.nn.softplus), (ops.silu, jax.nn.silu),
        (lambda x: ops.max(x * 0), lambda x: jnp.max(x * 0)), (ops.logsumexp, jax.nn.logsumexp),
        (lambda x: ops.sort(x) * x, lambda x: jnp.sort(x) * x),
    ]  # fmt: skip
    for ours, theirs in pairs:
        found = kgraph.grad(lambda x, ours=ours: ops.sum(ours(x)))(x)
        wanted = jax.grad(lambda x, theirs=theirs: jnp.sum(theirs(x)))(x)
        np.testing.assert_allclose(found, wanted, 1e-5, 1e-6)


def test_no_gradient() -> None:
    with pytest.raises(NotDifferentiableError, match="scalar"):
        kgraph.grad(lambda x: x)(X)
    with pytest.raises(NotDifferentiableError, match="float"):
        kgraph.grad(lambda x: ops.sum(x))(np.arange(3))
    with pytest.raises(NotDifferentiableError, match=r"ops\.scan"):
        kgraph.grad(lambda x: ops.while_loop(lambda y: y < 9, lambda y: y * 2, x))(np.float32(1))
    with pytest.raises(TraceError, match=r"kgraph\.grad"):
        ops.gradients(X, [X])


def test_stop_gradient() -> None:
    found = kgraph.grad(lambda x: ops.sum(x * ops.stop_gradient(x)))(X)
    np.testing.assert_array_equal(found, X)


def run_both(function: Any, *args: Any) -> Any:
    """At once and traced; both must agree."""
    eager, compiled = function(*args), kgraph.jit(function)(*args)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, 1e-6), eager, compiled)
    return compiled


def test_cond() -> None:
    def choose(x: Any) -> Any:
        return ops.cond(ops.sum(x) > 0, lambda: (x * 2, 1), lambda: (-x, 0))

    assert run_both(choose, X)[0][1, 2] == 10
    assert run_both(choose, -X)[1] == 0
    gradient = kgraph.grad(lambda x: ops.sum(choose(x)[0]))
    assert run_both(gradient, X).tolist() == [[2, 2, 2], [2, 2, 2]]
    with pytest.raises(TypeError, match="same structure"):
        kgraph.jit(lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: (x, x)))(X)
    with pytest.raises(TypeError, match="result 0 of false_fn must be"):
        kgraph.jit(lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: x[0]))(X)


def test_switch() -> None:
    def pick(i: Any) -> Any:
        return ops.switch(i, [lambda y: y, lambda y: y * 2, lambda y: y * 3], 5.0)

    for i, wanted in ((-7, 5), (0, 5), (1, 10), (2, 15), (9, 15)):
        assert run_both(pick, np.int32(i)) == wanted


def test_while_loop() -> None:
    def double(x: Any) -> Any:
        return ops.while_loop(lambda i, y: i < 3, lambda i, y: (i + 1, y * 2), (0, x))

    assert run_both(double, X)[1][0, 1] == 8
    capped = run_both(
        lambda x: ops.while_loop(lambda y: y < 100, lambda y: y + 1, x, maximum_iterations=4),
        np.float32(1),
    )
    assert capped == 5
    with pytest.raises(TypeError, match="value 0 that the body gives"):
        kgraph.jit(lambda x: ops.while_loop(lambda y: ops.sum(y) < 1, lambda y: y[0], x))(X)


def test_fori_loop() -> None:
    assert run_both(lambda x: ops.fori_loop(1, 4, lambda i, y: y + i, x), np.float32(0)) == 6
    assert (
        run_both(
            lambda x, n: ops.fori_loop(0, n, lambda i, y: y + 1, x), np.float32(0), np.int32(5)
        )
        == 5
    )

    def rows(x: Any) -> Any:
        return ops.fori_loop(0, ops.shape(x)[0], lambda i, y: y + ops.take(x, i, 0), x[0] * 0)

    assert run_both(rows, X).tolist() == [3, 5, 7]
    found = kgraph.grad(lambda x: ops.sum(ops.fori_loop(0, 3, lambda i, y: y * x, x)))
    np.testing.assert_allclose(run_both(found, X), 4 * X**3)


@pytest.mark.parametrize("reverse", [False, True])
def test_scan(reverse: bool) -> None:
    def sums(x: Any) -> Any:
        return ops.scan(lambda c, r: (c + r, c * r), x[0] * 0, x, reverse=reverse)

    wanted = jax.lax.scan(lambda c, r: (c + r, c * r), X[0] * 0, X, reverse=reverse)
    jax.tree.map(np.testing.assert_array_equal, run_both(sums, X), wanted)
    found = run_both(kgraph.grad(lambda x: ops.sum(sums(x)[1])), X)

    def theirs(x: Any) -> Any:
        return jnp.sum(jax.lax.scan(lambda c, r: (c + r, c * r), x[0] * 0, x, reverse=reverse)[1])

    np.testing.assert_allclose(found, jax.grad(theirs)(X))


def test_map_and_associative_scan() -> None:
    assert run_both(lambda x: ops.map(lambda r: ops.sum(r), x), X).tolist() == [3, 12]
    assert run_both(lambda x: ops.vectorized_map(lambda r: r * 2, x), X)[1, 2] == 10
    x = np.arange(1, 8, dtype="float32")
    for reverse in (False, True):
        found = run_both(
            lambda x, r=reverse: ops.associative_scan(lambda a, b: a * b, x, reverse=r), x
        )
        np.testing.assert_allclose(
            found, jax.lax.associative_scan(jnp.multiply, x, reverse=reverse)
        )


def test_variables_in_loops_and_branches() -> None:
    v = Variable(0.0)

    def count(x: Any) -> Any:
        def body(c: Any, r: Any) -> Any:
            v.assign_add(1.0)
            return c + v, None

        ops.cond(ops.sum(x) > 0, lambda: v.assign(10.0), lambda: v.assign(20.0))
        return ops.scan(body, 0.0, x)[0]

    assert kgraph.jit(count)(X) == 11 + 12
    assert float(v) == 12
    assert kgraph.jit(count)(-X) == 21 + 22
    assert count(X) == 11 + 12
    step = kgraph.jit(
        lambda: ops.while_loop(lambda i: v < 20, lambda i: (v.assign_add(i), i)[1], 2.0)
    )
    step()
    assert float(v) == 20


def test_custom_gradient() -> None:
    @ops.custom_gradient
    def bounded(x: Any) -> Any:
        def grad(*args: Any, upstream: Any = None) -> Any:
            (slope,) = args if upstream is None else (upstream,)
            return ops.clip(slope, -1, 1)

        return x * 10, grad

    assert bounded(X)[1, 2] == 50
    found = run_both(kgraph.grad(lambda x: ops.sum(bounded(x) * 3)), X)
    assert found.tolist() == [[1, 1, 1], [1, 1, 1]]
    factor = np.float32(4)

    def closing(x: Any, y: Any) -> Any:
        @ops.custom_gradient
        def product(x: Any) -> Any:
            return x * y, lambda g: g * y * factor

        return ops.sum(product(x))

    np.testing.assert_array_equal(run_both(kgraph.grad(closing), X, X), 4 * X)


def test_jvp() -> None:
    def g(x: Any, y: Any) -> Any:
        return ops.sin(x) * y

    tangents = (X + 1, X - 2)
    wanted = jax.jvp(lambda x, y: jnp.sin(x) * y, (X, X), tangents)
    for found, value in zip(ops.jvp(g, (X, X), tangents), wanted, strict=True):
        np.testing.assert_allclose(found, value, 1e-5, 1e-6)
