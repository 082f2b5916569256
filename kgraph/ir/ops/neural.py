"""Higher ops on distributions: each one a definition by basic ops, and a gradient shorter than its.

They stay whole through tracing, differentiation and simplification; `decompose` is for backends
that have no kernel of theirs. 16-bit floats are computed in float32 and rounded once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from kgraph.ir.dims import product
from kgraph.ir.graph import Array, Op, Value
from kgraph.ir.locality import All, Combine, Locality, Rows
from kgraph.ir.ops.common import accumulator
from kgraph.ir.types import TensorType, dtype_name, is_float

if TYPE_CHECKING:
    from kgraph.ir.build import Builder


def widened(b: Builder, x: Value) -> Value:
    """x in the dtype that its sums run in."""
    return b.cast(x, dtype_name(accumulator(x.dtype)))


def spread(b: Builder, x: Value, like: Value, dims: tuple[int, ...]) -> Value:
    """The result of a reduction over `dims`, repeated to the shape of its operand."""
    kept = tuple([d for d in range(like.type.rank) if d not in dims])
    return b.broadcast(x, like.shape, kept)


class _Normalized(Op, abstract=True):
    """Softmax and its logarithm."""

    x: Value
    dim: int

    def infer(self) -> TensorType:
        t = self.x.type
        if not is_float(t.dtype):
            raise self.error("C1", f"x must be of floats; got {t}")
        if not 0 <= self.dim < t.rank:
            raise self.error("C2", f"`dim` must be a dim of x: {t}; got {self.dim}")
        return t

    def _shifted(self, b: Builder) -> tuple[Value, Value, Value]:
        """x less its maximum, the exponential of that, and the sum of those along `dim`."""
        x, dims = widened(b, self.x), (self.dim,)
        shifted = b.subtract(x, spread(b, b.reduce(x, "max", dims), x, dims))
        e = b.exponential(shifted)
        return shifted, e, b.reduce(e, "sum", dims)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        if d is None:
            return (All(),)
        return None if d == self.dim else (Rows(d),)


def _less_maximum(x: Array, dim: int) -> Array:
    wide: Array = x.astype(np.float64)
    less: Array = wide - wide.max(axis=dim, keepdims=True, initial=-np.inf)
    return less


class Softmax(_Normalized):
    """Exponentials along `dim`, divided by their sum; NaN where all are -inf or one is inf.

    C1  x is of floats.
    C2  `dim` is a dim of x.
    """

    def reference(self, x: Array) -> Array:
        e = np.exp(_less_maximum(x, self.dim))
        y: Array = e / e.sum(axis=self.dim, keepdims=True)
        return y.astype(x.dtype)

    def decompose(self, b: Builder) -> Value:
        _, e, total = self._shifted(b)
        # the sum is at least 1, so its reciprocal costs half an ulp and saves a division each
        share = b.divide(b.splat(1, total.type), total)
        return b.cast(b.multiply(e, spread(b, share, e, (self.dim,))), self.x.dtype)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        g, y = grads[0], widened(b, self.result)
        assert g is not None
        g = widened(b, g)
        mean = b.reduce(b.multiply(g, y), "sum", (self.dim,))
        gx = b.multiply(b.subtract(g, spread(b, mean, y, (self.dim,))), y)
        return (b.cast(gx, self.x.dtype),)


class LogSoftmax(_Normalized):
    """The logarithm of `softmax`, without its underflow.

    C1  x is of floats.
    C2  `dim` is a dim of x.
    """

    def reference(self, x: Array) -> Array:
        shifted = _less_maximum(x, self.dim)
        y: Array = shifted - np.log(np.exp(shifted).sum(axis=self.dim, keepdims=True))
        return y.astype(x.dtype)

    def decompose(self, b: Builder) -> Value:
        shifted, _, total = self._shifted(b)
        y = b.subtract(shifted, spread(b, b.log(total), shifted, (self.dim,)))
        return b.cast(y, self.x.dtype)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        g, y = grads[0], widened(b, self.result)
        assert g is not None
        g = widened(b, g)
        total = spread(b, b.reduce(g, "sum", (self.dim,)), y, (self.dim,))
        return (b.cast(b.subtract(g, b.multiply(b.exponential(y), total)), self.x.dtype),)


def _count(b: Builder, x: Value, dims: tuple[int, ...]) -> Value:
    """How many elements of x a reduction over `dims` combines, in its dtype."""
    size = product(x.shape[d] for d in dims)
    if isinstance(size, int):
        return b.constant(size, x.dtype)
    count: Value = b.dim_size(size, x.dtype)
    return count


def _over(b: Builder, x: Value, count: Value) -> Value:
    quotient: Value = b.divide(x, b.broadcast(count, x.shape))
    return quotient


class Moments(Op):
    """Mean and variance along `dims`, which vanish: `mean(x)` and `mean((x - mean(x))**2)`.

    Of no elements both are NaN.

    C1  x is of floats.
    C2  `dims` ascends and names dims of x.
    """

    x: Value
    dims: tuple[int, ...]

    def infer(self) -> tuple[TensorType, TensorType]:
        t, dims = self.x.type, self.dims
        if not is_float(t.dtype):
            raise self.error("C1", f"x must be of floats; got {t}")
        if list(dims) != sorted({d for d in dims if 0 <= d < t.rank}):
            raise self.error("C2", f"`dims` must ascend and name dims of x: {t}; got {dims}")
        y = t.with_shape(tuple([n for d, n in enumerate(t.shape) if d not in dims]))
        return y, y

    def reference(self, x: Array) -> tuple[Array, Array]:
        mean, variance = _moments(x, self.dims)
        shape = [n for d, n in enumerate(x.shape) if d not in self.dims]
        return mean.reshape(shape).astype(x.dtype), variance.reshape(shape).astype(x.dtype)

    def decompose(self, b: Builder) -> tuple[Value, Value]:
        x, dims = widened(b, self.x), self.dims
        count = _count(b, x, dims)
        mean = _over(b, b.reduce(x, "sum", dims), count)
        apart = b.subtract(x, spread(b, mean, x, dims))
        variance = _over(b, b.reduce(b.multiply(apart, apart), "sum", dims), count)
        return b.cast(mean, self.x.dtype), b.cast(variance, self.x.dtype)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """The variance does not depend on the mean to first order: deviations sum to zero."""
        x, dims = widened(b, self.x), self.dims
        count = _count(b, x, dims)
        of_mean, of_variance = [None if g is None else widened(b, g) for g in grads]
        gx: Value | None = None
        if of_mean is not None:
            gx = spread(b, _over(b, of_mean, count), x, dims)
        if of_variance is not None:
            mean, _ = b.moments(x, dims)
            slope = _over(b, b.add(of_variance, of_variance), count)
            apart = b.subtract(x, spread(b, mean, x, dims))
            pull = b.multiply(spread(b, slope, x, dims), apart)
            gx = pull if gx is None else b.add(gx, pull)
        return (None if gx is None else b.cast(gx, self.x.dtype),)

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        (d,) = carried
        one: Locality = All()
        if d in self.dims:
            one = Combine("moments")
        elif d is not None:
            one = Rows(d - sum(r < d for r in self.dims))
        return one, one


def _moments(x: Array, dims: tuple[int, ...]) -> tuple[Array, Array]:
    """Mean and variance in float64, with the dims kept."""
    wide = x.astype(np.float64)
    count = np.float64(np.prod([x.shape[d] for d in dims]))
    mean = wide.sum(axis=dims, keepdims=True) / count
    return mean, np.square(wide - mean).sum(axis=dims, keepdims=True) / count


class LayerNorm(Op):
    """`(x - mean) / sqrt(variance + epsilon) * scale + bias`, mean and variance along `dims`.

    C1  x, scale and bias are of one float dtype.
    C2  `dims` are the last dims of x, at least one.
    C3  scale and bias have the sizes of x along `dims`.
    """

    x: Value
    scale: Value
    bias: Value
    dims: tuple[int, ...]
    epsilon: float

    def infer(self) -> TensorType:
        t, rank, dims = self.x.type, self.x.type.rank, self.dims
        if not is_float(t.dtype) or {self.scale.dtype, self.bias.dtype} != {t.dtype}:
            types = [v.type for v in self.operands]
            raise self.error("C1", f"x, scale and bias must be of one float dtype; got {types}")
        if not dims or dims != tuple(range(rank))[-len(dims) :]:
            raise self.error("C2", f"`dims` must be the last dims of x: {t}; got {dims}")
        shape = t.shape[dims[0] :]
        if self.scale.shape != shape or self.bias.shape != shape:
            got = f"{self.scale.type} and {self.bias.type}"
            raise self.error("C3", f"scale and bias must be {t.with_shape(shape)}; got {got}")
        return t

    def reference(self, x: Array, scale: Array, bias: Array) -> Array:
        mean, variance = _moments(x, self.dims)
        y = (x.astype(np.float64) - mean) / np.sqrt(variance + self.epsilon)
        return (y * scale.astype(np.float64) + bias.astype(np.float64)).astype(x.dtype)

    def _normalized(self, b: Builder) -> tuple[Value, Value, Value]:
        """x with mean 0 and variance 1, the reciprocal of its deviation, and the scale, spread."""
        x, dims = widened(b, self.x), self.dims
        mean, variance = b.moments(x, dims)
        inverse = b.rsqrt(b.add(variance, b.splat(self.epsilon, variance.type)))
        inverse = spread(b, inverse, x, dims)
        normalized = b.multiply(b.subtract(x, spread(b, mean, x, dims)), inverse)
        return normalized, inverse, b.broadcast(widened(b, self.scale), x.shape, dims)

    def decompose(self, b: Builder) -> Value:
        normalized, _, scale = self._normalized(b)
        bias = b.broadcast(widened(b, self.bias), scale.shape, self.dims)
        return b.cast(b.add(b.multiply(normalized, scale), bias), self.x.dtype)

    def vjp(self, b: Builder, *grads: Value | None) -> tuple[Value | None, ...]:
        """What changes mean or variance of the gradient has no effect, so it is taken out."""
        (g,), dims, dtype = grads, self.dims, self.x.dtype
        assert g is not None
        g = widened(b, g)
        normalized, inverse, scale = self._normalized(b)
        count, scaled = _count(b, g, dims), b.multiply(g, scale)
        level = _over(b, b.reduce(scaled, "sum", dims), count)
        along = _over(b, b.reduce(b.multiply(scaled, normalized), "sum", dims), count)
        rest = b.subtract(scaled, spread(b, level, g, dims))
        rest = b.subtract(rest, b.multiply(normalized, spread(b, along, g, dims)))
        rows = tuple(range(dims[0]))
        gscale = b.reduce(b.multiply(g, normalized), "sum", rows)
        gs = (b.multiply(rest, inverse), gscale, b.reduce(g, "sum", rows))
        return tuple([b.cast(v, dtype) for v in gs])

    def locality(self, carried: tuple[int | None, ...]) -> tuple[Locality, ...] | None:
        d, scale, bias = carried
        if scale is not None or bias is not None or d in self.dims:
            return None
        return (All() if d is None else Rows(d),)
