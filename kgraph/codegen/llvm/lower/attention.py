"""Attention and its gradient: a tile for each head of each sample."""

from __future__ import annotations

from kgraph.codegen.llvm.attention import Head, Mask, Rows, emit_forward, forward_layout
from kgraph.codegen.llvm.attention_grad import backward_layout, chunk_rows, emit_backward
from kgraph.codegen.llvm.emit import Operand, item_bytes
from kgraph.codegen.llvm.gemm_tile import Shape, choose_shape, compute_dtype
from kgraph.codegen.llvm.lower.frame import Frame, Kernel
from kgraph.codegen.llvm.lower.keys import op_key, op_symbols
from kgraph.codegen.llvm.lower.table import lowers, wants_slab
from kgraph.codegen.llvm.lower.tiling import likely
from kgraph.codegen.llvm.target import Target
from kgraph.ir import Size, Value
from kgraph.ir.ops.attention import NEVER, Attention, AttentionGrad
from kgraph.passes.arena import ALIGNMENT, aligned

AnyAttention = Attention | AttentionGrad


@lowers(Attention, AttentionGrad)
def lower_attention(frame: Frame, op: AnyAttention) -> None:
    """A kernel over heads and samples."""
    batch, _, heads, _ = op.q.shape
    values = (*op.operands, *op.results)
    frame.launch(
        ("attention", op_key(op)),
        op.name,
        [frame.pointer(v) for v in values],
        frame.size(batch * heads),
        lambda k: _write(k, op),
        op_symbols(op),
    )


@wants_slab(Attention, AttentionGrad)
def attention_slab(op: AnyAttention, target: Target) -> Size:
    """A tile's buffers."""
    shape, item = _shape(op, target), item_bytes(compute_dtype(op.q.dtype))
    total: Size = ALIGNMENT
    for count in _layout(op, shape).values():
        total = total + aligned(count * item)
    return total


def _shape(op: AnyAttention, target: Target) -> Shape:
    return choose_shape(target, compute_dtype(op.q.dtype), None, None)


def _chunk(op: AnyAttention, shape: Shape) -> int:
    return chunk_rows(shape, likely(op.k.shape[1]))


def _layout(op: AnyAttention, shape: Shape) -> dict[str, Size]:
    span, size, width = op.k.shape[1], op.q.shape[3], op.v.shape[3]
    if isinstance(op, Attention):
        return forward_layout(shape, span, size, width)
    return backward_layout(shape, _chunk(op, shape), span, size, width)


def _write(k: Kernel, op: AnyAttention) -> None:
    """Writes the tile."""
    f, dtype = k.f, op.q.dtype
    compute, shape = compute_dtype(dtype), _shape(op, k.target)
    heads = k.size(op.q.shape[2])
    sample, number = f.udiv(k.index, heads), f.urem(k.index, heads)
    pointers = dict(zip((*op.operands, *op.results), k.arguments, strict=True))
    at: Size = 0
    places = {}
    base = f.align_up(k.slab, ALIGNMENT)
    for name, count in _layout(op, shape).items():
        places[name] = f.offset_bytes(base, k.size(at))
        at = at + aligned(count * item_bytes(compute))

    def rows(pointer: Operand, v: Value) -> Rows:
        _, length, count, size = v.shape
        place = f.add(f.mul(sample, k.size(length * count * size)), f.mul(number, k.size(size)))
        return Rows(f.offset(pointer, place, dtype), k.size(count * size))

    mask = None
    for m in op.mask:
        steps = k.strides(m.shape)
        step = [f.index(0) if n == 1 else s for n, s in zip(m.shape, steps, strict=True)]
        place = f.add(f.mul(sample, step[0]), f.mul(number, step[1]))
        mask = Mask(f.offset(pointers[m], place, "bool"), step[2], step[3])
    head = Head(
        f, shape, dtype, compute, k.size(op.q.shape[1]), k.size(op.k.shape[1]),
        k.size(op.q.shape[3]), k.size(op.v.shape[3]), op.scale, NEVER,
        rows(pointers[op.q], op.q), rows(pointers[op.k], op.k), rows(pointers[op.v], op.v),
        mask, op.causal, places,
    )  # fmt: skip
    given = [rows(pointers[v], v) for v in op.results]
    if isinstance(op, Attention):
        emit_forward(head, given[0])
    else:
        y, g = rows(pointers[op.y], op.y), rows(pointers[op.g], op.g)
        emit_backward(head, y, g, (given[0], given[1], given[2]), _chunk(op, shape))
