"""Rows of the higher ops."""

from __future__ import annotations

from typing import Any

from kgraph.ir import FLOATS
from tests.ops.row import Row, row

BOTH = ("float32", "float64")
QKV = "T[batch,5,2,4] T[batch,6,2,4] T[batch,6,2,3]"
SQUARE = "T[2,5,2,4] T[2,5,2,4] T[2,5,2,3]"
YG = "T[batch,5,2,3] T[batch,5,2,3]"
SQUARE_YG = "T[2,5,2,3] T[2,5,2,3]"


def attention(label: str, *operands: str, causal: bool = False, **options: Any) -> Row:
    def build(b: Any, q: Any, k: Any, v: Any, *mask: Any) -> Any:
        return b.attention(q, k, v, mask, 0.5, causal)

    return row("attention", build, *operands, label=label, loose=4, **options)


def attention_grad(label: str, *operands: str, causal: bool = False, **options: Any) -> Row:
    def build(b: Any, q: Any, k: Any, v: Any, *rest: Any) -> Any:
        *mask, y, g = rest
        return b.attention_grad(q, k, v, tuple(mask), 0.5, causal, y, g)

    return row("attention_grad", build, *operands, label=label, loose=8, **options)


ROWS = [
    *[
        row(
            name,
            lambda b, x, name=name: getattr(b, name)(x, 1),
            "T[3,7]",
            "T[batch,5]",
            "T[2,1]",
            "T[0,3]",
            "T[2,3,4]",
            "T[2,0]",
            dtypes=FLOATS,
            special=True,
            loose=2,
        )
        for name in ("softmax", "log_softmax")
    ],
    *[
        row(
            "moments",
            lambda b, x, dims=dims: b.moments(x, dims),
            "T[batch,4,3]",
            "T[5,1,2]",
            dtypes=FLOATS,
            label="_".join(map(str, dims)) or "none",
            loose=4,
        )
        for dims in [(0,), (0, 1), (2,), (0, 1, 2), ()]
    ],
    row("moments", lambda b, x: b.moments(x, (0,)), "T[0,2]", gradient=False, label="empty"),
    row(
        "layer_norm",
        lambda b, x, s, c: b.layer_norm(x, s, c, (1,), 1e-3),
        "T[batch,6] T[6] T[6]",
        "T[3,1] T[1] T[1]",
        "T[0,4] T[4] T[4]",
        "T[2,33] T[33] T[33]",
        dtypes=FLOATS,
        loose=4,
    ),
    row(
        "layer_norm",
        lambda b, x, s, c: b.layer_norm(x, s, c, (1, 2), 1e-5),
        "T[batch,3,2] T[3,2] T[3,2]",
        dtypes=BOTH,
        label="image",
        loose=4,
    ),
    attention("", QKV, SQUARE, "T[1,1,1,1] T[1,1,1,1] T[1,1,1,1]", dtypes=FLOATS),
    attention("causal", SQUARE, QKV, causal=True, dtypes=BOTH),
    attention("mask", f"{QKV} bool[batch,1,5,6]", f"{QKV} bool[1,2,1,6]", dtypes=BOTH),
    attention("both", f"{SQUARE} bool[2,2,5,5]", causal=True, dtypes=BOTH),
    attention("time", "T[batch,time,2,4] T[batch,time,2,4] T[batch,time,2,4]", dtypes=BOTH),
    attention_grad("", f"{QKV} {YG}", dtypes=FLOATS),
    attention_grad("causal", f"{SQUARE} {SQUARE_YG}", f"{QKV} {YG}", causal=True, dtypes=BOTH),
    attention_grad(
        "mask", f"{QKV} bool[batch,1,5,6] {YG}", f"{QKV} bool[1,2,1,6] {YG}", dtypes=BOTH
    ),
    attention_grad("both", f"{SQUARE} bool[2,2,5,5] {SQUARE_YG}", causal=True, dtypes=BOTH),
    attention_grad("time", " ".join(["T[batch,time,2,4]"] * 5), dtypes=BOTH),
]
