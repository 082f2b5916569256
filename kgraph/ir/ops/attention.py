"""Attention as one op, and its gradient as another."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import Shape
from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.locality import All, Locality, Rows
from kgraph.ir.ops.neural import spread, widened
from kgraph.ir.types import TensorType, is_float

if TYPE_CHECKING:
    from kgraph.ir.build import Builder

# The score of what must not be looked at: finite, so that a query that may look at nothing looks
# at everything alike, and gives no NaN.
NEVER = -0.7 * float(np.finfo(np.float32).max)


class _Attends(Op, abstract=True):
    """What attention and its gradient share: the operands, and the weights made of them."""

    q: Value
    k: Value
    v: Value
    mask: tuple[Value, ...]
    scale: float
    causal: bool

    def _check(self) -> None:
        q, k, v = self.q.type, self.k.type, self.v.type
        got = f"got q: {q}, k: {k}, v: {v}"
        if not is_float(q.dtype) or {k.dtype, v.dtype} != {q.dtype}:
            raise self.error("C1", f"q, k and v must be of one float dtype; {got}")
        if (q.rank, k.rank, v.rank) != (4, 4, 4):
            raise self.error("C1", f"q, k and v must be of rank 4; {got}")
        batch, _, heads, size = q.shape
        span = k.shape[1]
        if k.shape != (batch, span, heads, size) or v.shape[:3] != (batch, span, heads):
            raise self.error(
                "C2",
                "expected q: [batch, time, heads, size], k: [batch, span, heads, size] "
                f"and v: [batch, span, heads, width]; {got}",
            )
        scores = self._scores_shape
        for m in self.mask:
            fits = m.type.rank == 4 and all(
                n in (1, size) for n, size in zip(m.shape, scores, strict=True)
            )
            if len(self.mask) > 1 or m.dtype != "bool" or not fits:
                types = ", ".join(str(m.type) for m in self.mask)
                want = TensorType(scores, "bool")
                raise self.error("C3", f"`mask` must be one that broadcasts to {want}; got {types}")

    @property
    def _scores_shape(self) -> Shape:
        batch, time, heads, _ = self.q.shape
        return batch, heads, time, self.k.shape[1]

    def _reference_allowed(self, mask: tuple[Array, ...], shape: tuple[int, ...]) -> Array:
        """Which query may look at which key."""
        found = np.ones(shape, np.bool_)
        if self.causal:
            found &= np.tri(*shape[2:], dtype=np.bool_)
        for m in mask:
            found &= m
        return found

    def _reference_weights(self, q: Array, k: Array, *mask: Array) -> tuple[Array, Array]:
        """The softmax of the scores of float64 [batch, heads, time, size], and what is allowed."""
        scores = q @ k.transpose(0, 1, 3, 2) * self.scale
        allowed = self._reference_allowed(mask, scores.shape)
        scores = np.where(allowed, scores, NEVER)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=NEVER))
        weights: Array = e / e.sum(axis=-1, keepdims=True)
        return weights, allowed

    def _allowed(self, b: Builder) -> Value | None:
        """Which query may look at which key; None for every."""
        shape = self._scores_shape
        found: Value | None = None
        if self.causal:
            found = b.compare(b.iota(shape, 2, "int32"), b.iota(shape, 3, "int32"), "GE")
        for m in self.mask:
            spread_mask = b.broadcast(m, shape, (0, 1, 2, 3))
            found = spread_mask if found is None else b.and_(found, spread_mask)
        return found

    def _weights(self, b: Builder) -> Value:
        """The softmax of the scores: [batch, heads, time, span]."""
        q, k = widened(b, self.q), widened(b, self.k)
        scores = _by_keys(b, q, k)
        scores = b.multiply(scores, b.splat(self.scale, scores.type))
        allowed = self._allowed(b)
        if allowed is not None:
            scores = b.select(allowed, scores, b.splat(NEVER, scores.type))
        weights: Value = b.softmax(scores, 3)
        return weights

    def _of_scores(self, b: Builder, gradient: Value) -> Value:
        """A gradient of scaled and masked scores, as one of the products of queries and keys."""
        allowed = self._allowed(b)
        if allowed is not None:
            gradient = b.select(allowed, gradient, b.splat(0, gradient.type))
        scaled: Value = b.multiply(gradient, b.splat(self.scale, gradient.type))
        return scaled

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        masks = carried[3 : 3 + len(self.mask)]
        others = (*carried[:3], *carried[3 + len(self.mask) :])
        if all(d is None for d in carried):
            return (All(),) * len(self.results)
        if any(d != 0 for d in others) or any(d not in (None, 0) for d in masks):
            return None
        return (Rows(0),) * len(self.results)


class Attention(_Attends):
    """Each query's mean of the values, weighted by the softmax of `scale * (query . key)`.

    q is [batch, time, heads, size], k [batch, span, heads, size], v [batch, span, heads, width];
    the result is [batch, time, heads, width]. Where `mask` (one operand or none) is False, the
    query must not look at the key; where `causal`, it looks at keys of its own index and below
    only. A query that may look at no key gets the mean of all values. Of 16-bit floats the scores
    and their softmax are float32.

    C1  q, k and v are of one float dtype and of rank 4.
    C2  The sizes of q, k and v fit: batch, heads, size, span.
    C3  `mask` has at most one operand, bools of rank 4, of size 1 or that of
        [batch, heads, time, span] in each dim.
    """

    def infer(self) -> TensorType:
        self._check()
        return self.q.type.with_shape((*self.q.shape[:3], self.v.shape[3]))

    def reference(self, q: Array, k: Array, v: Array, *mask: Array) -> Array:
        queries, keys, values = [_heads_first(x) for x in (q, k, v)]
        weights, _ = self._reference_weights(queries, keys, *mask)
        return _heads_first(weights @ values).astype(q.dtype)

    def decompose(self, b: Builder) -> Value:
        return _sum_of_keys(b, b.cast(self._weights(b), self.v.dtype), self.v)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        (g,) = grads
        assert g is not None
        found = b.attention_grad(
            self.q, self.k, self.v, self.mask, self.scale, self.causal, self.result, g
        )
        return (*found, *[None for _ in self.mask])


class AttentionGrad(_Attends):
    """The gradients of q, k and v of `attention`, whose result y has the gradient g.

    Softmax's gradient takes out the sum of g * y, so y is an operand; the weights are computed once
    more. Of 16-bit floats the gradients of the scores are float32 until they are multiplied.

    C1  q, k and v are of one float dtype and of rank 4.
    C2  The sizes of q, k and v fit: batch, heads, size, span.
    C3  `mask` has at most one operand, bools of rank 4, of size 1 or that of
        [batch, heads, time, span] in each dim.
    C4  y and g are [batch, time, heads, width], of the dtype of q.
    """

    y: Value
    g: Value

    def infer(self) -> tuple[TensorType, ...]:
        self._check()
        want = self.q.type.with_shape((*self.q.shape[:3], self.v.shape[3]))
        if self.y.type is not want or self.g.type is not want:
            got = f"{self.y.type} and {self.g.type}"
            raise self.error("C4", f"y and g must be {want}; got {got}")
        return self.q.type, self.k.type, self.v.type

    def reference(self, *operands: Array) -> tuple[Array, ...]:
        dtype = operands[0].dtype
        *mask, y, g = operands[3:]
        q, k, v, y, g = [_heads_first(x) for x in (*operands[:3], y, g)]
        weights, allowed = self._reference_weights(q, k, *mask)
        of_weights = g @ v.transpose(0, 1, 3, 2) - (g * y).sum(axis=-1, keepdims=True)
        of_scores = np.where(allowed, weights * of_weights, 0) * self.scale
        turned = of_scores.transpose(0, 1, 3, 2)
        found = (of_scores @ k, turned @ q, weights.transpose(0, 1, 3, 2) @ g)
        return tuple([_heads_first(x).astype(dtype) for x in found])

    def _apart(self, b: Builder, weights: Value) -> Value:
        """The gradient of the weights, less what softmax's gradient takes out."""
        g = widened(b, self.g)
        mean = b.reduce(b.multiply(g, widened(b, self.y)), "sum", (3,))
        mean = spread(b, b.transpose(mean, (0, 2, 1)), weights, (3,))
        apart: Value = b.subtract(_by_keys(b, g, widened(b, self.v)), mean)
        return apart

    def decompose(self, b: Builder) -> tuple[Value, ...]:
        dtype, weights = self.q.dtype, self._weights(b)
        of_scores = self._of_scores(b, b.multiply(self._apart(b, weights), weights))
        narrow = b.cast(of_scores, dtype)
        gq = _sum_of_keys(b, narrow, self.k)
        gk, gv = (
            _sum_of_queries(b, x, y)
            for x, y in ((narrow, self.q), (b.cast(weights, dtype), self.g))
        )
        return gq, gk, gv

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """Of `of_scores = weights * apart`: what reaches it, and from there all operands."""
        q, k, v, y, g = [widened(b, x) for x in (self.q, self.k, self.v, self.y, self.g)]
        zero = {x: b.splat(0, x.type) for x in (q, k, v)}
        hq, hk, hv = (
            zero[x] if h is None else widened(b, h) for x, h in zip((q, k, v), grads, strict=True)
        )
        weights = self._weights(b)
        apart = self._apart(b, weights)
        of_scores = self._of_scores(b, b.multiply(apart, weights))
        reached = self._of_scores(b, b.add(_by_keys(b, hq, k), _by_keys(b, q, hk)))
        of_apart = b.multiply(reached, weights)
        of_weights = b.add(b.multiply(reached, apart), _by_keys(b, g, hv))
        mean = b.reduce(b.multiply(of_weights, weights), "sum", (3,))
        rest = b.subtract(of_weights, spread(b, mean, weights, (3,)))
        rest = self._of_scores(b, b.multiply(rest, weights))
        taken = b.transpose(b.negate(b.reduce(of_apart, "sum", (3,))), (0, 2, 1))
        taken = spread(b, taken, y, (3,))
        found = {
            "q": b.add(_sum_of_keys(b, rest, k), _sum_of_keys(b, of_scores, hk)),
            "k": b.add(_sum_of_queries(b, rest, q), _sum_of_queries(b, of_scores, hq)),
            "v": _sum_of_queries(b, of_apart, g),
            "y": b.multiply(taken, g),
            "g": b.add(
                b.add(_sum_of_keys(b, of_apart, v), _sum_of_keys(b, weights, hv)),
                b.multiply(taken, y),
            ),
        }
        gq, gk, gv, gy, gg = [b.cast(x, self.q.dtype) for x in found.values()]
        return (gq, gk, gv, *[None for _ in self.mask], gy, gg)


def _heads_first(x: Array) -> Array:
    """[batch, time, heads, size] as [batch, heads, time, size] in float64, or back."""
    return x.astype(np.float64).transpose(0, 2, 1, 3)


def _by_keys(b: Builder, x: Value, y: Value) -> Value:
    """Each row of x times each of y, head by head: [batch, heads, rows of x, rows of y]."""
    products: Value = b.dot_general(x, y, (0, 2), (0, 2), (3,), (3,))
    return products


def _sum_of_keys(b: Builder, weights: Value, x: Value) -> Value:
    """The rows of x, one per key, weighted for each query."""
    found: Value = b.transpose(b.dot_general(weights, x, (0, 1), (0, 2), (3,), (1,)), (0, 2, 1, 3))
    return found


def _sum_of_queries(b: Builder, weights: Value, x: Value) -> Value:
    """The rows of x, one per query, weighted for each key."""
    found: Value = b.transpose(b.dot_general(weights, x, (0, 1), (0, 2), (2,), (1,)), (0, 2, 1, 3))
    return found
