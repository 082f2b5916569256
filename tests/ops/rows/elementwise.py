"""Rows of the elementwise ops and of the reductions."""

from __future__ import annotations

from typing import Any

from kgraph.ir import DTYPES, FLOATS, INTEGERS, SIGNED
from tests.ops.row import NUMBERS, Domain, Row, row

BITS = ("bool", *INTEGERS)
BOTH = ("float32", "float64")
SHAPES = ("T[2,3]", "T[]", "T[0,3]", "T[1]", "T[37]", "T[batch,5]")


def unary(
    name: str, dtypes: tuple[str, ...] = FLOATS, domain: Domain = "any", **options: Any
) -> Row:
    def build(b: Any, x: Any) -> Any:
        return getattr(b, name)(x)

    return row(
        name.rstrip("_"),
        build,
        *SHAPES,
        dtypes=dtypes,
        domain=domain,
        special=True,
        normwise=False,
        **options,
    )


def binary(
    name: str, dtypes: tuple[str, ...] = NUMBERS, domain: Any = "any", **options: Any
) -> Row:
    def build(b: Any, x: Any, y: Any) -> Any:
        return getattr(b, name)(x, y)

    shapes = [f"{s} {s}" for s in SHAPES]
    return row(
        name.rstrip("_"),
        build,
        *shapes,
        dtypes=dtypes,
        domain=domain,
        special=True,
        normwise=False,
        **options,
    )


def reduction(kind: str, dims: tuple[int, ...], *operands: str, **options: Any) -> Row:
    label = f"{kind}-{'_'.join(map(str, dims))}"
    return row("reduce", lambda b, x: b.reduce(x, kind, dims), *operands, label=label, **options)


UNIT = (-0.9, 0.9)
ROWS = [
    unary("abs", FLOATS + SIGNED),
    unary("negate", NUMBERS),
    unary("sign", FLOATS + SIGNED),
    unary("exponential"),
    unary("exponential_minus_one"),
    unary("log", domain="positive"),
    unary("log_plus_one", domain="positive"),
    unary("logistic"),
    unary("tanh"),
    unary("tan", domain=(-1.2, 1.2)),
    unary("sine"),
    unary("cosine"),
    unary("asin", domain=UNIT),
    unary("acos", domain=UNIT),
    unary("atan"),
    unary("sinh"),
    unary("cosh"),
    unary("asinh"),
    unary("acosh", domain=(1.1, 4.0)),
    unary("atanh", domain=UNIT),
    unary("sqrt", domain="positive"),
    unary("rsqrt", domain="positive"),
    unary("cbrt"),
    unary("floor", domain="distinct"),
    unary("ceil", domain="distinct"),
    unary("round_nearest_even", domain="distinct"),
    unary("round_nearest_afz", domain="distinct"),
    unary("is_finite", gradient=False),
    unary("not_", BITS),
    unary("popcnt", INTEGERS),
    unary("count_leading_zeros", INTEGERS),
    unary("erf"),
    unary("erf_inv", domain=UNIT),
    unary("stop_gradient", DTYPES, gradient=False),
    binary("add", DTYPES),
    binary("subtract"),
    binary("multiply", DTYPES),
    binary("divide"),
    binary("remainder", domain=((2, 7), (-3, 4)), label="integers", dtypes=INTEGERS),
    binary("remainder", domain=((2.2, 2.4), (1.0, 1.05)), dtypes=FLOATS),
    binary("power", FLOATS, domain="positive"),
    binary("power", INTEGERS, domain=((0, 5), (0, 7)), label="integers"),
    binary("maximum", DTYPES),
    binary("minimum", DTYPES),
    binary("atan2", FLOATS),
    binary("and_", BITS),
    binary("or_", BITS),
    binary("xor", BITS),
    binary("shift_left", INTEGERS, domain=("any", (0, 9))),
    binary("shift_right_arithmetic", INTEGERS, domain=("any", (0, 9))),
    binary("shift_right_logical", INTEGERS, domain=("any", (0, 9))),
    *[
        row(
            "compare",
            lambda b, x, y, how=how: b.compare(x, y, how),
            *[f"{s} {s}" for s in SHAPES],
            dtypes=DTYPES,
            special=True,
            label=how,
            gradient=False,
            domain=(0, 3),
        )
        for how in ("EQ", "NE", "LT", "LE", "GT", "GE")
    ],
    row(
        "select",
        lambda b, p, x, y: b.select(p, x, y),
        *[f"bool[{s[2:]} {s} {s}" for s in SHAPES],
        "bool[] T[2,3] T[2,3]",
        dtypes=DTYPES,
        special=True,
    ),
    row(
        "clamp",
        lambda b, low, x, high: b.clamp(low, x, high),
        *[f"T[] {s} T[]" for s in SHAPES],
        "T[5] T[5] T[5]",
        "T[] T[batch,2] T[batch,2]",
        dtypes=NUMBERS,
        special=True,
        domain=((1, 2), (0, 6), (3, 5)),
        label="typical",
    ),
    row(
        "clamp",
        lambda b, low, x, high: b.clamp(low, x, high),
        "T[9] T[9] T[9]",
        dtypes=NUMBERS,
        label="crossed",
    ),
    *[
        row(
            "convert",
            lambda b, x, to=to: b.convert(x, to),
            "T[37]",
            "T[]",
            "T[0]",
            "T[batch,3]",
            dtypes=DTYPES,
            special=True,
            domain=(0, 100),
            label=f"to_{to}",
            gradient=to == "float64",
        )
        for to in DTYPES
    ],
    *[
        row(
            "bitcast_convert",
            lambda b, x, to=to: b.bitcast_convert(x, to),
            "T[5]",
            "T[]",
            "T[0]",
            "T[batch,2]",
            dtypes=dtypes,
            special=True,
            label=f"to_{to}",
            gradient=False,
        )
        for to, dtypes in [
            ("float32", ("int32", "uint32", "float32")),
            ("uint32", ("float32",)),
            ("int16", ("bfloat16", "float16")),
            ("bfloat16", ("uint16",)),
            ("int64", ("float64", "uint64")),
            ("float64", ("int64",)),
            ("int8", ("uint8",)),
        ]
    ],
    row(
        "threefry",
        lambda b, *x: b.threefry(*x),
        *[" ".join([f"u32{s[1:]}"] * 4) for s in SHAPES],
        special=True,
    ),
    *[
        reduction(
            kind,
            (1,),
            "T[2,3]",
            "T[4,1]",
            "T[0,3]",
            "T[3,0]",
            "T[batch,37]",
            "T[2,3,5]",
            "T[2,700]",
            dtypes=DTYPES if kind in ("max", "min") else NUMBERS,
            special=kind in ("max", "min"),
            domain="distinct" if kind in ("max", "min") else (0.6, 1.5),
            loose=4,
        )
        for kind in ("sum", "product", "max", "min")
    ],
    *[
        reduction(
            kind,
            dims,
            "T[batch,3,4]",
            "T[2,0,3]",
            dtypes=BOTH,
            domain="distinct" if kind == "max" else (0.6, 1.5),
            loose=8,
        )
        for kind in ("sum", "max", "product")
        for dims in [(0,), (0, 1), (0, 1, 2), (2,), ()]
    ],
    row(
        "reduce",
        lambda b, x: b.reduce(x, "product", (0,)),
        "T[3,4]",
        dtypes=BOTH,
        domain="distinct",
        loose=8,
        label="product-any",
    ),
    row("reduce", lambda b, x: b.reduce(x, "sum", ()), "T[]", dtypes=BOTH, label="scalar"),
    *[
        reduction(kind, (0,), "T[5,3]", "T[batch,3]", "T[0,2]", dtypes=BITS, gradient=False)
        for kind in ("and", "or")
    ],
    *[
        row(
            "arg_reduce",
            lambda b, x, kind=kind: b.arg_reduce(x, kind, 1, "int32"),
            "T[3,7]",
            "T[batch,2]",
            "T[3,1]",
            "T[0,2]",
            "T[2,41]",
            dtypes=NUMBERS,
            special=True,
            domain="distinct",
            label=kind,
            gradient=False,
        )
        for kind in ("max", "min")
    ],
    row(
        "arg_reduce",
        lambda b, x: b.arg_reduce(x, "max", 0, "int64"),
        "T[30]",
        dtypes=("int32", "float32"),
        domain=(0, 3),
        label="ties",
        gradient=False,
    ),
]
