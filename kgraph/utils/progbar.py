"""A progress bar in a terminal."""

import math
import sys
import time
from typing import Any

from kgraph.registry import keras_export

__all__ = ["Progbar"]


@keras_export("keras.utils.Progbar")
class Progbar:
    """Shows how far a run of steps is, the time per step, and values.

    Args:
        target: the number of steps; None where it is not known.
        width: of the bar, in characters.
        verbose: 0 silent, 1 a bar, 2 one line at the end.
        interval: seconds between two redraws.
        stateful_metrics, stateless_metrics: kept for compatibility; every value is shown as it was
            given last.
        unit_name: what a step is called.

    Attributes:
        prefix: stands before the line, with `verbose=2`.
    """

    def __init__(
        self,
        target: int | None,
        width: int = 20,
        verbose: int = 1,
        interval: float = 0.05,
        stateful_metrics: Any = None,
        stateless_metrics: Any = None,
        unit_name: str = "step",
    ) -> None:
        self.target = target
        self.width = width
        self.verbose = verbose
        self.interval = interval
        self.stateful_metrics = set(stateful_metrics or ())
        self.stateless_metrics = set(stateless_metrics or ())
        self.unit_name = unit_name
        self.prefix = ""
        self.seen = 0
        self._started = time.perf_counter()
        self._after_first = 0.0
        self._drawn = 0.0
        self._width_drawn = 0
        self._finished = False

    def update(
        self,
        current: int,
        values: list[tuple[str, Any]] | None = None,
        finalize: bool | None = None,
    ) -> None:
        """Shows that `current` steps are done, with `(name, value)` pairs behind the bar."""
        if self._finished and finalize:
            return
        self.seen = current
        now = time.perf_counter()
        if current >= 1 and not self._after_first:
            self._after_first = now
        if finalize is None:
            finalize = self.target is not None and current >= self.target
        if finalize and self.target is None:
            self.target = current
        if self.verbose == 1 and (finalize or now - self._drawn >= self.interval):
            self._draw(now, values or [], finalize)
        elif self.verbose == 2 and finalize:
            steps = f"{current}/{self.target or current}"
            sys.stdout.write(
                f"{self.prefix}{steps} - "
                f"{self._timing(now, finalize)}{_values_text(values or [])}\n"
            )
            sys.stdout.flush()
        self._finished = finalize

    def add(self, n: int, values: list[tuple[str, Any]] | None = None) -> None:
        """Shows that `n` more steps are done."""
        self.update(self.seen + n, values)

    def _draw(self, now: float, values: list[tuple[str, Any]], finalize: bool) -> None:
        self._drawn = now
        if self.target:
            digits = len(str(self.target))
            filled = min(self.width, self.width * self.seen // max(self.target, 1))
            done, rest = "━" * filled, "━" * (self.width - filled)
            bar = f"\033[1m{self.seen:>{digits}}/{self.target}\033[0m "
            bar += f"\033[32m{done}\033[0m\033[37m{rest}\033[0m"
            length = 2 * digits + 2 + self.width
        else:
            bar, length = f"\033[1m{self.seen:>7}/Unknown\033[0m", 15
        tail = f" {self._timing(now, finalize)}{_values_text(values)}"
        length += len(tail)
        padding = " " * max(0, self._width_drawn - length)
        self._width_drawn = length
        sys.stdout.write(f"\r{bar}{tail}{padding}" + ("\n" if finalize else ""))
        sys.stdout.flush()

    def _timing(self, now: float, finalize: bool) -> str:
        # the first step carries the compilation; it says nothing about the others
        steps = self.seen - 1 if self.seen > 1 else self.seen
        spent = now - (self._after_first if self.seen > 1 else self._started)
        per_step = spent / max(steps, 1)
        if finalize or not self.target:
            parted = " - " if self.verbose == 2 else " "
            spent = _duration(now - self._started)
            return f"{spent}{parted}{_per_step(per_step)}/{self.unit_name}"
        left = _duration(per_step * (self.target - self.seen))
        return f"\033[1m{left}\033[0m {_per_step(per_step)}/{self.unit_name}"


def _duration(seconds: float) -> str:
    seconds = round(seconds)
    if seconds >= 3600:
        return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"
    return f"{seconds // 60}:{seconds % 60:02d}" if seconds >= 60 else f"{seconds}s"


def _per_step(seconds: float) -> str:
    if seconds >= 1:
        return f"{seconds:.0f}s"
    return f"{seconds * 1e3:.0f}ms" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us"


def _values_text(values: list[tuple[str, Any]]) -> str:
    parts = []
    for name, value in values:
        if isinstance(value, float):
            parts.append(
                f" - {name}: {value:.4f}"
                if math.isnan(value) or abs(value) > 1e-3 or value == 0
                else f" - {name}: {value:.4e}"
            )
        else:
            parts.append(f" - {name}: {value}")
    return "".join(parts)
