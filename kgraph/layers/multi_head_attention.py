"""Multi-head attention (Vaswani et al., Attention is all you need, 2017)."""

import math
from typing import Any

from kgraph import constraints, initializers, ops, regularizers
from kgraph.layers.dropout import Dropout
from kgraph.layers.einsum_dense import EinsumDense
from kgraph.layers.layer import Layer
from kgraph.registry import keras_export

__all__ = ["MultiHeadAttention"]


@keras_export("keras.layers.MultiHeadAttention")
class MultiHeadAttention(Layer):
    """Attends from `query (batch, targets, dim)` to `value (batch, sources, dim)` and `key`.

    Args:
        num_heads: the number of heads.
        key_dim, value_dim: their sizes; value_dim as key_dim by default.
        dropout: the part of the weights that is left out in training.
        use_bias: whether the projections have a bias.
        output_shape: the last size of the output; None: that of the query.
        attention_axes: only None: the one axis between batch and features.
        flash_attention, use_gate: only the defaults.
        kernel_initializer, bias_initializer, kernel_regularizer, bias_regularizer, activity_regularizer,
        kernel_constraint, bias_constraint: names or objects.
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
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        if use_gate or attention_axes not in (None, 1, (1,), [1]):
            raise ValueError("MultiHeadAttention: `use_gate` and several `attention_axes` are not supported.")
        self.supports_masking = True
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.dropout, self.use_bias = dropout, use_bias
        self.output_size = output_shape if output_shape is None or isinstance(output_shape, int) else tuple(output_shape)[-1]
        self._given_output_shape = output_shape
        self.attention_axes = attention_axes
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)
        self.seed = seed

    def build(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> None:
        key_shape = value_shape if key_shape is None else key_shape
        heads = self.num_heads
        self.query_dense = self._projection("query", "abc,cde->abde", (None, heads, self.key_dim), "de", query_shape)
        self.key_dense = self._projection("key", "abc,cde->abde", (None, heads, self.key_dim), "de", key_shape)
        self.value_dense = self._projection("value", "abc,cde->abde", (None, heads, self.value_dim), "de", value_shape)
        width = self.output_size or query_shape[-1]
        self.output_dense = self._projection("attention_output", "abcd,cde->abe", (None, width), "e", (query_shape[0], query_shape[1], heads, self.value_dim))
        self.dropout_layer = Dropout(self.dropout, dtype=self.dtype_policy, seed=self.seed) if self.dropout > 0 else None

    def _projection(self, name: str, equation: str, output_shape: Any, bias_axes: str, input_shape: Any) -> EinsumDense:
        layer = EinsumDense(
            equation,
            output_shape=output_shape,
            bias_axes=bias_axes if self.use_bias else None,
            name=name,
            dtype=self.dtype_policy,
            kernel_initializer=self.kernel_initializer,
            bias_initializer=self.bias_initializer,
            kernel_regularizer=self.kernel_regularizer,
            bias_regularizer=self.bias_regularizer,
            kernel_constraint=self.kernel_constraint,
            bias_constraint=self.bias_constraint,
        )
        layer.build(input_shape)
        return layer

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
        """The attended values, and the weights `(batch, heads, targets, sources)` where they were asked for."""
        key = value if key is None else key
        mask = self._mask(query, value, query_mask, value_mask, key_mask, attention_mask, use_causal_mask)
        q = self.query_dense(query) * (1.0 / math.sqrt(float(self.key_dim)))
        scores = ops.einsum("aecd,abcd->acbe", self.key_dense(key), q)
        if mask is not None:
            lowest = -3e4 if scores.dtype == "float16" else -1e9
            scores = scores + (1.0 - ops.cast(ops.expand_dims(mask, 1), scores.dtype)) * lowest
        weights = ops.softmax(scores, axis=-1)
        dropped = weights if self.dropout_layer is None else self.dropout_layer(weights, training=training)
        outputs = self.output_dense(ops.einsum("acbe,aecd->abcd", dropped, self.value_dense(value)))
        return (outputs, weights) if return_attention_scores else outputs

    def _mask(self, query: Any, value: Any, query_mask: Any, value_mask: Any, key_mask: Any, attention_mask: Any, causal: bool) -> Any:
        """Where a target may see a source, `(batch, targets, sources)`; None for everywhere."""
        parts = [
            None if query_mask is None else ops.expand_dims(ops.cast(query_mask, "bool"), -1),
            None if value_mask is None else ops.expand_dims(ops.cast(value_mask, "bool"), -2),
            None if key_mask is None else ops.expand_dims(ops.cast(key_mask, "bool"), -2),
            _causal(query, value) if causal else None,
            None if attention_mask is None else ops.cast(attention_mask, "bool"),
        ]
        found = None
        for part in parts:
            if part is not None:
                found = part if found is None else ops.logical_and(found, part)
        return found

    def compute_mask(self, inputs: Any, previous_mask: Any = None) -> Any:
        return previous_mask[0] if isinstance(previous_mask, list | tuple) else previous_mask

    def compute_output_shape(self, query_shape: Any, value_shape: Any, key_shape: Any = None) -> Any:
        return (*query_shape[:-1], self.output_size or query_shape[-1])

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "key_dim": self.key_dim,
            "value_dim": self.value_dim,
            "dropout": self.dropout,
            "use_bias": self.use_bias,
            "output_shape": self._given_output_shape,
            "attention_axes": self.attention_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "activity_regularizer": regularizers.serialize(self.activity_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
            "seed": self.seed,
        }


def _causal(query: Any, value: Any) -> Any:
    targets, sources = ops.arange(query.shape[1]), ops.arange(value.shape[1])
    return ops.expand_dims(ops.expand_dims(targets, 1) >= ops.expand_dims(sources, 0), 0)
