"""Saving a model while it trains."""

import os
import re
import sys
from pathlib import Path
from typing import Any

from kgraph.callbacks.monitor import MonitorCallback
from kgraph.registry import keras_export

__all__ = ["ModelCheckpoint"]


@keras_export("keras.callbacks.ModelCheckpoint")
class ModelCheckpoint(MonitorCallback):
    """Saves the model, or its weights, at the end of epochs or after so many batches.

    Args:
        filepath: the file's path; may hold `{epoch}` (counted from 1), `{batch}` and names of the
            logs, with formats.
            It ends in `.keras`, or in `.weights.h5` with `save_weights_only`.
        monitor, mode: see `MonitorCallback`; for `save_best_only`.
        verbose: 1 prints what is saved.
        save_best_only: saves only when the watched value is better than the best so far.
        save_weights_only: saves the weights alone.
        save_freq: "epoch", or after every so many batches.
        initial_value_threshold: the value to beat at first.
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: Any = "epoch",
        initial_value_threshold: float | None = None,
    ) -> None:
        super().__init__(monitor, mode, best=initial_value_threshold)
        self.filepath = os.fspath(filepath)
        self.verbose = verbose
        self.save_best_only = save_best_only
        self.save_weights_only = save_weights_only
        self.save_freq = save_freq
        if save_freq != "epoch" and not isinstance(save_freq, int):
            raise ValueError(
                f"`save_freq` must be 'epoch' or a number of batches; got {save_freq!r}."
            )
        ending = ".weights.h5" if save_weights_only else ".keras"
        if not self.filepath.endswith(ending):
            raise ValueError(
                f"`filepath` must end in `{ending}` with save_weights_only={save_weights_only}; "
                f"got {self.filepath!r}."
            )
        self._epoch = 0
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            return
        self._batches += 1
        if self._batches >= self.save_freq:
            self._batches = 0
            self._save(self._epoch, batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        if self.save_freq == "epoch":
            self._save(epoch, None, logs)

    def _save(self, epoch: int, batch: int | None, logs: dict[str, Any] | None) -> None:
        path = self._path(epoch, batch, logs or {})
        if self.save_best_only:
            value = self._watched(logs)
            if value is None:
                return
            if not self._is_improvement(value, self.best):
                self._say(
                    f"\nEpoch {epoch + 1}: {self.monitor} did not improve from {self.best}.\n"
                )
                return
            self.best = value
        self._say(f"\nEpoch {epoch + 1}: saving the model to {path}\n")
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        if self.save_weights_only:
            self.model.save_weights(path, overwrite=True)
        else:
            self.model.save(path, overwrite=True)

    def _path(self, epoch: int, batch: int | None, logs: dict[str, Any]) -> str:
        fields = {"epoch": epoch + 1, **({"batch": batch + 1} if batch is not None else {}), **logs}
        try:
            return self.filepath.format(**fields)
        except KeyError as e:
            asked = re.findall(r"{(\w+)", self.filepath)
            raise KeyError(
                f"`filepath` {self.filepath!r} asks for {asked}; there are {sorted(fields)} and no "
                f"{e}."
            ) from None

    def _say(self, text: str) -> None:
        if self.verbose > 0:
            sys.stdout.write(text)
