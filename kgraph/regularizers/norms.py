"""Costs in proportion to the size of the values."""

from typing import Any

from kgraph import ops
from kgraph.registry import keras_export
from kgraph.regularizers.base import Regularizer, check_factor

__all__ = ["L1", "L1L2", "L2"]


@keras_export(["keras.regularizers.L1", "keras.regularizers.l1"])
class L1(Regularizer):
    """`l1 * sum(abs(x))`.

    Args:
        l1: the factor; None: 0.01.
    """

    def __init__(self, l1: float = 0.01) -> None:
        self.l1 = check_factor(0.01 if l1 is None else l1, "l1")

    def __call__(self, x: Any) -> Any:
        return self.l1 * ops.sum(ops.abs(x))

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1}


@keras_export(["keras.regularizers.L2", "keras.regularizers.l2"])
class L2(Regularizer):
    """`l2 * sum(x ** 2)`.

    Args:
        l2: the factor; None: 0.01.
    """

    def __init__(self, l2: float = 0.01) -> None:
        self.l2 = check_factor(0.01 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> Any:
        return self.l2 * ops.sum(ops.square(x))

    def get_config(self) -> dict[str, Any]:
        return {"l2": self.l2}


@keras_export(["keras.regularizers.L1L2", "keras.regularizers.l1_l2"])
class L1L2(Regularizer):
    """`l1 * sum(abs(x)) + l2 * sum(x ** 2)`.

    Args:
        l1: the first factor; None: 0.
        l2: the second factor; None: 0.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1 = check_factor(0.0 if l1 is None else l1, "l1")
        self.l2 = check_factor(0.0 if l2 is None else l2, "l2")

    def __call__(self, x: Any) -> Any:
        cost = ops.zeros((), dtype=x.dtype)
        if self.l1:
            cost = cost + self.l1 * ops.sum(ops.abs(x))
        if self.l2:
            cost = cost + self.l2 * ops.sum(ops.square(x))
        return cost

    def get_config(self) -> dict[str, Any]:
        return {"l1": self.l1, "l2": self.l2}
