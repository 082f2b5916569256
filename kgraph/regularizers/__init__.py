"""Regularizers: what weights cost."""

from kgraph.regularizers.base import Regularizer
from kgraph.regularizers.lookup import deserialize, get, serialize
from kgraph.regularizers.norms import L1, L1L2, L2
from kgraph.regularizers.orthogonal import OrthogonalRegularizer

l1 = L1
l1_l2 = L1L2
l2 = L2
orthogonal_regularizer = OrthogonalRegularizer

__all__ = [
    "L1",
    "L1L2",
    "L2",
    "OrthogonalRegularizer",
    "Regularizer",
    "deserialize",
    "get",
    "l1",
    "l1_l2",
    "l2",
    "orthogonal_regularizer",
    "serialize",
]
