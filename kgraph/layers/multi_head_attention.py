"""Multi-head attention (Vaswani et al., Attention is all you need, 2017)."""

import math
import string
from typing import Any

from kgraph import ops, regularizers
from kgraph.layers.activation import Softmax
from kgraph.layers.dropout import Dropout
from kgraph.layers.einsum_dense import EinsumDense
from kgraph.layers.layer import Layer
from kgraph.layers.weight_options import take_options, weight_options
from kgraph.ops import KerasTensor
from kgraph.registry import keras_export
from kgraph.utils.masking import get_keras_mask, set_keras_mask

__all__ = ["MultiHeadAttention"]

_OPTIONS = (
    "kernel_initializer", "bias_initializer", "kernel_regularizer", "bias_regularizer",
    "kernel_constraint", "bias_constraint",
)  # fmt: skip


@keras_export("keras.layers.MultiHeadAttention")
class MultiHeadAttention(Layer):
    """Attends from `query (batch, targets, dim)` to `value (batch, sources, dim)` and `key`.

    Args:
        num_heads: the number of heads.
        key_dim, value_dim: their sizes; value_dim as key_dim by default.
        dropout: the part of the attention weights that is left out in training.
        use_bias: whether the projections have a bias.
        output_shape: the last sizes of the output; None: that of the query.
        attention_axes: the axes to attend over; None: all between batch and features.
        sliding_window: a target sees only sources nearer than this; None: all.
        flash_attention: kept for compatibility; how attention is computed is the compiler's choice.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer,
        activity_regularizer, kernel_constraint, bias_constraint: names or objects.
        use_gate: multiplies each head's output with a sigmoid of the query.
        seed: for the dropout.
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: Any = None,
        attention_axes: Any = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        _check_positive(
            num_heads=num_heads,
            key_dim=key_dim,
            value_dim=value_dim or 1,
            sliding_window=sliding_window or 1,
        )
        super().__init__(**kwargs)
        self.supports_masking = True
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.dropout, self.use_bias, self.use_gate = dropout, use_bias, use_gate
        shape = (output_shape,) if isinstance(output_shape, int) else output_shape
        self._output_shape = tuple(shape) if shape else None
        axes = (attention_axes,) if isinstance(attention_axes, int) else attention_axes
        if axes is not None and not isinstance(axes, list | tuple):
            raise ValueError(
                "`attention_axes` must be an int, list, or tuple. "
                f"Received: attention_axes={attention_axes}"
            )
        self.attention_axes: Any = axes
        self.sliding_window, self.flash_attention, self.seed = sliding_window, flash_attention, seed
        take_options(
            self,
            kernel_initializer=kernel_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
        )
        # of the projections; the layer's own `activity_regularizer` stays None
        self._inner_regularizer = regularizers.get(activity_regularizer)

    # ---- weights ----

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        self._check_shapes(value_shape, key_shape)
        heads = self.num_heads
        self.query_dense = self._projection("query", query_shape, 1, (heads, self.key_dim))
        self.key_dense = self._projection("key", key_shape, 1, (heads, self.key_dim))
        inner = (heads, self.value_dim)
        if self.use_gate:
            self.gate_dense = self._projection("gate", query_shape, 1, inner, "sigmoid")
        self.value_dense = self._projection("value", value_shape, 1, inner)
        rank = len(value_shape)
        axes = range(1, rank - 1) if self.attention_axes is None else self.attention_axes
        self.attention_axes = tuple(a % rank for a in axes)
        self._score_equation, self._sum_equation = _equations(rank + 1, self.attention_axes)
        count = len(self.attention_axes)
        score_rank = rank + count  # batch dims, heads, targets, sources
        axis = tuple(range(score_rank - count, score_rank))
        self._softmax = Softmax(axis=axis, dtype=self.dtype_policy)
        self._dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed)
        attended = (*query_shape[:-1], *inner)
        last = self._output_shape or (query_shape[-1],)
        self.output_dense = self._projection("attention_output", attended, 2, last)

    def _projection(
        self, name: str, shape: Any, bound: int, last: Any, activation: Any = None
    ) -> EinsumDense:
        """A dense layer over the last `bound` dims of inputs of a shape."""
        letters = string.ascii_lowercase
        free = letters[: len(shape) - bound]
        summed = letters[len(free) : len(shape)]
        new = letters[len(shape) : len(shape) + len(last)]
        options = {key: getattr(self, key) for key in _OPTIONS}
        for key in ("kernel_initializer", "bias_initializer"):  # each with its own random numbers
            initializer = options[key]
            options[key] = type(initializer).from_config(initializer.get_config())
        layer = EinsumDense(
            f"{free}{summed},{summed}{new}->{free}{new}",
            output_shape=(*[None] * (len(free) - 1), *last),
            bias_axes=new if self.use_bias else None,
            activation=activation,
            activity_regularizer=self._inner_regularizer,
            name=name,
            dtype=self.dtype_policy,
            **options,
        )
        layer.build(shape)
        return layer

    def _check_shapes(self, value_shape: Any, key_shape: Any) -> None:
        if tuple(value_shape[1:-1]) != tuple(key_shape[1:-1]):
            raise ValueError(
                "All dimensions of `value` and `key`, except the last one, must be equal. "
                f"Received: value_shape={value_shape} and key_shape={key_shape}"
            )

    # ---- calls ----

    def call(
        self,
        query: Any,
        value: Any,
        key: Any = None,
        query_mask: Any = None,
        value_mask: Any = None,
        key_mask: Any = None,
        attention_mask: Any = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Any:
        """The attended values, and the attention weights where they were asked for."""
        key = value if key is None else key
        query_mask = get_keras_mask(query) if query_mask is None else query_mask
        for x in (query, value, key):  # the projections have nothing to do with masks
            set_keras_mask(x, None)
        parts = [
            None if query_mask is None else ops.expand_dims(ops.cast(query_mask, "bool"), -1),
            None if value_mask is None else ops.expand_dims(ops.cast(value_mask, "bool"), -2),
            None if key_mask is None else ops.expand_dims(ops.cast(key_mask, "bool"), -2),
            None if attention_mask is None else ops.cast(attention_mask, "bool"),
            *self._place_masks(query, value, use_causal_mask),
        ]
        mask = None
        for part in parts:
            if part is not None:
                mask = part if mask is None else ops.logical_and(mask, part)
        gate = self.gate_dense(query) if self.use_gate else None
        attended, weights = self._compute_attention(
            self.query_dense(query), self.key_dense(key), self.value_dense(value), mask, training,
            return_attention_scores,
        )  # fmt: skip
        outputs = self.output_dense(attended if gate is None else attended * gate)
        if query_mask is not None:
            set_keras_mask(outputs, query_mask)
        return (outputs, weights) if return_attention_scores else outputs

    def _place_masks(self, query: Any, value: Any, causal: bool) -> list[Any]:
        """Masks `(1, targets, sources)` that depend on places only."""
        if not causal and self.sliding_window is None:
            return []
        targets = ops.reshape(ops.arange(query.shape[1], dtype="int32"), (1, query.shape[1], 1))
        sources = ops.reshape(ops.arange(value.shape[1], dtype="int32"), (1, 1, value.shape[1]))
        found = [ops.greater_equal(targets, sources)] if causal else []
        if self.sliding_window is not None:
            found.append(ops.less(ops.abs(targets - sources), self.sliding_window))
        return found

    def _compute_attention(
        self,
        query: Any,
        key: Any,
        value: Any,
        attention_mask: Any = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
    ) -> tuple[Any, Any]:
        """Attention of projected tensors, and its weights; a subclass may compute it otherwise.

        Where nobody wants the weights it is one op, for which a backend may have a kernel.
        """
        scale = 1.0 / math.sqrt(float(self.key_dim))
        axes = len(self.attention_axes)
        if attention_mask is not None:
            for _ in range(len(query.shape) + axes - 1 - len(attention_mask.shape)):
                attention_mask = ops.expand_dims(attention_mask, -2 * axes - 1)
        drops = self.dropout > 0 and training is not False
        if not (return_attention_scores or drops) and axes == 1 and len(query.shape) == 4:
            whole = ops.dot_product_attention(query, key, value, mask=attention_mask, scale=scale)
            return whole, None
        query = query * ops.cast(scale, query.dtype)
        scores = ops.einsum(self._score_equation, key, query)
        weights = self._softmax(scores, mask=attention_mask)
        kept = self._dropout_layer(weights, training=training) if self.dropout > 0 else weights
        return ops.einsum(self._sum_equation, kept, value), weights

    # ---- shapes and configuration ----

    def compute_output_shape(
        self, query_shape: Any, value_shape: Any, key_shape: Any = None
    ) -> Any:
        self._check_shapes(value_shape, value_shape if key_shape is None else key_shape)
        return (*query_shape[:-1], *(self._output_shape or query_shape[-1:]))

    def compute_output_spec(
        self, query: Any, value: Any, key: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        key_shape = None if key is None else key.shape
        shape = self.compute_output_shape(query.shape, value.shape, key_shape)
        outputs = KerasTensor(shape, self.compute_dtype)
        if not kwargs.get("return_attention_scores"):
            return outputs
        scores = (query.shape[0], self.num_heads, query.shape[1], value.shape[1])
        return outputs, KerasTensor(scores, self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "use_gate": self.use_gate,
            "output_shape": self._output_shape,
            "attention_axes": self.attention_axes,
            "sliding_window": self.sliding_window,
            **weight_options(self, *_OPTIONS),
            "activity_regularizer": regularizers.serialize(self._inner_regularizer),
            "seed": self.seed,
        }


def _equations(rank: int, axes: tuple[int, ...]) -> tuple[str, str]:
    """The sums of the attention weights, and of the values by them.

    Both for tensors `(batch dims and attended axes, heads, features)` of this rank: key and query
    give `(batch dims, heads, targets, sources)`, which with the value gives a tensor as the query.
    """
    target = string.ascii_lowercase[:rank]
    fresh = iter(string.ascii_lowercase[rank:])
    source = "".join(next(fresh) if i in axes else c for i, c in enumerate(target))
    outer = "".join(c for i, c in enumerate(target[:-1]) if i not in axes)
    pair = "".join(target[i] for i in axes) + "".join(source[i] for i in axes)
    scores = outer + pair
    return f"{source},{target}->{scores}", f"{scores},{source}->{target}"


def _check_positive(**sizes: Any) -> None:
    for name, value in sizes.items():
        if not isinstance(value, int) or value <= 0:
            raise ValueError(
                f"Received an invalid value for argument `{name}`, expected a positive integer. "
                f"Received: {name}={value}"
            )
