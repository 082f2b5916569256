"""A constraint on signs."""

from typing import Any

from kgraph import ops
from kgraph.constraints.base import Constraint
from kgraph.registry import keras_export

__all__ = ["NonNeg"]


@keras_export(["keras.constraints.NonNeg", "keras.constraints.non_neg"])
class NonNeg(Constraint):
    """Sets negative values to 0."""

    def __call__(self, w: Any) -> Any:
        return ops.maximum(ops.convert_to_tensor(w), 0)
