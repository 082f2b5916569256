"""Attention."""

from __future__ import annotations

import math
from typing import Any

from kgraph.ir import Value
from kgraph.ops._activations import softmax
from kgraph.ops._arithmetic import absolute, add, divide, multiply
from kgraph.ops._contractions import einsum
from kgraph.ops._core import cast
from kgraph.ops._creation import tri
from kgraph.ops._dispatch import op
from kgraph.ops._logic import largest_float, logical_and, truth, where
from kgraph.ops._promote import common_dtype
from kgraph.ops._shapes import repeat
from kgraph.ops._trace import context_of

__all__ = ["dot_product_attention"]


@op("nn.DotProductAttention", 6)
def dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    bias: Any = None,
    mask: Any = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Any:
    """Each query's mean of the values, weighted by the softmax of its products with the keys.

    Args:
        query: (batch, time, heads, size).
        key: (batch, span, heads, size); the heads of queries may be a multiple of those of keys.
        value: (batch, span, heads, width).
        bias: added to the products; broadcasts to (batch, heads, time, span).
        mask: False where a query must not look at a key; broadcasts to the same.
        scale: of the products; 1 / sqrt(size) by default.
        is_causal: whether queries look at keys of their own index and below only.
        flash_attention: kept for compatibility.
        attn_logits_soft_cap: bounds the products softly.

    Returns:
        (batch, time, heads, width).

    Raises:
        ValueError: an operand has another rank than 4.
    """
    if any(len(x.shape) != 4 for x in (query, key, value)):
        raise ValueError(
            "`dot_product_attention` only supports 4D inputs. Received: "
            f"query.shape={query.shape}, key.shape={key.shape}, value.shape={value.shape}."
        )
    dtype = common_dtype(query, key, value)
    query, key, value = (cast(x, dtype) for x in (query, key, value))
    groups = query.shape[2] // key.shape[2]
    if groups != 1:
        key, value = repeat(key, groups, 2), repeat(value, groups, 2)
    scale = 1.0 / math.sqrt(int(query.shape[-1])) if scale is None else float(scale)
    if bias is None and attn_logits_soft_cap is None:
        return _whole(query, key, value, mask, scale, is_causal)
    scores = multiply(cast(einsum("btnh,bsnh->bnts", query, key), "float32"), scale)
    if attn_logits_soft_cap is not None:
        scores = divide(scores, add(1.0, divide(absolute(scores), attn_logits_soft_cap)))
    if bias is not None:
        scores = add(scores, bias)
    if is_causal:
        causal = tri(query.shape[1], key.shape[1], dtype="bool")
        mask = causal if mask is None else logical_and(mask, causal)
    if mask is not None:
        scores = where(mask, scores, -0.7 * largest_float("float32"))
    weights = cast(softmax(scores), dtype)
    return einsum("bnts,bsnh->btnh", weights, value)


def _whole(query: Any, key: Any, value: Any, mask: Any, scale: float, is_causal: bool) -> Any:
    context = context_of([x for x in (query, key, value, mask) if x is not None])
    b = context.b
    q, k, v = (context.lift(x) for x in (query, key, value))
    masks: tuple[Value, ...] = ()
    if mask is not None:
        flags = truth(context, mask)
        shape = (*[1] * (4 - flags.type.rank), *flags.type.shape)
        masks = (flags if shape == flags.type.shape else b.reshape(flags, shape),)
    return context.wrap(b.attention(q, k, v, masks, scale, bool(is_causal)))
