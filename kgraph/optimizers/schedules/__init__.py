"""Learning rates that follow from the step."""

from kgraph.optimizers.schedules.cosine import CosineDecay, CosineDecayRestarts
from kgraph.optimizers.schedules.decay import (
    ExponentialDecay,
    InverseTimeDecay,
    PolynomialDecay,
)
from kgraph.optimizers.schedules.lookup import deserialize, serialize
from kgraph.optimizers.schedules.piecewise import PiecewiseConstantDecay
from kgraph.optimizers.schedules.schedule import LearningRateSchedule

__all__ = [
    "CosineDecay",
    "CosineDecayRestarts",
    "ExponentialDecay",
    "InverseTimeDecay",
    "LearningRateSchedule",
    "PiecewiseConstantDecay",
    "PolynomialDecay",
    "deserialize",
    "serialize",
]
