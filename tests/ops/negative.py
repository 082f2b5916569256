"""For each constraint of an op something that breaks it, and nothing else before it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from kgraph.ir import DTYPES, OPS, Builder, Function, Op, TensorType, Value, symbol
from kgraph.ir.ops.elementwise import Binary, Unary
from tests.ops.row import read_types

Breaks = Callable[[Builder], Any]


def v(b: Builder, text: str) -> Value:
    (t,) = read_types(text, "float32")
    return b.param("x", t)


def fn(takes: str, gives: str) -> Function:
    """A function of the types that gives constants of the types."""
    b = Builder()
    for text in takes.split():
        v(b, text)
    return b.function(*[b.splat(0, t) for t in read_types(gives, "float32")])


def conv(b: Builder, x: str = "f32[4,5,5,2]", w: str = "f32[3,3,2,4]", **changes: Any) -> Any:
    fields = {
        "dims": "b01f_01io->b01f",
        "strides": (1, 1),
        "padding": ((0, 0), (0, 0)),
        "lhs_dilation": (1, 1),
        "rhs_dilation": (1, 1),
        "reversal": (False, False),
        "feature_groups": 1,
        "batch_groups": 1,
    }
    return b.convolution(v(b, x), v(b, w), **{**fields, **changes})


def pool(b: Builder, **changes: Any) -> Any:
    fields = {
        "kind": "max",
        "window": (2, 2),
        "strides": (1, 1),
        "padding": ((0, 0), (0, 0)),
        "base_dilation": (1, 1),
        "window_dilation": (1, 1),
    }
    return b.reduce_window(changes.pop("x", None) or v(b, "f32[4,5]"), **{**fields, **changes})


def unpool(b: Builder, **changes: Any) -> Any:
    fields = {"kind": "max", "window": (2, 2), "strides": (1, 1), "padding": ((0, 0), (0, 0))}
    source = v(b, changes.pop("source", "f32[3,4]"))
    return b.select_and_scatter(v(b, "f32[4,5]"), source, **{**fields, **changes})


def take(b: Builder, indices: str = "i32[6]", **changes: Any) -> Any:
    fields = {
        "offset_dims": (1,),
        "collapsed_slice_dims": (0,),
        "start_index_map": (0,),
        "index_vector_dim": 1,
        "slice_sizes": (1, 3),
    }
    return b.gather(v(b, "f32[5,3]"), v(b, indices), **{**fields, **changes})


def put(
    b: Builder,
    indices: str = "i32[6]",
    updates: str = "f32[6,3]",
    x: str = "f32[5,3]",
    **changes: Any,
) -> Any:
    fields = {
        "kind": "add",
        "update_window_dims": (1,),
        "inserted_window_dims": (0,),
        "scatter_dims_to_operand_dims": (0,),
        "index_vector_dim": 1,
    }
    return b.scatter(v(b, x), v(b, indices), v(b, updates), **{**fields, **changes})


def dot(b: Builder, x: str, y: str, *dims: tuple[int, ...]) -> Any:
    return b.dot_general(v(b, x), v(b, y), *dims)


def norm(b: Builder, x: str, scale: str, bias: str, dims: tuple[int, ...] = (1,)) -> Any:
    return b.layer_norm(v(b, x), v(b, scale), v(b, bias), dims, 1e-3)


def attend(b: Builder, query: str, key: str, value: str, *mask: str) -> Any:
    masks = tuple(v(b, m) for m in mask)
    return b.attention(v(b, query), v(b, key), v(b, value), masks, 1.0, False)


def attend_grad(b: Builder, *qkv: str, y: str = "f32[2,4,2,3]", mask: str | None = None) -> Any:
    masks = () if mask is None else (v(b, mask),)
    gradient = v(b, "f32[2,4,2,3]")
    return b.attention_grad(*[v(b, x) for x in qkv], masks, 1.0, False, v(b, y), gradient)


def batched(b: Builder, body: Function, **changes: Any) -> Any:
    fields = {"over": symbol("batch"), "block": 2, "takes": (0,), "gives": (("rows", 0),)}
    return b.batched((v(b, "f32[batch,3]"),), **{**fields, **changes}, body=body)


ROWS = fn("i32[] f32[block,3]", "f32[block]")
SUMS = fn("i32[] f32[block,3]", "f32[2]")

NEGATIVE: dict[str, Breaks] = {
    "dim_size.C1": lambda b: b.dim_size(3, "bool"),
    "iota.C1": lambda b: b.iota((2, 3), 2, "int32"),
    "iota.C2": lambda b: b.iota((2, 3), 1, "bool"),
    "broadcast_in_dim.C1": lambda b: b.broadcast_in_dim(v(b, "f32[3]"), (2, 3), ()),
    "broadcast_in_dim.C2": lambda b: b.broadcast_in_dim(v(b, "f32[2,3]"), (3, 2), (1, 0)),
    "broadcast_in_dim.C3": lambda b: b.broadcast_in_dim(v(b, "f32[batch]"), (2, 3), (1,)),
    "reshape.C1": lambda b: b.reshape(v(b, "f32[batch,3]"), (symbol("batch") * 2,)),
    "transpose.C1": lambda b: b.transpose(v(b, "f32[2,3]"), (0, 0)),
    "assume_shape.C1": lambda b: b.assume_shape(v(b, "f32[2,3]"), (6,)),
    "assume_shape.C2": lambda b: b.assume_shape(v(b, "f32[2,3]"), (symbol("batch"), 2)),
    "slice.C1": lambda b: b.slice(v(b, "f32[2,3]"), (0,), (1,), (1,)),
    "slice.C2": lambda b: b.slice(v(b, "f32[batch]"), (0,), (symbol("batch") + 1,), (1,)),
    "slice.C3": lambda b: b.slice(v(b, "f32[3]"), (0,), (1,), (0,)),
    "reverse.C1": lambda b: b.reverse(v(b, "f32[3]"), (0, 0)),
    "pad.C1": lambda b: b.pad(v(b, "f32[3]"), v(b, "f32[1]"), (0,), (0,), (0,)),
    "pad.C2": lambda b: b.pad(v(b, "f32[3]"), v(b, "f32[]"), (0,), (0, 0), (0,)),
    "pad.C3": lambda b: b.pad(v(b, "f32[3]"), v(b, "f32[]"), (0,), (0,), (-1,)),
    "pad.C4": lambda b: b.pad(v(b, "f32[3]"), v(b, "f32[]"), (-2,), (-2,), (0,)),
    "concatenate.C1": lambda b: b.concatenate((), 0),
    "concatenate.C2": lambda b: b.concatenate((v(b, "f32[2,3]"), v(b, "f32[3,3]")), 1),
    "concatenate.C3": lambda b: b.concatenate((v(b, "f32[2,3]"),), 2),
    "dynamic_slice.C1": lambda b: b.dynamic_slice(v(b, "f32[3]"), (), (2,)),
    "dynamic_slice.C2": lambda b: b.dynamic_slice(v(b, "f32[3]"), (v(b, "f32[]"),), (2,)),
    "dynamic_slice.C3": lambda b: b.dynamic_slice(v(b, "f32[3]"), (v(b, "i32[]"),), (4,)),
    "dynamic_update_slice.C1": lambda b: b.dynamic_update_slice(v(b, "f32[3]"), v(b, "f32[]"), ()),
    "dynamic_update_slice.C2": lambda b: b.dynamic_update_slice(
        v(b, "f32[3]"), v(b, "f32[2]"), (v(b, "i32[1]"),)
    ),
    "dynamic_update_slice.C3": lambda b: b.dynamic_update_slice(
        v(b, "f32[3]"), v(b, "f32[4]"), (v(b, "i32[]"),)
    ),
    "dynamic_update_slice.C4": lambda b: b.dynamic_update_slice(
        v(b, "f32[3]"), v(b, "f64[2]"), (v(b, "i32[]"),)
    ),
    "sort.C1": lambda b: b.sort((v(b, "f32[3]"), v(b, "f32[4]")), 0, 1, False),
    "sort.C2": lambda b: b.sort((v(b, "f32[3]"),), 1, 1, False),
    "sort.C3": lambda b: b.sort((v(b, "f32[3]"),), 0, 2, False),
    "top_k.C1": lambda b: b.top_k(v(b, "f32[]"), 1),
    "top_k.C2": lambda b: b.top_k(v(b, "f32[3]"), 4),
    "gather.C1": lambda b: take(b, "f32[6]"),
    "gather.C2": lambda b: take(b, start_index_map=(0, 1)),
    "gather.C3": lambda b: take(b, collapsed_slice_dims=(1,)),
    "gather.C4": lambda b: take(b, start_index_map=(2,)),
    "gather.C5": lambda b: take(b, slice_sizes=(1, 4)),
    "gather.C6": lambda b: take(b, offset_dims=()),
    "scatter.C1": lambda b: put(b, "f32[6]"),
    "scatter.C2": lambda b: put(b, index_vector_dim=0),
    "scatter.C3": lambda b: put(b, inserted_window_dims=(2,)),
    "scatter.C4": lambda b: put(b, scatter_dims_to_operand_dims=(2,)),
    "scatter.C5": lambda b: put(b, update_window_dims=(0, 1)),
    "scatter.C6": lambda b: put(b, updates="f32[6,4]"),
    "scatter.C7": lambda b: put(b, x="bool[5,3]", updates="bool[6,3]"),
    "dot_general.C1": lambda b: dot(b, "f32[3]", "f64[3]", (), (), (0,), (0,)),
    "dot_general.C2": lambda b: dot(b, "f32[3]", "f32[3]", (), (), (0,), ()),
    "dot_general.C3": lambda b: dot(b, "f32[3]", "f32[3]", (0,), (0,), (0,), (0,)),
    "dot_general.C4": lambda b: dot(b, "f32[batch]", "f32[time]", (), (), (0,), (0,)),
    "convolution.C1": lambda b: conv(b, dims="b01f_01io->b01"),
    "convolution.C2": lambda b: conv(b, w="f64[3,3,2,4]"),
    "convolution.C3": lambda b: conv(b, strides=(1,)),
    "convolution.C4": lambda b: conv(b, strides=(1, 0)),
    "convolution.C5": lambda b: conv(b, w="f32[3,3,3,4]"),
    "convolution.C6": lambda b: conv(b, w="f32[3,3,1,3]", feature_groups=2),
    "convolution.C8": lambda b: conv(b, strides=(2, 2), algorithm="winograd_4"),
    "convolution.C7": lambda b: conv(b, w="f32[3,3,1,4]", feature_groups=2, batch_groups=2),
    "reduce_window.C1": lambda b: pool(b, window=(2,)),
    "reduce_window.C2": lambda b: pool(b, strides=(1, 0)),
    "reduce_window.C3": lambda b: pool(b, kind="mean"),
    "select_and_scatter.C1": lambda b: unpool(b, padding=((0, 0),)),
    "select_and_scatter.C2": lambda b: unpool(b, strides=(0, 1)),
    "select_and_scatter.C3": lambda b: unpool(b, kind="sum"),
    "select_and_scatter.C4": lambda b: unpool(b, source="f32[4,4]"),
    "while.C1": lambda b: b.while_(
        (v(b, "f32[]"),), (), fn("i32[]", "bool[]"), fn("f32[]", "f32[]")
    ),
    "while.C2": lambda b: b.while_(
        (v(b, "f32[]"),), (), fn("f32[]", "i32[]"), fn("f32[]", "f32[]")
    ),
    "while.C3": lambda b: b.while_(
        (v(b, "f32[]"),), (), fn("f32[]", "bool[]"), fn("f32[]", "f32[2]")
    ),
    "if.C1": lambda b: b.if_(v(b, "i32[]"), (), fn("", ""), fn("", "")),
    "if.C2": lambda b: b.if_(v(b, "bool[]"), (v(b, "f32[]"),), fn("f32[]", ""), fn("", "")),
    "if.C3": lambda b: b.if_(v(b, "bool[]"), (), fn("", "f32[]"), fn("", "f32[1]")),
    "case.C1": lambda b: b.case(v(b, "i64[]"), (), (fn("", ""),)),
    "case.C2": lambda b: b.case(v(b, "i32[]"), (), ()),
    "case.C3": lambda b: b.case(v(b, "i32[]"), (), (fn("", "f32[]"), fn("", "i32[]"))),
    "scan.C1": lambda b: b.scan((), (v(b, "f32[4]"),), (), 3, False, fn("f32[]", "")),
    "scan.C2": lambda b: b.scan((), (v(b, "f32[4]"),), (), 4, False, fn("f32[4]", "")),
    "scan.C3": lambda b: b.scan((v(b, "f32[4]"),), (), (), 3, False, fn("f32[4]", "i32[4]")),
    "custom_vjp.C1": lambda b: b.custom_vjp(
        (v(b, "f32[]"),), fn("i32[]", "f32[]"), fn("f32[] f32[]", "f32[]")
    ),
    "custom_vjp.C2": lambda b: b.custom_vjp(
        (v(b, "f32[]"),), fn("f32[]", "f32[]"), fn("f32[]", "f32[]")
    ),
    "custom_vjp.C3": lambda b: b.custom_vjp(
        (v(b, "f32[]"),), fn("f32[]", "f32[]"), fn("f32[] f32[]", "")
    ),
    "fusion.C1": lambda b: b.fusion((v(b, "f32[]"),), fn("", "f32[]")),
    "batched.C1": lambda b: batched(b, ROWS, block=0),
    "batched.C2": lambda b: batched(b, ROWS, gives=()),
    "batched.C3": lambda b: batched(b, ROWS, takes=(1,)),
    "batched.C4": lambda b: batched(b, ROWS, gives=(("sum", 0),)),
    "batched.C5": lambda b: batched(b, SUMS, gives=(("moments", 0),)),
    "compare.C1": lambda b: b.compare(v(b, "f32[2]"), v(b, "f32[3]"), "EQ"),
    "compare.C2": lambda b: b.compare(v(b, "f32[2]"), v(b, "f32[2]"), "eq"),
    "select.C1": lambda b: b.select(v(b, "bool[2]"), v(b, "f32[2]"), v(b, "f32[3]")),
    "select.C2": lambda b: b.select(v(b, "bool[3]"), v(b, "f32[2]"), v(b, "f32[2]")),
    "clamp.C1": lambda b: b.clamp(v(b, "f32[1]"), v(b, "f32[2]"), v(b, "f32[]")),
    "clamp.C2": lambda b: b.clamp(v(b, "bool[]"), v(b, "bool[2]"), v(b, "bool[]")),
    "convert.C1": lambda b: b.convert(v(b, "f32[2]"), "float31"),
    "softmax.C1": lambda b: b.softmax(v(b, "i32[2]"), 0),
    "softmax.C2": lambda b: b.softmax(v(b, "f32[2]"), -1),
    "log_softmax.C1": lambda b: b.log_softmax(v(b, "i32[2]"), 0),
    "log_softmax.C2": lambda b: b.log_softmax(v(b, "f32[2]"), 1),
    "moments.C1": lambda b: b.moments(v(b, "i32[2]"), (0,)),
    "moments.C2": lambda b: b.moments(v(b, "f32[2,3]"), (1, 0)),
    "layer_norm.C1": lambda b: norm(b, "f32[2,3]", "f64[3]", "f32[3]"),
    "layer_norm.C2": lambda b: norm(b, "f32[3,2]", "f32[3]", "f32[3]", (0,)),
    "layer_norm.C3": lambda b: norm(b, "f32[2,3]", "f32[3]", "f32[2]"),
    "attention.C1": lambda b: attend(b, "f32[2,4,2,3]", "f32[2,4,2,3]", "f64[2,4,2,3]"),
    "attention.C2": lambda b: attend(b, "f32[2,4,2,3]", "f32[2,4,2,2]", "f32[2,4,2,3]"),
    "attention.C3": lambda b: attend(b, *["f32[2,4,2,3]"] * 3, "bool[2,2,4,5]"),
    "attention_grad.C1": lambda b: attend_grad(b, *["f32[2,4,2,3]"] * 2, "f64[2,4,2,3]"),
    "attention_grad.C2": lambda b: attend_grad(b, "f32[2,4,2,3]", "f32[2,4,2,2]", "f32[2,4,2,3]"),
    "attention_grad.C3": lambda b: attend_grad(b, *["f32[2,4,2,3]"] * 3, mask="bool[2,2,4,5]"),
    "attention_grad.C4": lambda b: attend_grad(b, *["f32[2,4,2,3]"] * 3, y="f32[2,4,2,2]"),
    "bitcast_convert.C1": lambda b: b.bitcast_convert(v(b, "f32[2]"), "int64"),
    "threefry.C1": lambda b: b.threefry(
        v(b, "u32[2]"), v(b, "u32[2]"), v(b, "u32[2]"), v(b, "i32[2]")
    ),
    "reduce.C1": lambda b: b.reduce(v(b, "f32[2]"), "mean", (0,)),
    "reduce.C2": lambda b: b.reduce(v(b, "f32[2,3]"), "sum", (1, 0)),
    "reduce.C3": lambda b: b.reduce(v(b, "f32[2]"), "and", (0,)),
    "arg_reduce.C1": lambda b: b.arg_reduce(v(b, "f32[2]"), "sum", 0, "int32"),
    "arg_reduce.C2": lambda b: b.arg_reduce(v(b, "f32[2,0]"), "max", 1, "int32"),
    "arg_reduce.C3": lambda b: b.arg_reduce(v(b, "f32[2]"), "max", 0, "float32"),
}


def _wrong_dtype(cls: type[Op], takes: tuple[str, ...]) -> Breaks:
    def build(b: Builder) -> Any:
        x = b.param("x", TensorType((2,), next(d for d in DTYPES if d not in takes)))
        return cls(*[x] * len(cls.operand_fields))

    return build


def _two_shapes(cls: type[Op]) -> Breaks:
    return lambda b: cls(v(b, "f32[2]"), v(b, "f32[3]"))  # type: ignore[call-arg]  # a binary op


for _name, _cls in OPS.items():
    if issubclass(_cls, Unary | Binary) and not _cls.attribute_fields:
        if issubclass(_cls, Binary):
            NEGATIVE[f"{_name}.C1"] = _two_shapes(_cls)
        if set(_cls.takes) != set(DTYPES):
            _label = "C2" if issubclass(_cls, Binary) else "C1"
            NEGATIVE[f"{_name}.{_label}"] = _wrong_dtype(_cls, _cls.takes)
