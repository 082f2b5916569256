"""What is known of a network besides its layers."""

from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Network:
    """A network and its data.

    Attributes:
        name: the name of its module here and in `benchmarks.twins`.
        build: makes the model, given kgraph or keras.
        shape: of a sample, channels last.
        batch: the samples of a step.
        classes: what the targets count.
        targets: the shape of a sample's targets.
        channels: dim 1 holds the channels in PyTorch.
        vocabulary: samples are integers below it; 0: they are floats.
        dropout: the name of the layer that drops, if there is one.
    """

    name: str
    build: Callable[[ModuleType], Any]
    shape: tuple[int, ...]
    batch: int
    classes: int = 10
    targets: tuple[int, ...] = ()
    channels: bool = False
    vocabulary: int = 0
    dropout: str = ""
