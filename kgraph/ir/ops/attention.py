"""Attention as one op."""

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
_NEVER = -0.7 * float(np.finfo(np.float32).max)


class Attention(Op):
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

    q: Value
    k: Value
    v: Value
    mask: tuple[Value, ...]
    scale: float
    causal: bool

    def infer(self) -> TensorType:
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
        self._check_mask()
        return q.with_shape((*q.shape[:3], v.shape[3]))

    def _check_mask(self) -> None:
        scores = self._scores_shape
        for m in self.mask:
            fits = m.type.rank == 4 and all(
                n in (1, size) for n, size in zip(m.shape, scores, strict=True)
            )
            if len(self.mask) > 1 or m.dtype != "bool" or not fits:
                got = ", ".join(str(m.type) for m in self.mask)
                want = TensorType(scores, "bool")
                raise self.error("C3", f"`mask` must be one that broadcasts to {want}; got {got}")

    @property
    def _scores_shape(self) -> Shape:
        batch, time, heads, _ = self.q.shape
        return batch, heads, time, self.k.shape[1]

    def reference(self, q: Array, k: Array, v: Array, *mask: Array) -> Array:
        queries, keys, values = [x.astype(np.float64).transpose(0, 2, 1, 3) for x in (q, k, v)]
        scores = queries @ keys.transpose(0, 1, 3, 2) * self.scale
        if self.causal:
            scores = np.where(np.tri(*scores.shape[2:], dtype=np.bool_), scores, _NEVER)
        for m in mask:
            scores = np.where(m, scores, _NEVER)
        e = np.exp(scores - scores.max(axis=-1, keepdims=True, initial=_NEVER))
        y: Array = e @ values / e.sum(axis=-1, keepdims=True)
        return y.transpose(0, 2, 1, 3).astype(q.dtype)

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
        scores = b.dot_general(q, k, (0, 2), (0, 2), (3,), (3,))
        scores = b.multiply(scores, b.splat(self.scale, scores.type))
        allowed = self._allowed(b)
        if allowed is not None:
            scores = b.select(allowed, scores, b.splat(_NEVER, scores.type))
        weights: Value = b.softmax(scores, 3)
        return weights

    def decompose(self, b: Builder) -> Value:
        weights = b.cast(self._weights(b), self.v.dtype)
        y = b.dot_general(weights, self.v, (0, 1), (0, 2), (3,), (1,))
        result: Value = b.transpose(y, (0, 2, 1, 3))
        return result

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """The weights once more; what softmax's gradient takes out is the sum of g * result."""
        g, dtype = grads[0], self.q.dtype
        assert g is not None
        weights = self._weights(b)
        wide = widened(b, g)
        of_weights = b.dot_general(wide, widened(b, self.v), (0, 2), (0, 2), (3,), (3,))
        mean = b.reduce(b.multiply(wide, widened(b, self.result)), "sum", (3,))
        mean = spread(b, b.transpose(mean, (0, 2, 1)), weights, (3,))
        of_scores = b.multiply(b.subtract(of_weights, mean), weights)
        allowed = self._allowed(b)
        if allowed is not None:
            of_scores = b.select(allowed, of_scores, b.splat(0, weights.type))
        of_scores = b.multiply(of_scores, b.splat(self.scale, weights.type))
        narrow = b.cast(of_scores, dtype)
        gq = b.dot_general(narrow, self.k, (0, 1), (0, 2), (3,), (1,))
        gk = b.dot_general(narrow, self.q, (0, 1), (0, 2), (2,), (1,))
        gv = b.dot_general(b.cast(weights, dtype), g, (0, 1), (0, 2), (2,), (1,))
        swapped = [b.transpose(x, (0, 2, 1, 3)) for x in (gq, gk, gv)]
        return (*swapped, *[None for _ in self.mask])

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        q, k, v, *mask = carried
        if all(d is None for d in carried):
            return (All(),)
        if (q, k, v) != (0, 0, 0) or any(d not in (None, 0) for d in mask):
            return None
        return (Rows(0),)
