"""Small whole programs, written with the builder: what passes and backends are tried on.

Each is a training step as the tracer would make one: state first, then inputs; results are a loss
and the new state.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kgraph.ir import (
    Array,
    Builder,
    Function,
    Size,
    TensorType,
    Value,
    bind_type,
    is_float,
    numpy_dtype,
    symbol,
)
from kgraph.passes.autodiff import gradients

BATCH = symbol("batch")


@dataclass(frozen=True)
class Program:
    """A function whose first `state` parameters are its state."""

    name: str
    fn: Function
    state: int

    def arguments(self, batch: int, seed: int = 0) -> list[Array]:
        """Arguments for a batch: weights near 0, data of unit size, integers from 0 to 4."""
        random = np.random.default_rng(seed)
        found = []
        for p, label in zip(self.fn.params, self.fn.param_names, strict=True):
            shape = [int(n) for n in bind_type(p.type, {"batch": batch}).shape]
            if not is_float(p.dtype):
                values = random.integers(0, 5, shape)
            elif label.startswith(("variance", "weight")):
                values = random.uniform(0.5, 2.0, shape)
            else:
                values = random.standard_normal(shape) * (1.0 if label.startswith("x") else 0.4)
            found.append(np.asarray(values).astype(numpy_dtype(p.dtype)))
        return found

    def __str__(self) -> str:
        return self.name


class _Net:
    """A builder with the few layers that the programs are made of."""

    def __init__(self, dtype: str) -> None:
        self.b, self.dtype = Builder(), dtype
        self.weights: list[Value] = []

    def weight(self, label: str, *shape: int) -> Value:
        v = self.b.param(label, TensorType(shape, self.dtype))
        self.weights.append(v)
        return v

    def input(self, label: str, shape: tuple[Size, ...], dtype: str = "") -> Value:
        return self.b.param(label, TensorType(shape, dtype or self.dtype))

    def number(self, value: float, like: Value) -> Value:
        return self.b.splat(value, like.type)

    def along(self, x: Value, v: Value, dim: int = -1) -> Value:
        """A vector repeated to the shape of x, along all dims but `dim`."""
        return self.b.broadcast(v, x.shape, (dim % x.type.rank,))

    def dense(self, x: Value, w: Value, bias: Value) -> Value:
        y = self.b.dot_general(x, w, (), (), (x.type.rank - 1,), (0,))
        return self.b.add(y, self.along(y, bias))

    def relu(self, x: Value) -> Value:
        return self.b.maximum(x, self.number(0, x))

    def spread(self, v: Value, x: Value, dims: tuple[int, ...]) -> Value:
        """What a reduction of x over `dims` gave, repeated along them."""
        kept = tuple(d for d in range(x.type.rank) if d not in dims)
        return self.b.broadcast(v, x.shape, kept)

    def log_softmax(self, x: Value) -> Value:
        b, last = self.b, (x.type.rank - 1,)
        top = b.stop_gradient(b.reduce(x, "max", last))
        shifted = b.subtract(x, self.spread(top, x, last))
        total = b.log(b.reduce(b.exponential(shifted), "sum", last))
        return b.subtract(shifted, self.spread(total, x, last))

    def mean(self, x: Value) -> Value:
        """Over all elements; the batch is one of the dims."""
        b, count = self.b, self.b.dim_size(x.type.size, self.dtype)
        return b.divide(b.reduce(x, "sum", tuple(range(x.type.rank))), count)

    def losses(self, logits: Value, labels: Value) -> Value:
        """The cross entropy of each sample."""
        b, (n, classes) = self.b, logits.shape
        index = b.iota((n, classes), 1, labels.dtype)
        hot = b.cast(b.compare(index, b.broadcast(labels, (n, classes), (0,)), "EQ"), self.dtype)
        return b.negate(b.reduce(b.multiply(hot, self.log_softmax(logits)), "sum", (1,)))

    def descend(self, loss: Value, rate: float = 0.1) -> list[Value]:
        """The weights after a step of gradient descent."""
        b, grads = self.b, gradients(self.b, loss, self.weights)
        steps = [b.multiply(g, self.number(rate, g)) for g in grads]
        return [b.subtract(w, s) for w, s in zip(self.weights, steps, strict=True)]

    def program(self, name: str, *results: Value) -> Program:
        inputs = sum(1 for p in self.b.params if "batch" in p.type.symbols)
        return Program(name, self.b.function(*results, name=name), len(self.b.params) - inputs)


def mlp(dtype: str = "float32") -> Program:
    """Two dense layers and a cross entropy."""
    n = _Net(dtype)
    w0, b0, w1, b1 = (
        n.weight("w0", 6, 8),
        n.weight("b0", 8),
        n.weight("w1", 8, 5),
        n.weight("b1", 5),
    )
    x, labels = n.input("x", (BATCH, 6)), n.input("labels", (BATCH,), "int32")
    logits = n.dense(n.relu(n.dense(x, w0, b0)), w1, b1)
    loss = n.mean(n.losses(logits, labels))
    return n.program("mlp", loss, *n.descend(loss))


def weighted(dtype: str = "float32") -> Program:
    """A weighted loss, gradients clipped by their global norm: a sum before and one behind."""
    n = _Net(dtype)
    b = n.b
    w0, b0, w1, b1 = (
        n.weight("w0", 6, 4),
        n.weight("b0", 4),
        n.weight("w1", 4, 5),
        n.weight("b1", 5),
    )
    x, labels = n.input("x", (BATCH, 6)), n.input("labels", (BATCH,), "int32")
    weight = n.input("weight", (BATCH,))
    hidden = b.tanh(n.dense(x, w0, b0))
    each = b.multiply(n.losses(n.dense(hidden, w1, b1), labels), weight)
    loss = b.divide(b.reduce(each, "sum", (0,)), b.reduce(weight, "sum", (0,)))
    grads = gradients(b, loss, n.weights)
    squares = [b.reduce(b.multiply(g, g), "sum", tuple(range(g.type.rank))) for g in grads]
    norm = b.sqrt(b.add(b.add(squares[0], squares[1]), b.add(squares[2], squares[3])))
    scale = b.divide(n.number(0.1, norm), b.maximum(norm, n.number(0.1, norm)))
    new = [
        b.subtract(w, b.multiply(g, b.broadcast(scale, g.shape)))
        for w, g in zip(n.weights, grads, strict=True)
    ]
    return n.program("weighted", loss, *new)


def convnet(dtype: str = "float32") -> Program:
    """Two convolutions, a max-pool, dropout with Threefry's bits, a dense layer."""
    n = _Net(dtype)
    b = n.b
    w0, w1 = n.weight("w0", 3, 3, 1, 4), n.weight("w1", 3, 3, 4, 4)
    w2, b2 = n.weight("w2", 36, 5), n.weight("b2", 5)
    key = n.input("key", (2,), "uint32")
    x, labels = n.input("x", (BATCH, 8, 8, 1)), n.input("labels", (BATCH,), "int32")
    once, none = ((1, 1), (1, 1)), ((0, 0), (0, 0))
    y = n.relu(b.convolution(x, w0, "b01f_01io->b01f", (1, 1), once, *once, (False, False), 1, 1))
    y = n.relu(b.convolution(y, w1, "b01f_01io->b01f", (1, 1), none, *once, (False, False), 1, 1))
    y = b.reduce_window(y, "max", (1, 2, 2, 1), (1, 2, 2, 1), ((0, 0),) * 4, (1,) * 4, (1,) * 4)
    y = b.reshape(y, (BATCH, 36))
    y = b.select(_kept(b, key, y, 0.5), b.multiply(y, n.number(2, y)), n.number(0, y))
    loss = n.mean(n.losses(n.dense(y, w2, b2), labels))
    counted = b.add(key, b.constant([0, 1], "uint32"))
    return n.program("convnet", loss, counted, *n.descend(loss))


def channels_first(dtype: str = "float32") -> Program:
    """Two convolutions and a max-pool on images whose channels come before their space."""
    n = _Net(dtype)
    b = n.b
    w0, b0, w1, b1 = (
        n.weight(label, *shape)
        for label, shape in (("w0", (3, 3, 2, 4)), ("b0", (4,)), ("w1", (2, 2, 4, 5)), ("b1", (5,)))
    )
    x, labels = n.input("x", (BATCH, 2, 7, 6)), n.input("labels", (BATCH,), "int32")
    once, none = ((1, 1), (1, 1)), ((0, 0), (0, 0))
    y = b.convolution(x, w0, "bf01_01io->bf01", (1, 1), none, *once, (False, False), 1, 1)
    y = n.relu(b.add(y, n.along(y, b0, 1)))
    y = b.reduce_window(y, "max", (1, 1, 2, 2), (1, 1, 1, 2), ((0, 0),) * 4, (1,) * 4, (1,) * 4)
    y = b.convolution(y, w1, "bf01_01io->bf01", (1, 1), none, *once, (False, False), 1, 1)
    logits = b.reduce(b.add(y, n.along(y, b1, 1)), "sum", (2, 3))
    loss = n.mean(n.losses(logits, labels))
    return n.program("channels_first", loss, *n.descend(loss))


def predict(dtype: str = "float32") -> Program:
    """Inference: a convolution, batch normalisation by known moments, a dense layer, a softmax."""
    n = _Net(dtype)
    b = n.b
    w0, scale, shift = n.weight("w0", 3, 3, 1, 4), n.weight("scale", 4), n.weight("shift", 4)
    mean, variance = n.weight("mean", 4), n.weight("variance", 4)
    w1, b1 = n.weight("w1", 36, 5), n.weight("b1", 5)
    x = n.input("x", (BATCH, 8, 8, 1))
    once, none = ((1, 1), (1, 1)), ((0, 0), (0, 0))
    y = b.convolution(x, w0, "b01f_01io->b01f", (2, 2), none, *once, (False, False), 1, 1)
    inverse = b.multiply(scale, b.rsqrt(b.add(variance, n.number(1e-3, variance))))
    y = b.multiply(b.subtract(y, n.along(y, mean)), n.along(y, inverse))
    y = n.relu(b.add(y, n.along(y, shift)))
    y = b.reshape(y, (BATCH, 36))
    return n.program("predict", b.softmax(n.dense(y, w1, b1), 1))


def _kept(b: Builder, key: Value, like: Value, rate: float) -> Value:
    """A bool for each element, True with probability `1 - rate`: a bit of Threefry on its index."""
    size, shape = like.type.size, like.shape
    halves = [b.reshape(b.slice(key, (i,), (i + 1,), (1,)), ()) for i in range(2)]
    k0, k1 = (b.broadcast(k, (size,)) for k in halves)
    low = b.iota((size,), 0, "uint32")
    first, second = b.threefry(k0, k1, b.splat(0, low.type), low)
    bits = b.reshape(b.xor(first, second), shape)
    limit = b.splat(int(rate * 2**32), bits.type)
    found: Value = b.compare(bits, limit, "GE")
    return found


def batch_norm(dtype: str = "float32") -> Program:
    """Two dense layers with batch normalisation: each statistic holds up what follows."""
    n = _Net(dtype)
    b = n.b
    w = [n.weight("w0", 6, 8), n.weight("w1", 8, 5)]
    scales = [n.weight("scale0", 8), n.weight("scale1", 5)]
    shifts = [n.weight("shift0", 8), n.weight("shift1", 5)]
    moving = [n.input("variance0", (8,)), n.input("variance1", (5,))]
    x, labels = n.input("x", (BATCH, 6)), n.input("labels", (BATCH,), "int32")
    kept, y = [], x
    for i in range(2):
        y = b.dot_general(y, w[i], (), (), (1,), (0,))
        mean, variance = b.moments(y, (0,))
        apart = b.subtract(y, n.along(y, mean))
        inverse = b.rsqrt(b.add(variance, n.number(1e-3, variance)))
        y = b.multiply(apart, n.along(y, b.multiply(inverse, scales[i])))
        y = b.add(y, n.along(y, shifts[i]))
        y = n.relu(y) if i == 0 else y
        old = b.multiply(moving[i], n.number(0.9, variance))
        kept.append(b.add(old, b.multiply(variance, n.number(0.1, variance))))
    loss = n.mean(n.losses(y, labels))
    return n.program("batch_norm", loss, *kept, *n.descend(loss))


def bottleneck(dtype: str = "float32") -> Program:
    """Convolutions of one tap around one per channel, all with batch normalisation; a residual."""
    n = _Net(dtype)
    b = n.b
    once, none = ((1, 1), (1, 1)), ((0, 0), (0, 0))
    kernels = [
        n.weight("expand", 1, 1, 6, 12),
        n.weight("depthwise", 3, 3, 1, 12),
        n.weight("project", 1, 1, 12, 6),
    ]
    scales = [n.weight(f"scale{i}", size) for i, size in enumerate((12, 12, 6))]
    w, bias = n.weight("w", 6, 5), n.weight("bias", 5)
    x, labels = n.input("x", (BATCH, 5, 4, 6)), n.input("labels", (BATCH,), "int32")
    y = x
    for i, (kernel, scale) in enumerate(zip(kernels, scales, strict=True)):
        padding, groups = (once, 12) if i == 1 else (none, 1)
        y = b.convolution(
            y, kernel, "b01f_01io->b01f", (1, 1), padding, *once, (False, False), groups, 1
        )
        mean, variance = b.moments(y, (0, 1, 2))
        inverse = b.rsqrt(b.add(variance, n.number(1e-3, variance)))
        y = b.multiply(b.subtract(y, n.along(y, mean)), n.along(y, b.multiply(inverse, scale)))
        y = b.minimum(n.relu(y), n.number(6, y)) if i < 2 else b.add(x, y)
    pooled = b.multiply(b.reduce(y, "sum", (1, 2)), b.splat(1 / 20, TensorType((BATCH, 6), dtype)))
    loss = n.mean(n.losses(n.dense(pooled, w, bias), labels))
    return n.program("bottleneck", loss, *n.descend(loss))


def embedding(dtype: str = "float32") -> Program:
    """Rows of a table, averaged and classified; its gradient scatters."""
    n = _Net(dtype)
    b = n.b
    table, w, bias = n.weight("table", 11, 4), n.weight("w", 4, 5), n.weight("bias", 5)
    ids, labels = n.input("ids", (BATCH, 3), "int32"), n.input("labels", (BATCH,), "int32")
    rows = b.gather(table, ids, (2,), (0,), (0,), 2, (1, 4))
    pooled = b.multiply(b.reduce(rows, "sum", (1,)), b.splat(1 / 3, TensorType((BATCH, 4), dtype)))
    loss = n.mean(n.losses(n.dense(pooled, w, bias), labels))
    return n.program("embedding", loss, *n.descend(loss))


def lstm(dtype: str = "float32") -> Program:
    """An LSTM over 6 steps by `scan`, and its gradient by another."""
    n = _Net(dtype)
    b = n.b
    wx, wh, bias = n.weight("wx", 3, 16), n.weight("wh", 4, 16), n.weight("bias", 16)
    w, b1 = n.weight("w", 4, 5), n.weight("b1", 5)
    x, labels = n.input("x", (BATCH, 6, 3)), n.input("labels", (BATCH,), "int32")
    zero = b.splat(0, TensorType((BATCH, 4), dtype))
    hidden, _ = b.scan(
        (zero, zero), (b.transpose(x, (1, 0, 2)),), (wx, wh, bias), 6, False, _lstm_step(dtype)
    )
    loss = n.mean(n.losses(n.dense(hidden, w, b1), labels))
    return n.program("lstm", loss, *n.descend(loss))


def _lstm_step(dtype: str) -> Function:
    n = _Net(dtype)
    b = n.b
    h, c, x = (n.input(label, (BATCH, k)) for label, k in (("h", 4), ("c", 4), ("x", 3)))
    wx, wh, bias = (
        n.input(label, s) for label, s in (("wx", (3, 16)), ("wh", (4, 16)), ("bias", (16,)))
    )
    gates = b.add(n.dense(x, wx, bias), b.dot_general(h, wh, (), (), (1,), (0,)))
    i, f, g, o = (b.slice(gates, (0, 4 * k), (BATCH, 4 * k + 4), (1, 1)) for k in range(4))
    c = b.add(b.multiply(b.logistic(f), c), b.multiply(b.logistic(i), b.tanh(g)))
    return b.function(b.multiply(b.logistic(o), b.tanh(c)), c)


def attention(dtype: str = "float32") -> Program:
    """Self-attention of two heads over 5 places with a residual and layer normalisation."""
    n = _Net(dtype)
    b = n.b
    wq, wk, wv, wo = (n.weight(f"w{c}", 6, 6) for c in "qkvo")
    w, bias = n.weight("w", 30, 5), n.weight("bias", 5)
    x, labels = n.input("x", (BATCH, 5, 6)), n.input("labels", (BATCH,), "int32")

    def heads(m: Value) -> Value:
        y = b.dot_general(x, m, (), (), (2,), (0,))
        found: Value = b.transpose(b.reshape(y, (BATCH, 5, 2, 3)), (0, 2, 1, 3))
        return found

    scores = b.dot_general(heads(wq), heads(wk), (0, 1), (0, 1), (3,), (3,))
    share = b.exponential(n.log_softmax(b.multiply(scores, n.number(3**-0.5, scores))))
    mixed = b.dot_general(share, heads(wv), (0, 1), (0, 1), (3,), (2,))
    joined = b.reshape(b.transpose(mixed, (0, 2, 1, 3)), (BATCH, 5, 6))
    y = b.add(x, b.dot_general(joined, wo, (), (), (2,), (0,)))
    six = b.splat(6, TensorType((BATCH, 5), dtype))
    apart = b.subtract(y, n.spread(b.divide(b.reduce(y, "sum", (2,)), six), y, (2,)))
    variance = b.divide(b.reduce(b.multiply(apart, apart), "sum", (2,)), six)
    inverse = b.rsqrt(b.add(variance, n.number(1e-5, variance)))
    y = b.multiply(apart, n.spread(inverse, y, (2,)))
    loss = n.mean(n.losses(n.dense(b.reshape(y, (BATCH, 30)), w, bias), labels))
    return n.program("attention", loss, *n.descend(loss))


MAKERS: Sequence[Callable[[str], Program]] = (
    mlp, weighted, convnet, channels_first, batch_norm, bottleneck, embedding, lstm, attention,
)  # fmt: skip


def programs(dtype: str = "float32") -> list[Program]:
    """All programs, in one dtype of floats."""
    return [make(dtype) for make in MAKERS]
