"""Rows of gather and scatter."""

from __future__ import annotations

from kgraph.ir import FLOATS
from tests.ops.row import NUMBERS, row

BOTH = ("float32", "float64")
AROUND = ("any", (-3, 9))  # also out of bounds


def scattered(kind: str) -> object:
    return lambda b, x, i, u: b.scatter(x, i, u, kind, (1,), (0,), (0,), 1)


ROWS = [
    row(
        "gather",
        lambda b, x, i: b.gather(x, i, (i.type.rank,), (0,), (0,), i.type.rank, (1, x.shape[1])),
        "T[6,3] i32[5]",
        "T[6,3] i32[batch,time]",
        "T[6,1] i32[]",
        "T[6,2] i32[0]",
        "T[6,2] i64[4]",
        "T[6,2] u8[4]",
        dtypes=(*NUMBERS, "bool"),
        domain=AROUND,
        label="rows",
    ),
    row(
        "gather",
        lambda b, x, i: b.gather(x, i, (0, 3), (1,), (2, 1), 0, (2, 1, 3)),
        "T[4,5,6] i32[2,7,2]",
        dtypes=BOTH,
        domain=AROUND,
        label="general",
    ),
    row(
        "gather",
        lambda b, x, i: b.gather(x, i, (0, 1), (), (0, 1), 0, (2, 2)),
        "T[4,5] i32[2]",
        dtypes=BOTH,
        domain=AROUND,
        label="window",
    ),
    row(
        "gather",
        lambda b, x, i: b.gather(x, i, (0,), (1,), (1,), 1, (x.shape[0], 1)),
        "T[batch,5] i32[4,1]",
        dtypes=BOTH,
        domain=AROUND,
        label="columns",
    ),
    row(
        "gather",
        lambda b, x, i: b.gather(x, i, (1,), (), (), 1, x.shape),
        "T[3] i32[2,0]",
        dtypes=BOTH,
        label="everything",
    ),
    row(
        "gather",
        lambda b, x, i: b.gather(x, i, (1,), (0,), (0,), 1, (1, 3)),
        "T[batch,3] i32[4]",
        dtypes=BOTH,
        domain=AROUND,
        label="of_samples",
    ),
    *[
        row(
            "scatter",
            scattered(kind),
            "T[6,3] i32[5,1] T[5,3]",
            "T[6,3] i32[0,1] T[0,3]",
            "T[6,2] i64[4,1] T[4,2]",
            "T[6,2] i32[batch,1] T[batch,2]",
            dtypes=NUMBERS,
            domain=("any", (-2, 8), "any"),
            label=kind,
            gradient=kind != "multiply",
            second=kind not in ("max", "min"),
            loose=4,
        )
        for kind in ("add", "set", "max", "min", "multiply")
    ],
    row(
        "scatter",
        scattered("set"),
        "bool[6,3] i32[5,1] bool[5,3]",
        domain=("any", (-2, 8), "any"),
        label="bool",
    ),
    row(
        "scatter",
        lambda b, x, i, u: b.scatter(x, i, u, "add", (0, 3), (1,), (2, 1), 0),
        "T[4,5,6] i32[2,7,2] T[2,7,2,3]",
        dtypes=(*FLOATS, "int32"),
        domain=("any", (-2, 7), "any"),
        label="general",
        loose=4,
    ),
    row(
        "scatter",
        lambda b, x, i, u: b.scatter(x, i, u, "set", (0, 1), (), (0, 1), 0),
        "T[4,5] i32[2] T[2,2]",
        dtypes=BOTH,
        domain=("any", (0, 3), "any"),
        label="window",
    ),
    row(
        "scatter",
        lambda b, x, i, u: b.scatter(x, i, u, "set", (1,), (), (0,), 1),
        "T[6] i32[4,1] T[4,2]",
        dtypes=BOTH,
        domain=("any", (0, 6), "any"),
        label="overlapping",
    ),
    row(
        "scatter",
        lambda b, x, i, u: b.scatter(x, i, u, "add", (0,), (1,), (1,), 1),
        "T[batch,5] i32[4,1] T[batch,4]",
        dtypes=BOTH,
        domain=("any", (-1, 6), "any"),
        label="columns",
    ),
]
