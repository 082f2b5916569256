"""A schedule of constant pieces."""

from collections.abc import Sequence
from typing import Any

from kgraph import config, ops
from kgraph.optimizers.schedules.schedule import LearningRateSchedule
from kgraph.registry import keras_export

__all__ = ["PiecewiseConstantDecay"]


@keras_export("keras.optimizers.schedules.PiecewiseConstantDecay")
class PiecewiseConstantDecay(LearningRateSchedule):
    """`values[i]` up to and including step `boundaries[i]`, the last value after all of them.

    Args:
        boundaries: steps, ascending.
        values: rates, one more than the boundaries.
        name: a name.
    """

    def __init__(
        self, boundaries: Sequence[float], values: Sequence[float], name: str = "PiecewiseConstant"
    ) -> None:
        if len(boundaries) != len(values) - 1:
            raise ValueError(
                "PiecewiseConstantDecay needs one value more than boundaries; got "
                f"{len(boundaries)} boundaries {list(boundaries)} and {len(values)} values "
                f"{list(values)}."
            )
        self.boundaries = boundaries
        self.values = values
        self.name = name

    def __call__(self, step: Any) -> Any:
        step = ops.convert_to_tensor(step)
        rate = ops.convert_to_tensor(self.values[-1], dtype=config.floatx())
        pieces = list(zip(self.boundaries, self.values[:-1], strict=True))
        for boundary, value in reversed(pieces):
            rate = ops.where(step <= ops.cast(boundary, step.dtype), value, rate)
        return rate

    def get_config(self) -> dict[str, Any]:
        return {"boundaries": self.boundaries, "values": self.values, "name": self.name}
