"""A table of the epochs' results."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

from kgraph.callbacks.callback import Callback
from kgraph.registry import keras_export

__all__ = ["CSVLogger"]


@keras_export("keras.callbacks.CSVLogger")
class CSVLogger(Callback):
    """Writes the logs of each epoch as a line of a CSV file.

    Args:
        filename: the file's path.
        separator: between the columns.
        append: goes on with an existing file.
    """

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        super().__init__()
        self.filename = Path(filename)
        self.sep = separator
        self.append = append
        self._columns: list[str] | None = None

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._columns = None
        if not self.append:
            self.filename.write_text("")

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        logs = logs or {}
        begins = not self.filename.exists() or self.filename.stat().st_size == 0
        if self._columns is None:
            self._columns = ["epoch", *sorted(logs)]
        with self.filename.open("a", newline="") as file:
            writer = csv.DictWriter(
                file, self._columns, delimiter=self.sep, extrasaction="ignore", restval="NA"
            )
            if begins:
                writer.writeheader()
            writer.writerow(
                {"epoch": epoch, **{name: _text(value) for name, value in logs.items()}}
            )


def _text(value: Any) -> str:
    return str(value) if np.ndim(value) == 0 else " ".join(map(str, np.ravel(value)))
