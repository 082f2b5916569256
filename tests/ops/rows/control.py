"""Rows of the ops with regions."""

from __future__ import annotations

from kgraph.ir import Builder, Function, TensorType, Value, symbol
from tests.ops.row import row

BOTH = ("float32", "float64")
batch = symbol("batch")
block = symbol("block")


def region(types: tuple[TensorType, ...], body: object) -> Function:
    """The function of parameters of the types that `body(builder, *params)` returns."""
    b = Builder()
    results = body(b, *[b.param(f"p{i}", t) for i, t in enumerate(types)])  # type: ignore[operator]  # a function
    return b.function(*(results if isinstance(results, tuple) else (results,)))


def scan(b: Builder, c: Value, xs: Value, w: Value, reverse: bool) -> object:
    def step(b: Builder, c: Value, x: Value, w: Value) -> tuple[Value, ...]:
        new = b.tanh(b.add(b.multiply(c, w), x))
        return new, b.multiply(new, x)

    types = (c.type, xs.type.with_shape(xs.shape[1:]), w.type)
    return b.scan((c,), (xs,), (w,), xs.shape[0], reverse, region(types, step))


def power(b: Builder, x: Value, n: Value) -> object:
    i32 = n.type
    return b.while_(
        (n, x),
        (x,),
        region(
            (i32, x.type, x.type), lambda b, n, y, x: b.compare(n, b.constant(0, "int32"), "GT")
        ),
        region(
            (i32, x.type, x.type),
            lambda b, n, y, x: (b.subtract(n, b.constant(1, "int32")), b.multiply(y, x)),
        ),
    )


def cubed(b: Builder, x: Value) -> object:
    """A cube with twice its gradient."""
    t = x.type
    return b.custom_vjp(
        (x,),
        region((t,), lambda b, x: b.multiply(x, b.multiply(x, x))),
        region((t, t), lambda b, x, g: b.multiply(g, b.multiply(b.splat(3, t), b.multiply(x, x)))),
    )


def blocks(b: Builder, x: Value, w: Value) -> object:
    """Rows, a sum, an extreme and the moments of x . w, block by block."""
    rows = TensorType((block, *x.shape[1:]), x.dtype)

    def body(b: Builder, start: Value, x: Value, w: Value) -> tuple[Value, ...]:
        y = b.dot_general(x, w, (), (), (1,), (0,))
        index = b.add(b.iota((block,), 0, "int32"), b.broadcast(start, (block,)))
        sums = b.dot_general(x, y, (), (), (0,), (0,))
        count = b.cast(b.dim_size(block, "int32"), x.dtype)
        mean = b.divide(b.reduce(y, "sum", (0,)), b.broadcast(count, y.shape[1:]))
        apart = b.subtract(y, b.broadcast(mean, y.shape, (1,)))
        variance = b.divide(
            b.reduce(b.multiply(apart, apart), "sum", (0,)), b.broadcast(count, y.shape[1:])
        )
        return y, index, sums, b.reduce(y, "max", (0,)), mean, variance

    types = (TensorType((), "int32"), rows, w.type)
    gives = (("rows", 0), ("rows", 0), ("sum", 0), ("max", 0), ("moments", 0), ("moments", 0))
    return b.batched((x, w), x.shape[0], 2, (0, -1), gives, region(types, body))


ROWS = [
    row("while", power, "T[2] i32[]", dtypes=BOTH, gradient=False, domain=("any", (0, 5))),
    row(
        "if",
        lambda b, p, x, y: b.if_(
            p,
            (x, y),
            region((x.type, y.type), lambda b, x, y: b.multiply(x, y)),
            region((x.type, y.type), lambda b, x, y: x),
        ),
        "bool[] T[batch,2] T[batch,2]",
        "bool[] T[] T[]",
        dtypes=BOTH,
    ),
    *[
        row(
            "case",
            lambda b, x, y, i=i: b.case(
                b.constant(i, "int32"),
                (x, y),
                tuple(
                    region((x.type, y.type), f)
                    for f in (
                        lambda b, x, y: b.multiply(x, y),
                        lambda b, x, y: b.tanh(x),
                        lambda b, x, y: y,
                    )
                ),
            ),
            "T[3] T[3]",
            dtypes=BOTH,
            label=label,
        )
        for i, label in [(0, "first"), (1, "second"), (7, "above"), (-1, "below")]
    ],
    *[
        row(
            "scan",
            lambda b, c, xs, w, reverse=reverse: scan(b, c, xs, w, reverse),
            "T[2] T[4,2] T[2]",
            "T[batch,2] T[time,batch,2] T[batch,2]",
            "T[] T[0] T[]",
            dtypes=BOTH,
            label="down" if reverse else "up",
            loose=4,
        )
        for reverse in (False, True)
    ],
    row("custom_vjp", cubed, "T[batch,2]", dtypes=BOTH),
    row(
        "fusion",
        lambda b, x, y: b.fusion(
            (x, y), region((x.type, y.type), lambda b, x, y: (b.add(x, y), b.tanh(x)))
        ),
        "T[2,3] T[2,3]",
        dtypes=BOTH,
        gradient=False,
    ),
    row(
        "batched",
        blocks,
        "T[batch,3] T[3,2]",
        "T[21,3] T[3,2]",
        "T[2,3] T[3,2]",
        "T[1,3] T[3,2]",
        dtypes=BOTH,
        gradient=False,
        loose=8,
    ),
]
