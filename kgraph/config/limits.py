"""Limits on training, for trying a script out without changing it."""

from __future__ import annotations

import os

_limits: dict[str, int | None] = {}


def max_epochs() -> int | None:
    """The most epochs that any `fit` runs: `set_max_epochs`, else `KERAS_MAX_EPOCHS`, else None."""
    return _limit("KERAS_MAX_EPOCHS")


def set_max_epochs(max_epochs: int | None) -> None:
    """Limits the epochs of every `fit`; None takes the limit away."""
    _limits["KERAS_MAX_EPOCHS"] = max_epochs


def max_steps_per_epoch() -> int | None:
    """The most steps of an epoch: the setter's, else `KERAS_MAX_STEPS_PER_EPOCH`, else None."""
    return _limit("KERAS_MAX_STEPS_PER_EPOCH")


def set_max_steps_per_epoch(max_steps_per_epoch: int | None) -> None:
    """Limits the steps of every epoch, in `evaluate` and `predict` too; None: no limit."""
    _limits["KERAS_MAX_STEPS_PER_EPOCH"] = max_steps_per_epoch


def _limit(name: str) -> int | None:
    if name in _limits:
        return _limits[name]
    text = os.environ.get(name, "").strip()
    if text and not text.isdecimal():
        raise ValueError(f"{name}: expected a number; got {text!r}")
    return int(text) if text else None
