"""Distributions that are drawn by trial until every element has been accepted.

G. Marsaglia and W. W. Tsang, A Simple Method for Generating Gamma Variables (2000), with a key of
its own for each element, as in JAX. W. Hörmann, The Generation of Binomial Random Variates (1993).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from kgraph import ops
from kgraph.ir import numpy_dtype
from kgraph.ops._creation import shape_of
from kgraph.ops._trace import context_of
from kgraph.random.bits import key_words
from kgraph.random.distributions import float_dtype, floats_of_words, uniform
from kgraph.random.seed import draw_seed

__all__ = ["beta", "binomial", "gamma"]


def _words(k0: Any, k1: Any, counter: Any) -> tuple[Any, Any]:
    """The two words of each key at a counter."""
    context = context_of((k0, k1, counter))
    b = context.b
    first, second = context.lift(k0), context.lift(k1)
    low = ops.broadcast_to(counter, first.type.shape)
    found = b.threefry(first, second, b.splat(0, first.type), context_of((k0, low)).lift(low))
    return context.wrap(found[0]), context.wrap(found[1])


def _counter(n: int) -> Any:
    return np.asarray(n, np.uint32)


def _key_uniform(key: tuple[Any, Any], dtype: str) -> Any:
    """A float of [0, 1) for each key."""
    word0, word1 = _words(*key, _counter(0))
    context = context_of((word0, word1))
    return context.wrap(floats_of_words(context.b, context.lift(word0), context.lift(word1), dtype))


def _key_normal(key: tuple[Any, Any], dtype: str) -> Any:
    """A number of the normal distribution for each key."""
    low = np.nextafter(np.asarray(-1, numpy_dtype(dtype)), np.asarray(0, numpy_dtype(dtype)))
    unit = _key_uniform(key, dtype)
    u = ops.maximum(low, ops.add(ops.multiply(unit, np.asarray(1, low.dtype) - low), low))
    return ops.multiply(ops.erfinv(u), math.sqrt(2))


def _gamma(key: Any, alpha: Any, dtype: str, log_space: bool) -> Any:
    """A gamma variable, or its logarithm, for each element of `alpha` (of rank 1)."""
    count = alpha.shape[0]
    context = context_of((key, alpha))
    k0, k1 = (context.wrap(w) for w in key_words(context.b, context.lift(key, "uint32")))
    index = ops.cast(ops.arange(count), "uint32")
    keys = _words(ops.broadcast_to(k0, (count,)), ops.broadcast_to(k1, (count,)), index)
    boosted = ops.less(alpha, 1)
    raised = ops.where(boosted, alpha + 1, alpha)
    d = raised - 1 / 3
    c = (1 / 3) / ops.sqrt(d)
    first, last = _words(*keys, _counter(0)), _words(*keys, _counter(1))

    def wanting(x2: Any, v: Any, u: Any) -> Any:
        """Which samples are not accepted."""
        squeezed = u >= 1 - 0.0331 * (x2 * x2)
        return squeezed & (ops.log(u) >= x2 * 0.5 + d * ((1 - v) + ops.log(v)))

    def attempt(k0: Any, k1: Any, x2: Any, v: Any, u: Any) -> tuple[Any, ...]:
        active = wanting(x2, v, u)
        new = _words(k0, k1, _counter(0))
        x, root = _positive(_words(k0, k1, _counter(1)), c, active, dtype)
        drawn = _key_uniform(_words(k0, k1, _counter(2)), dtype)
        pairs = ((new[0], k0), (new[1], k1), (x * x, x2), (root * root * root, v), (drawn, u))
        return tuple(ops.where(active, a, b) for a, b in pairs)

    zeros = ops.zeros_like(alpha)
    found = ops.while_loop(
        lambda k0, k1, x2, v, u: ops.any(wanting(x2, v, u)),
        attempt,
        (*first, zeros, zeros + 1, zeros + 2),
    )
    v, unit = found[3], _key_uniform(last, dtype)
    if not log_space:
        return d * v * ops.where(boosted, ops.power(1 - unit, 1 / alpha), 1)
    logs = ops.log1p(-unit)
    boost = ops.where(boosted & (logs != 0), logs * (1 / alpha), 0)
    return ops.log(d) + ops.log(v) + boost


def _positive(key: tuple[Any, Any], c: Any, active: Any, dtype: str) -> tuple[Any, Any]:
    """Normal variables x, and 1 + c*x, which is above 0."""

    def again(k0: Any, k1: Any, x: Any, v: Any) -> tuple[Any, ...]:
        low = ops.less_equal(v, 0)
        new = _words(k0, k1, _counter(0))
        drawn = _key_normal(_words(k0, k1, _counter(1)), dtype)
        pairs = ((new[0], k0), (new[1], k1), (drawn, x), (1 + drawn * c, v))
        return tuple(ops.where(low, a, b) for a, b in pairs)

    zeros = ops.zeros_like(c)
    start = (*key, zeros, ops.where(active, zeros - 1, zeros + 1))
    found = ops.while_loop(lambda k0, k1, x, v: ops.any(ops.less_equal(v, 0)), again, start)
    return found[2], found[3]


def _flat(shape: Any, values: Any, dtype: str) -> Any:
    return ops.reshape(ops.broadcast_to(ops.cast(values, dtype), shape), (-1,))


def gamma(shape: Any, alpha: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers of the gamma distribution.

    Args:
        shape: the shape.
        alpha: the parameter, above 0; broadcasts to the shape.
        dtype: a float dtype, by default the configured one.
        seed: an int, a SeedGenerator, or None for the global generator.
    """
    name, sizes = float_dtype(dtype, "gamma"), shape_of(shape)
    key = draw_seed(seed)
    return ops.reshape(_gamma(key, _flat(sizes, alpha, name), name, log_space=False), sizes)


def beta(shape: Any, alpha: Any, beta: Any, dtype: Any = None, seed: Any = None) -> Any:
    """Numbers of the beta distribution.

    Args:
        shape: the shape.
        alpha, beta: the parameters, above 0; they broadcast to the shape.
        dtype: a float dtype, by default the configured one.
        seed: an int, a SeedGenerator, or None for the global generator.
    """
    name, sizes = float_dtype(dtype, "beta"), shape_of(shape)
    key = draw_seed(seed)
    first, second = (_child(key, i) for i in (0, 1))
    x = _gamma(first, _flat(sizes, alpha, name), name, log_space=True)
    y = _gamma(second, _flat(sizes, beta, name), name, log_space=True)
    top = ops.maximum(x, y)
    x, y = ops.exp(x - top), ops.exp(y - top)
    return ops.reshape(x / (x + y), sizes)


def _child(key: Any, number: int) -> Any:
    """A new key made of one."""
    context = context_of((key,))
    k0, k1 = (context.wrap(w) for w in key_words(context.b, context.lift(key, "uint32")))
    return ops.stack(_words(k0, k1, _counter(number)))


def binomial(
    shape: Any, counts: Any, probabilities: Any, dtype: Any = None, seed: Any = None
) -> Any:
    """How many of `counts` trials succeed.

    Args:
        shape: the shape.
        counts: the numbers of trials; broadcast to the shape.
        probabilities: of success, between 0 and 1; broadcast to the shape.
        dtype: a float dtype, by default the configured one.
        seed: an int, a SeedGenerator, or None for the global generator.
    """
    name, sizes = float_dtype(dtype, "binomial"), shape_of(shape)
    key = draw_seed(seed)
    count = ops.floor(ops.broadcast_to(ops.cast(counts, name), sizes))
    chance = ops.broadcast_to(ops.cast(probabilities, name), sizes)
    rare = chance < 0.5
    q = ops.where(rare, chance, 1 - chance)
    few = count * q <= 10
    small = _by_waiting(key, ops.where(few, count, 0), q)
    large = _by_rejection(key, ops.where(few, 1e4, count), ops.where(few, 0.5, q))
    found = ops.where(few, small, large)
    return ops.where(rare, found, count - found)


def _by_waiting(key: Any, count: Any, q: Any) -> Any:
    """Adds up the geometric waiting times between successes."""

    def more(key: Any, found: Any, waited: Any) -> tuple[Any, ...]:
        found = ops.where(waited <= count, found + 1, found)
        u = uniform(count.shape, dtype=count.dtype, seed=_child(key, 0))
        return _child(key, 1), found, waited + ops.ceil(ops.log(u) / ops.log1p(-q))

    zeros = ops.zeros_like(q)
    result = ops.while_loop(
        lambda key, found, waited: ops.any(waited <= count), more, (key, zeros, zeros)
    )
    return result[1] - 1


def _by_rejection(key: Any, count: Any, q: Any) -> Any:
    """Hörmann's transformed rejection, for many expected successes."""
    deviation = ops.sqrt(count * q * (1 - q))
    b = 1.15 + 2.53 * deviation
    a = -0.0873 + 0.0248 * b + 0.01 * q
    odds, alpha = q / (1 - q), (2.83 + 5.1 / b) * deviation
    mode = ops.floor((count + 1) * q)

    def attempt(key: Any, found: Any, accepted: Any) -> tuple[Any, ...]:
        u, v = (uniform(count.shape, dtype=count.dtype, seed=_child(key, i)) for i in (1, 2))
        u = u - 0.5
        us = 0.5 - ops.absolute(u)
        k = ops.floor((2 * a / us + b) * u + (count * q + 0.5))
        inside = (k >= 0) & (k <= count)
        bound = (
            (mode + 0.5) * ops.log((mode + 1) / (odds * (count - mode + 1)))
            + (count + 1) * ops.log((count - mode + 1) / (count - k + 1))
            + (k + 0.5) * ops.log(odds * (count - k + 1) / (k + 1))
            + _stirling_tail(mode)
            + _stirling_tail(count - mode)
            - _stirling_tail(k)
            - _stirling_tail(count - k)
        )
        near = (us >= 0.07) & (v <= 0.92 - 4.2 / b)
        good = near | (inside & (ops.log(v * alpha / (a / (us * us) + b)) <= bound))
        return _child(key, 0), ops.where(good, k, found), accepted | good

    start = (key, ops.zeros_like(q) - 1, ops.zeros_like(q, "bool"))
    return ops.while_loop(lambda key, found, done: ~ops.all(done), attempt, start)[1]


def _stirling_tail(k: Any) -> Any:
    """What Stirling's formula lacks of log(k!): exact up to 9, then a series."""
    exact = [
        math.lgamma(n + 1) - (0.5 * math.log(2 * math.pi) + (n + 0.5) * math.log(n + 1) - (n + 1))
        for n in range(10)
    ]
    near = ops.clip(k, 0, 9)
    table = np.asarray(
        exact, numpy_dtype(near.dtype if isinstance(near.dtype, str) else near.dtype.name)
    )
    square = (near + 1) * (near + 1)
    series = (1 / 12 - (1 / 360 - 1 / 1260 / square) / square) / (near + 1)
    return ops.where(k <= 9, ops.take(table, ops.cast(ops.floor(near), "int32")), series)
