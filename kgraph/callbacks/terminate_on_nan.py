"""Stopping when the loss is no number."""

import math
import sys
from typing import Any

from kgraph.callbacks.callback import Callback
from kgraph.registry import keras_export

__all__ = ["TerminateOnNaN"]


@keras_export("keras.callbacks.TerminateOnNaN")
class TerminateOnNaN(Callback):
    """Stops training when the loss of a batch is NaN or infinite.

    Args:
        raise_error: raises RuntimeError in place of a quiet end, so that the other callbacks do not
            take training for finished.
    """

    def __init__(self, raise_error: bool = False) -> None:
        super().__init__()
        self.raise_error = raise_error

    def on_train_batch_end(self, batch: int, logs: dict[str, Any] | None = None) -> None:
        loss = (logs or {}).get("loss")
        if loss is not None and not math.isfinite(loss):
            if self.raise_error:
                raise RuntimeError(f"Batch {batch}: the loss is {loss}.")
            sys.stdout.write(f"\nBatch {batch}: the loss is {loss}, training stops.\n")
            self.model.stop_training = True
