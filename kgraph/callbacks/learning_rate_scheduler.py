"""A learning rate by epoch."""

import inspect
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from kgraph.callbacks.callback import Callback
from kgraph.registry import keras_export

__all__ = ["LearningRateScheduler"]


@keras_export("keras.callbacks.LearningRateScheduler")
class LearningRateScheduler(Callback):
    """Sets the optimizer's learning rate before each epoch.

    Args:
        schedule: `schedule(epoch, learning_rate)`, or `schedule(epoch)`, returns the new rate.
        verbose: 1 prints each change.
    """

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        super().__init__()
        self.schedule = schedule
        self.verbose = verbose

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        optimizer = self.model.optimizer
        if not hasattr(optimizer, "learning_rate"):
            raise ValueError('The optimizer must have a "learning_rate" attribute.')
        rate = float(optimizer.learning_rate)
        new = self.schedule(epoch, rate) if self._takes_rate() else self.schedule(epoch)
        if not isinstance(new, float | np.floating):
            raise ValueError(f"`schedule` must return a float; got {new!r}.")
        optimizer.learning_rate = float(new)
        if self.verbose > 0:
            sys.stdout.write(f"\nEpoch {epoch + 1}: the learning rate is {float(new)}.\n")

    def _takes_rate(self) -> bool:
        try:
            inspect.signature(self.schedule).bind(0, 0.0)
        except TypeError:  # a schedule of the epoch alone
            return False
        except ValueError:  # a function that does not tell
            return True
        return True

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate)
