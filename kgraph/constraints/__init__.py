"""Constraints: what weights may be."""

from kgraph.constraints.base import Constraint
from kgraph.constraints.lookup import deserialize, get, serialize
from kgraph.constraints.norms import MaxNorm, MinMaxNorm, UnitNorm
from kgraph.constraints.sign import NonNeg

max_norm = MaxNorm
min_max_norm = MinMaxNorm
non_neg = NonNeg
unit_norm = UnitNorm

__all__ = [
    "Constraint",
    "MaxNorm",
    "MinMaxNorm",
    "NonNeg",
    "UnitNorm",
    "deserialize",
    "get",
    "max_norm",
    "min_max_norm",
    "non_neg",
    "serialize",
    "unit_norm",
]
