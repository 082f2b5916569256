"""What callbacks that watch one value share: is it better than the best so far?"""

import math
import warnings
from typing import Any

from kgraph.callbacks.callback import Callback

__all__ = ["MonitorCallback"]

_MINIMISED = (
    *("loss", "error", "mae", "mse", "mape", "msle", "crossentropy", "hinge", "divergence"),
    *("poisson", "logcosh", "perplexity", "false_", "squared", "absolute"),
)
_MAXIMISED = ("acc", "auc", "precision", "recall", "f1", "fbeta", "iou", "r2", "similarity")


class MonitorCallback(Callback):
    """Base of callbacks with a `monitor`.

    Args:
        monitor: the name of the watched value in `logs`.
        mode: "min", "max", or "auto": as the model's metric of that name says; else by the name,
            "max" for accuracies and the like, "min" for losses and errors; another name is an error
            when it is first compared.
        min_delta: smaller changes count as none.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        mode: str = "auto",
        best: float | None = None,
        min_delta: float = 0.0,
    ) -> None:
        super().__init__()
        if mode not in ("auto", "min", "max"):
            warnings.warn(
                f"{type(self).__name__}: mode {mode!r} is unknown, using 'auto'.", stacklevel=3
            )
            mode = "auto"
        self.monitor = monitor
        self.mode = mode
        self.min_delta = abs(min_delta)
        self.best = best

    def _maximises(self) -> bool:
        if self.mode != "auto":
            return self.mode == "max"
        name = self.monitor.removeprefix("val_")
        for metric in getattr(self.model, "metrics", ()):
            if metric.name == name and hasattr(metric, "_direction"):
                return bool(metric._direction == "up")
        if any(part in name.lower() for part in _MAXIMISED):
            return True
        if any(part in name.lower() for part in _MINIMISED):
            return False
        raise ValueError(
            f"{type(self).__name__}: is a smaller or a larger {self.monitor!r} better? Give "
            "`mode='min'` or `mode='max'`."
        )

    def _worst(self) -> float:
        return -math.inf if self._maximises() else math.inf

    def _is_improvement(self, value: float, reference: float | None) -> bool:
        if reference is None:
            return True
        return (
            value - self.min_delta > reference
            if self._maximises()
            else value + self.min_delta < reference
        )

    def _watched(self, logs: dict[str, Any] | None) -> float | None:
        """The watched value; None and a warning where the logs do not have it."""
        value = (logs or {}).get(self.monitor)
        if value is None:
            known = ", ".join(logs or {})
            warnings.warn(
                f"{type(self).__name__}: there is no {self.monitor!r} in the logs, which have "
                f"{known}.",
                stacklevel=3,
            )
            return None
        return float(value)
