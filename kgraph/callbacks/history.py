"""The record that `fit` returns."""

from typing import Any

from kgraph.callbacks.callback import Callback
from kgraph.registry import keras_export

__all__ = ["History"]


@keras_export("keras.callbacks.History")
class History(Callback):
    """Collects the logs of each epoch.

    Attributes:
        history: a list of values, one per epoch, for each metric's name.
        epoch: the epochs, counted from 0.
    """

    def __init__(self) -> None:
        super().__init__()
        self.history: dict[str, list[Any]] = {}
        self.epoch: list[int] = []

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.epoch = []

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self.epoch.append(epoch)
        for name, value in (logs or {}).items():
            self.history.setdefault(name, []).append(value)
