"""The functions of `keras.ops.linalg` that there are."""

from kgraph.ops._norms import norm

__all__ = ["norm"]
