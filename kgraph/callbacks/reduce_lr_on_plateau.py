"""A smaller learning rate when a value no longer improves."""

import sys
import warnings
from typing import Any

from kgraph.callbacks.monitor import MonitorCallback
from kgraph.registry import keras_export

__all__ = ["ReduceLROnPlateau"]


@keras_export("keras.callbacks.ReduceLROnPlateau")
class ReduceLROnPlateau(MonitorCallback):
    """Multiplies the learning rate by `factor` when the watched value has not improved for
    `patience` epochs.

    Args:
        monitor, min_delta, mode: see `MonitorCallback`.
        factor: below 1.
        patience: so many epochs without improvement are borne.
        verbose: 1 prints each reduction.
        cooldown: after a reduction, so many epochs are not counted.
        min_lr: the rate never falls below this.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(monitor, mode, min_delta=min_delta)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0; got {factor}.")
        if kwargs:
            raise TypeError(f"ReduceLROnPlateau got unexpected arguments: {sorted(kwargs)}.")
        self.factor, self.patience, self.verbose = factor, patience, verbose
        self.cooldown, self.min_lr = cooldown, min_lr
        self.cooldown_counter = 0
        self.wait = 0

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        if self.patience < 0:
            warnings.warn(
                "ReduceLROnPlateau: `patience` is negative; it counts as 0.", stacklevel=2
            )
        self.best = None
        self.cooldown_counter = self.wait = 0

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        rate = float(self.model.optimizer.learning_rate)
        if logs is not None:
            logs["learning_rate"] = rate
        value = self._watched(logs)
        if value is None:
            return
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.wait = 0
        if self._is_improvement(value, self.best):
            self.best, self.wait = value, 0
        elif self.cooldown_counter <= 0:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                new = max(rate * self.factor, self.min_lr)
                self.model.optimizer.learning_rate = new
                if self.verbose > 0:
                    sys.stdout.write(f"\nEpoch {epoch + 1}: the learning rate falls to {new}.\n")
                self.cooldown_counter, self.wait = self.cooldown, 0
