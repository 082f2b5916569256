"""Random graphs from a seed: smooth enough for finite differences, bounded at any length."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kgraph.ir import (
    FLOATS,
    Array,
    Builder,
    Function,
    IRError,
    TensorType,
    Value,
    bind_type,
    numpy_dtype,
    symbol,
)

F64 = "float64"
BATCH = symbol("batch")


class Generator:
    """Grows a graph; `pool` has the floats that the next op may read, `ids` the integers."""

    def __init__(self, seed: int, dtype: str = F64, integers: bool = False) -> None:
        self.random = np.random.default_rng(seed)
        self.b, self.dtype = Builder(), dtype
        self.pool: list[Value] = []
        self.ids: list[Value] = []
        self.weights = 0
        self.makers = [*MAKERS, *(INTEGER_MAKERS if integers else ())]

    # ---- choices ----

    def below(self, n: int) -> int:
        return int(self.random.integers(n))

    def chance(self, share: float) -> bool:
        return bool(self.random.random() < share)

    def value(self, wanted: Callable[[Value], bool] = lambda v: True) -> Value:
        """A value of the pool, rather a late one."""
        fitting = [v for v in self.pool if wanted(v)]
        if not fitting:
            raise UnsuitableError
        near = fitting[-4:] if self.chance(0.6) else fitting
        return near[self.below(len(near))]

    def tensor(self, rank: int = 1) -> Value:
        return self.value(lambda v: v.type.rank >= rank)

    def dim(self, v: Value) -> int:
        return self.below(v.type.rank)

    def weight(self, *shape: int) -> Value:
        self.weights += 1
        return self.b.param(f"w{self.weights}", TensorType(shape, self.dtype))

    def static(self, v: Value) -> list[int]:
        return [d for d, n in enumerate(v.shape) if isinstance(n, int)]

    def bounded(self, v: Value) -> Value:
        """Keeps products from growing without end."""
        return self.b.tanh(v) if self.chance(0.5) else v

    # ---- the whole ----

    def function(self, size: int) -> Function:
        """A function of about `size` ops."""
        shapes = [(BATCH, 4), (BATCH, 3, 4), (BATCH, 5, 4, 2), (3, 4), (BATCH,)]
        for i in range(1 + self.below(3)):
            shape = shapes[self.below(len(shapes))] if i else (BATCH, 4)
            self.pool.append(self.b.param(f"x{i}", TensorType(shape, self.dtype)))
        self.ids.append(self.b.param("ids", TensorType((BATCH, 2), "int32")))
        while len(self.b.ops) < size:
            self.step()
        others = [self.value() for _ in range(self.below(4))]
        if len(self.ids) > 1:
            others.append(self.ids[-1])
        return self.b.function(self.pool[-1], *others)

    def step(self) -> None:
        make = self.makers[self.below(len(self.makers))]
        try:
            made = make(self)
        except (UnsuitableError, IRError):
            return
        self.pool += [v for v in made if v.dtype == self.dtype]
        self.ids += [v for v in made if v.dtype == "int32"]


class UnsuitableError(Exception):
    """There is no operand for this op yet."""


Maker = Callable[[Generator], "list[Value]"]
MAKERS: list[Maker] = []


def maker(function: Maker) -> Maker:
    MAKERS.append(function)
    return function


@maker
def unary(g: Generator) -> list[Value]:
    name = ["tanh", "sine", "negate", "logistic", "cosine", "atan", "erf"][g.below(7)]
    return [getattr(g.b, name)(g.value())]


@maker
def binary(g: Generator) -> list[Value]:
    x = g.value()
    y = g.value(lambda v: v.type is x.type)
    name = ["add", "subtract", "multiply", "maximum"][g.below(4)]
    return [g.bounded(getattr(g.b, name)(x, y))]


@maker
def with_number(g: Generator) -> list[Value]:
    x = g.value()
    number = [0.0, -0.0, 1.0, 2.0, -1.0, 0.5][g.below(6)]
    name = ["add", "subtract", "multiply"][g.below(3)]
    args = (x, g.b.splat(number, x.type))
    return [getattr(g.b, name)(*(args if g.chance(0.7) else args[::-1]))]


@maker
def quotient(g: Generator) -> list[Value]:
    x = g.value()
    y = g.value(lambda v: v.type is x.type)
    positive = g.b.add(g.b.multiply(y, y), g.b.splat(1.0, y.type))
    if g.chance(0.3):
        return [g.b.rsqrt(positive), g.b.log(positive)]
    return [g.b.divide(x, positive)]


@maker
def select(g: Generator) -> list[Value]:
    x = g.value()
    y, z = g.value(lambda v: v.type is x.type), g.value(lambda v: v.type is x.type)
    pred = g.b.compare(x, y, ["LT", "GE", "NE"][g.below(3)])
    return [g.b.select(g.b.not_(pred) if g.chance(0.3) else pred, z, g.b.sine(x))]


@maker
def clamp(g: Generator) -> list[Value]:
    low, high = g.b.constant(-0.7, g.dtype), g.b.constant(0.8, g.dtype)
    return [g.b.clamp(low, g.value(), high)]


@maker
def reduce(g: Generator) -> list[Value]:
    x = g.tensor()
    dims = tuple(d for d in range(x.type.rank) if g.chance(0.5)) or (g.dim(x),)
    kind = ["sum", "sum", "max", "min"][g.below(4)]
    return [g.b.tanh(g.b.reduce(x, kind, dims))]


@maker
def moments(g: Generator) -> list[Value]:
    x = g.tensor()
    dims = tuple(d for d in range(x.type.rank) if g.chance(0.5)) or (g.dim(x),)
    return list(g.b.moments(x, dims))


@maker
def softmax(g: Generator) -> list[Value]:
    x = g.tensor()
    return [g.b.softmax(x, g.dim(x)) if g.chance(0.5) else g.b.log_softmax(x, x.type.rank - 1)]


@maker
def broadcast(g: Generator) -> list[Value]:
    like = g.tensor()
    x = g.value(lambda v: v.type.rank < like.type.rank)
    dims: list[int] = []
    for n in x.shape:
        at = [d for d, m in enumerate(like.shape) if m == n and d > (dims[-1] if dims else -1)]
        if not at:
            raise UnsuitableError
        dims.append(at[g.below(len(at))])
    return [g.b.broadcast_in_dim(x, like.shape, tuple(dims))]


@maker
def bias(g: Generator) -> list[Value]:
    x = g.tensor(2)
    n = x.shape[-1]
    if not isinstance(n, int):
        raise UnsuitableError
    return [g.b.add(x, g.b.broadcast(g.weight(n), x.shape, (x.type.rank - 1,)))]


@maker
def transpose(g: Generator) -> list[Value]:
    x = g.tensor(2)
    return [g.b.transpose(x, tuple(int(p) for p in g.random.permutation(x.type.rank)))]


@maker
def reshape(g: Generator) -> list[Value]:
    """Neighbouring dims merge, or one splits, or a dim of size 1 comes."""
    x = g.tensor()
    shape = list(x.shape)
    d = g.dim(x)
    kind = g.below(3)
    if kind == 0 and d + 1 < len(shape):
        shape[d : d + 2] = [shape[d] * shape[d + 1]]
    elif kind == 1 and isinstance(shape[d], int) and shape[d] % 2 == 0:
        shape[d : d + 1] = [shape[d] // 2, 2]
    else:
        shape.insert(d, 1)
    if len(shape) > 5:
        raise UnsuitableError
    return [g.b.reshape(x, tuple(shape))]


@maker
def slices(g: Generator) -> list[Value]:
    x = g.tensor()
    start, limit, stride = [0] * x.type.rank, list(x.shape), [1] * x.type.rank
    for d in g.static(x):
        n = x.shape[d]
        assert isinstance(n, int)
        if n > 1 and g.chance(0.6):
            start[d] = g.below(n - 1)
            limit[d] = start[d] + 1 + g.below(n - start[d])
            stride[d] = 1 + g.below(2)
    return [g.b.slice(x, tuple(start), tuple(limit), tuple(stride))]


@maker
def pad(g: Generator) -> list[Value]:
    x = g.tensor()
    low, high, interior = ([0] * x.type.rank for _ in range(3))
    for d in g.static(x):
        if g.chance(0.5) and int(x.shape[d]) > 1:
            low[d], high[d], interior[d] = g.below(3) - 1, g.below(2), g.below(2)
    value = g.b.constant(float(g.below(2)), g.dtype)
    return [g.b.pad(x, value, tuple(low), tuple(high), tuple(interior))]


@maker
def concatenate(g: Generator) -> list[Value]:
    x = g.tensor()
    y = g.value(lambda v: v.type is x.type)
    static = g.static(x)
    if not static:
        raise UnsuitableError
    return [g.b.concatenate((x, y), static[g.below(len(static))])]


@maker
def reverse(g: Generator) -> list[Value]:
    x = g.tensor()
    return [g.b.reverse(x, tuple(d for d in range(x.type.rank) if g.chance(0.4)))]


@maker
def dense(g: Generator) -> list[Value]:
    x = g.tensor(2)
    n = x.shape[-1]
    if not isinstance(n, int):
        raise UnsuitableError
    w = g.weight(n, 2 + g.below(4))
    return [g.bounded(g.b.dot_general(x, w, (), (), (x.type.rank - 1,), (0,)))]


@maker
def products_of_samples(g: Generator) -> list[Value]:
    """Over the samples, or sample by sample."""
    x = g.value(lambda v: v.type.rank >= 2 and v.shape[0] == BATCH)
    y = g.value(lambda v: v.type.rank >= 2 and v.shape[0] == BATCH)
    if g.chance(0.5):
        return [g.b.tanh(g.b.dot_general(x, y, (), (), (0,), (0,)))]
    if x.shape[-1] != y.shape[-1] or x.type.rank + y.type.rank > 6:
        raise UnsuitableError
    last = (x.type.rank - 1,), (y.type.rank - 1,)
    return [g.b.tanh(g.b.dot_general(x, y, (0,), (0,), *last))]


@maker
def convolution(g: Generator) -> list[Value]:
    x = g.value(lambda v: v.type.rank == 4 and v.shape[0] == BATCH)
    if not all(isinstance(n, int) for n in x.shape[1:]):
        raise UnsuitableError
    w = g.weight(1 + g.below(2), 1 + g.below(2), int(x.shape[3]), 1 + g.below(3))
    strides = (1 + g.below(2), 1 + g.below(2))
    padding = ((g.below(2), g.below(2)), (g.below(2), 0))
    dilation = ((1, 1 + g.below(2)), (1 + g.below(2), 1))
    flips = (g.chance(0.2), g.chance(0.2))
    y = g.b.convolution(x, w, "b01f_01io->b01f", strides, padding, *dilation, flips, 1, 1)
    return [g.b.tanh(y)]


@maker
def pool(g: Generator) -> list[Value]:
    x = g.value(lambda v: v.type.rank == 4 and v.shape[0] == BATCH)
    kind, size = ["max", "sum"][g.below(2)], 1 + g.below(2)
    strides = (1, size, 1 + g.below(2), 1)
    padding = ((0, 0), (0, g.below(2)), (0, 0), (0, 0))
    once = (1,) * 4
    return [g.b.tanh(g.b.reduce_window(x, kind, (1, size, 2, 1), strides, padding, once, once))]


@maker
def cumulative_sum(g: Generator) -> list[Value]:
    x = g.value(lambda v: v.type.rank == 2 and isinstance(v.shape[1], int))
    n = int(x.shape[1])
    one = (1, 1)
    found = g.b.reduce_window(x, "sum", (1, n), one, ((0, 0), (n - 1, 0)), one, one)
    return [g.b.sine(found)]


@maker
def embedding(g: Generator) -> list[Value]:
    table = g.weight(6, 2 + g.below(3))
    sizes = (1, int(table.shape[1]))
    return [g.b.gather(table, g.ids[g.below(len(g.ids))], (2,), (0,), (0,), 2, sizes)]


@maker
def position(g: Generator) -> list[Value]:
    x = g.tensor()
    index = g.b.iota(x.shape, g.dim(x), "int32")
    wave = g.b.sine(g.b.multiply(g.b.cast(index, g.dtype), g.b.splat(0.3, x.type)))
    return [g.b.multiply(x, wave)]


@maker
def mean(g: Generator) -> list[Value]:
    x = g.tensor()
    total = g.b.reduce(x, "sum", (0,))
    count = g.b.dim_size(x.shape[0], g.dtype)
    return [g.b.divide(total, g.b.broadcast(count, total.shape))]


@maker
def scan(g: Generator) -> list[Value]:
    """A recurrence over dim 1, its rows and its last state."""
    x = g.value(lambda v: v.type.rank == 3 and v.shape[0] == BATCH and isinstance(v.shape[1], int))
    n = x.shape[2]
    if not isinstance(n, int):
        raise UnsuitableError
    w, summed = g.weight(n), g.chance(0.5)
    inner = Builder()
    row = TensorType((BATCH, n), g.dtype)
    c, *s = [inner.param(k, t) for k, t in (("c", row), ("s", w.type))[: 1 + summed]]
    r = inner.param("r", row)
    wide = inner.broadcast(inner.param("w", w.type), row.shape, (1,))
    new = inner.tanh(inner.add(inner.multiply(c, wide), r))
    sums = [inner.add(v, inner.reduce(new, "sum", (0,))) for v in s]
    rows = [inner.multiply(new, r)] if g.chance(0.5) else []
    body = inner.function(new, *sums, *rows)
    zero = g.b.splat(0, row)
    start = zero if g.chance(0.5) else g.b.broadcast(w, row.shape, (1,))
    starts = (start, w if g.chance(0.3) else g.b.splat(0, w.type))[: 1 + summed]
    xs = (g.b.transpose(x, (1, 0, 2)),)
    made = g.b.scan(starts, xs, (w,), x.shape[1], g.chance(0.5), body)
    return [g.b.tanh(v) for v in (made if isinstance(made, tuple) else (made,))]


@maker
def branch(g: Generator) -> list[Value]:
    x = g.value()
    inner = [Builder(), Builder()]
    params = [b.param("x", x.type) for b in inner]
    then = inner[0].function(inner[0].sine(params[0]))
    orelse = inner[1].function(inner[1].multiply(params[1], params[1]))
    scalar = g.b.reduce(x, "sum", tuple(range(x.type.rank)))
    pred = g.b.compare(scalar, g.b.constant(0.0, g.dtype), "GT")
    return [g.b.if_(pred, (x,), then, orelse)]


# ---- integers, comparisons and what they index ----

INTEGER_MAKERS: list[Maker] = []


def integer_maker(function: Maker) -> Maker:
    INTEGER_MAKERS.append(function)
    return function


def integer(g: Generator, like: Value | None = None) -> Value:
    """An integer value; of the type of another."""
    fitting = [v for v in g.ids if like is None or v.type is like.type]
    return fitting[g.below(len(fitting))]


@integer_maker
def whole(g: Generator) -> list[Value]:
    """Floats made whole, some of them out of range."""
    x = g.value()
    scale = [1.0, 3.0, 1e10][g.below(3)]
    return [g.b.convert(g.b.multiply(x, g.b.splat(scale, x.type)), "int32")]


@integer_maker
def integer_binary(g: Generator) -> list[Value]:
    x = integer(g)
    names = (
        "add subtract multiply divide remainder and_ or_ xor maximum minimum power shift_left"
        " shift_right_arithmetic shift_right_logical"
    ).split()
    return [getattr(g.b, names[g.below(len(names))])(x, integer(g, x))]


@integer_maker
def integer_unary(g: Generator) -> list[Value]:
    x = integer(g)
    name = ["negate", "abs", "not_", "sign", "popcnt", "count_leading_zeros"][g.below(6)]
    return [getattr(g.b, name)(x)]


@integer_maker
def narrow(g: Generator) -> list[Value]:
    """To another width and back."""
    x = integer(g)
    dtype = ["int8", "uint8", "int64", "uint32", "bool", "float32"][g.below(6)]
    return [g.b.convert(g.b.convert(x, dtype), "int32")]


@integer_maker
def wave(g: Generator) -> list[Value]:
    """Floats again."""
    x = integer(g)
    small = g.b.remainder(x, g.b.splat(7, x.type))
    return [g.b.sine(g.b.convert(small, g.dtype))]


@integer_maker
def counted(g: Generator) -> list[Value]:
    x = g.tensor()
    above = g.b.compare(x, g.b.splat(0.1, x.type), ["GT", "LE"][g.below(2)])
    dims = (g.dim(x),)
    if g.chance(0.5):
        return [g.b.convert(g.b.reduce(above, ["and", "or", "max"][g.below(3)], dims), "int32")]
    return [g.b.reduce(g.b.convert(above, "int32"), ["sum", "max", "product"][g.below(3)], dims)]


@integer_maker
def places(g: Generator) -> list[Value]:
    x = g.value(lambda v: v.type.rank >= 1 and v.shape[-1] not in (0, BATCH))
    d = x.type.rank - 1
    if g.chance(0.4):
        return [g.b.arg_reduce(x, ["max", "min"][g.below(2)], d, "int32")]
    if g.chance(0.5):
        index = g.b.iota(x.shape, d, "int32")
        return list(g.b.sort((x, index), d, 1, g.chance(0.5)))
    return list(g.b.top_k(x, 1))


@integer_maker
def rows(g: Generator) -> list[Value]:
    """Rows of a weight at computed places, clamped."""
    table, index = g.weight(5, 3), integer(g)
    sizes, rank = (1, 3), index.type.rank
    return [g.b.gather(table, index, (rank,), (0,), (0,), rank, sizes)]


@integer_maker
def put(g: Generator) -> list[Value]:
    """Into a weight at computed places; those that are out of bounds are dropped."""
    index = integer(g)
    table = g.weight(5, 3)
    updates = g.b.sine(g.b.convert(g.b.remainder(index, g.b.splat(5, index.type)), g.dtype))
    spread = g.b.broadcast_in_dim(updates, (*index.shape, 3), tuple(range(index.type.rank)))
    rank = index.type.rank
    return [g.b.tanh(g.b.scatter(table, index, spread, "add", (rank,), (0,), (0,), rank))]


@integer_maker
def window(g: Generator) -> list[Value]:
    """A part of x at a computed place, or x with such a part replaced."""
    x = g.value(lambda v: v.type.rank == 2 and isinstance(v.shape[1], int) and v.shape[1] > 1)
    whole_index = integer(g)
    start = g.b.reduce(whole_index, "max", tuple(range(whole_index.type.rank)))
    starts = (g.b.constant(0, "int32"), start)
    part = g.b.dynamic_slice(x, starts, (x.shape[0], 1))
    if g.chance(0.5):
        return [part]
    return [g.b.dynamic_update_slice(x, g.b.sine(part), starts)]


def random_function(
    seed: int, size: int = 20, dtype: str = F64, integers: bool = False
) -> Function:
    """The function of a seed; with `integers`, among the ops are those on integers and indices."""
    return Generator(seed, dtype, integers).function(size)


def arguments(fn: Function, batch: int, seed: int = 0) -> list[Array]:
    """Numbers of unit size; indices, some of them out of range."""
    random = np.random.default_rng(seed)
    found = []
    for p in fn.params:
        shape = [int(n) for n in bind_type(p.type, {"batch": batch}).shape]
        if p.dtype in FLOATS:
            found.append((random.standard_normal(shape) * 0.7).astype(numpy_dtype(p.dtype)))
        else:
            found.append(random.integers(-(p.dtype == "int32"), 8, shape).astype(p.dtype))
    return found
