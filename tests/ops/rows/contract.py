"""Rows of contractions, convolutions and windows."""

from __future__ import annotations

from typing import Any

from kgraph.ir import FLOATS, Builder, Value
from tests.ops.row import NUMBERS, Row, row

BOTH = ("float32", "float64")


def convolution(
    label: str,
    *operands: str,
    dims: str = "b01f_01io->b01f",
    strides: tuple[int, ...] = (1, 1),
    padding: tuple[tuple[int, int], ...] = ((0, 0), (0, 0)),
    lhs_dilation: tuple[int, ...] = (1, 1),
    rhs_dilation: tuple[int, ...] = (1, 1),
    reversal: tuple[bool, ...] = (False, False),
    groups: tuple[int, int] = (1, 1),
    dtypes: tuple[str, ...] = BOTH,
) -> Row:
    def build(b: Builder, x: Value, w: Value) -> Any:
        return b.convolution(
            x, w, dims, strides, padding, lhs_dilation, rhs_dilation, reversal, *groups
        )

    return row("convolution", build, *operands, dtypes=dtypes, label=label, loose=4)


def window(
    label: str,
    kind: str,
    *operands: str,
    size: tuple[int, ...],
    strides: tuple[int, ...],
    padding: tuple[tuple[int, int], ...] | None = None,
    base: tuple[int, ...] | None = None,
    dilation: tuple[int, ...] | None = None,
    **options: Any,
) -> Row:
    once = (1,) * len(size)
    pads = padding or ((0, 0),) * len(size)

    def build(b: Builder, x: Value) -> Any:
        return b.reduce_window(x, kind, size, strides, pads, base or once, dilation or once)

    return row("reduce_window", build, *operands, label=f"{kind}{label}", **options)


POOL = ((1, 2, 2, 1), (1, 2, 2, 1), ((0, 0),) * 4)
OVERLAP = ((3, 2), (2, 1), ((1, 1), (0, 1)))

ROWS = [
    row(
        "dot_general",
        lambda b, x, w: b.dot_general(x, w, (), (), (1,), (0,)),
        "T[3,4] T[4,5]",
        "T[batch,4] T[4,5]",
        "T[1,1] T[1,1]",
        "T[3,0] T[0,2]",
        "T[0,4] T[4,5]",
        "T[7,33] T[33,17]",
        dtypes=NUMBERS,
        loose=4,
    ),
    row(
        "dot_general",
        lambda b, x, y: b.dot_general(x, y, (), (), (0,), (0,)),
        "T[5] T[5]",
        dtypes=BOTH,
        label="inner",
    ),
    row(
        "dot_general",
        lambda b, x, y: b.dot_general(x, y, (), (), (), ()),
        "T[2] T[3]",
        "T[] T[2]",
        dtypes=BOTH,
        label="outer",
    ),
    row(
        "dot_general",
        lambda b, x, y: b.dot_general(x, y, (0, 2), (0, 1), (3,), (3,)),
        "T[batch,3,2,4] T[batch,2,5,4]",
        "T[2,time,2,4] T[2,2,time,4]",
        dtypes=BOTH,
        label="heads",
    ),
    row(
        "dot_general",
        lambda b, x, y: b.dot_general(x, y, (), (), (0, 2), (2, 0)),
        "T[batch,3,4] T[4,5,batch]",
        dtypes=BOTH,
        label="weights",
    ),
    convolution(
        "plain",
        "T[batch,7,6,3] T[3,2,3,4]",
        "T[1,3,3,1] T[3,3,1,1]",
        "T[0,4,4,2] T[1,1,2,3]",
        dtypes=NUMBERS,
    ),
    convolution("same", "T[2,5,5,2] T[3,3,2,3]", padding=((1, 1), (1, 1)), dtypes=FLOATS),
    convolution("strided", "T[batch,8,7,2] T[3,2,2,3]", strides=(2, 3), padding=((1, 0), (0, 2))),
    convolution("dilated", "T[2,9,8,2] T[3,2,2,3]", rhs_dilation=(2, 3)),
    convolution(
        "transposed",
        "T[2,4,3,2] T[3,2,2,3]",
        lhs_dilation=(2, 3),
        padding=((2, 1), (1, 2)),
        reversal=(True, True),
    ),
    convolution(
        "transposed_one_way",
        "T[2,4,3,2] T[3,2,2,3]",
        strides=(1, 2),
        lhs_dilation=(3, 1),
        rhs_dilation=(2, 1),
        padding=((2, 1), (1, 2)),
        reversal=(True, False),
    ),
    convolution("cropped", "T[2,6,6,2] T[2,2,2,3]", padding=((-1, 2), (1, -2)), strides=(2, 1)),
    convolution("groups", "T[batch,5,4,4] T[3,2,2,6]", groups=(2, 1), strides=(2, 1)),
    convolution("depthwise", "T[batch,5,4,3] T[3,3,1,6]", groups=(3, 1), padding=((1, 1), (1, 1))),
    convolution("batch_groups", "T[6,5,4,2] T[3,2,2,3]", groups=(1, 3)),
    convolution("weights", "T[batch,6,5,2] T[batch,4,3,3]", dims="f01b_i01o->01bf"),
    convolution(
        "channels_first",
        "T[batch,2,5,4] T[3,2,3,2]",
        dims="bf01_oi01->bf01",
        reversal=(True, False),
    ),
    convolution("too_small", "T[2,2,2,3] T[3,3,3,4]"),
    convolution(
        "time",
        "T[batch,time,3] T[2,3,2]",
        dims="b0f_0io->b0f",
        strides=(2,),
        padding=((1, 0),),
        lhs_dilation=(1,),
        rhs_dilation=(1,),
        reversal=(False,),
    ),
    convolution(
        "volume",
        "T[2,3,4,3,2] T[2,2,2,2,3]",
        dims="b012f_012io->b012f",
        strides=(1, 2, 1),
        padding=((0, 0), (1, 0), (0, 1)),
        lhs_dilation=(1, 1, 1),
        rhs_dilation=(1, 1, 1),
        reversal=(False,) * 3,
    ),
    *[
        window(
            "",
            kind,
            "T[batch,6,5,2]",
            "T[1,2,2,1]",
            size=(1, 2, 2, 1),
            strides=(1, 2, 2, 1),
            dtypes=NUMBERS,
            special=kind in ("max", "min"),
            domain="distinct" if kind in ("max", "min") else "any",
            loose=2,
            gradient=kind != "product",
        )
        for kind in ("sum", "max", "min", "product")
    ],
    window(
        "-padded",
        "max",
        "T[5,6]",
        size=(3, 2),
        strides=(2, 1),
        padding=((1, 1), (0, 1)),
        dtypes=BOTH,
        domain="distinct",
    ),
    window(
        "-dilated",
        "sum",
        "T[5,6]",
        size=(3, 2),
        strides=(2, 1),
        padding=((1, -1), (0, 3)),
        base=(2, 1),
        dilation=(1, 2),
        dtypes=BOTH,
    ),
    window(
        "-dilated",
        "min",
        "T[5,6]",
        size=(3, 2),
        strides=(2, 1),
        base=(2, 1),
        dilation=(1, 2),
        gradient=False,
    ),
    window("-cumulative", "sum", "T[5]", size=(5,), strides=(1,), padding=((4, 0),), dtypes=BOTH),
    window("-too_small", "max", "T[2]", size=(3,), strides=(1,), dtypes=BOTH),
    *[
        window(
            "",
            kind,
            "T[4,5]",
            size=(2, 3),
            strides=(1, 2),
            dtypes=("bool", "int32", "uint8"),
            gradient=False,
        )
        for kind in ("and", "or")
    ],
    window("-bool", "max", "T[4,5]", size=(2, 3), strides=(1, 2), dtypes=("bool",)),
    row(
        "select_and_scatter",
        lambda b, x, y: b.select_and_scatter(x, y, "max", *POOL),
        "T[batch,6,4,2] T[batch,3,2,2]",
        "T[1,3,3,1] T[1,1,1,1]",
        dtypes=FLOATS,
        domain="distinct",
        special=True,
    ),
    row(
        "select_and_scatter",
        lambda b, x, y: b.select_and_scatter(x, y, "min", *OVERLAP),
        "T[5,4] T[3,4]",
        dtypes=BOTH,
        domain="distinct",
        label="overlap",
        loose=4,
    ),
    row(
        "select_and_scatter",
        lambda b, x, y: b.select_and_scatter(x, y, "max", *OVERLAP),
        "i32[5,4] i32[3,4]",
        domain=(0, 3),
        label="ties",
    ),
]
