"""Progress on the standard output."""

import sys
from typing import Any

from kgraph.callbacks.callback import Callback
from kgraph.registry import keras_export
from kgraph.utils.progbar import Progbar

__all__ = ["ProgbarLogger"]


@keras_export("keras.callbacks.ProgbarLogger")
class ProgbarLogger(Callback):
    """A bar with time and metrics on a terminal, one line per epoch elsewhere (`verbose=2`)."""

    def __init__(self) -> None:
        super().__init__()
        self._bar: Progbar | None = None
        self._in_training = False
        self._lines = False

    def set_params(self, params: dict[str, Any]) -> None:
        super().set_params(params)
        verbose = params.get("verbose", 1)
        self._lines = verbose == 2 or (verbose == "auto" and not sys.stdout.isatty())

    def _begin(self, heading: str = "") -> None:
        if heading and not self._lines:
            sys.stdout.write(f"{heading}\n")
            heading = ""
        self._bar = Progbar(self.params.get("steps"), verbose=2 if self._lines else 1)
        self._bar.prefix = f"{heading} - " if heading else ""

    def _end(self, logs: dict[str, Any] | None) -> None:
        if self._bar is not None:
            self._bar.update(self._bar.seen, list((logs or {}).items()), finalize=True)
            self._bar = None

    def _count(self, batch: int, logs: dict[str, Any] | None) -> None:
        if self._bar is not None:
            self._bar.update(batch + 1, list((logs or {}).items()), finalize=False)

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._in_training = True

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._in_training = False

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._begin(f"Epoch {epoch + 1}/{self.params.get('epochs')}")

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._count(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        self._end(logs)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_training:
            self._begin()

    def on_test_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        if not self._in_training:
            self._count(batch, logs)

    def on_test_end(self, logs: dict[str, Any] | None = None) -> None:
        if not self._in_training:
            self._end(logs)

    def on_predict_begin(self, logs: dict[str, Any] | None = None) -> None:
        self._begin()

    def on_predict_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        self._count(batch, None)

    def on_predict_end(self, logs: dict[str, Any] | None = None) -> None:
        self._end(None)
