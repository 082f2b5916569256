"""The backend of the process."""

from __future__ import annotations

from kgraph import runtime


def backend() -> str:
    """The backend that models are compiled for: `llvm`, `jax` or `reference`.

    `KGRAPH_BACKEND` decides; else `set_backend`; else `KERAS_BACKEND` (`jax` is jax, `numpy` is
    reference, `tensorflow` and `torch` give a notice and llvm); else it is llvm.

    Raises:
        ValueError: one of the variables names no backend.
    """
    return runtime.backend()


def set_backend(backend: str) -> None:
    """Chooses the backend of models compiled from now on; those that are compiled keep theirs.

    Args:
        backend: `llvm`, `jax` or `reference`.

    Raises:
        ValueError: there is no such backend.
    """
    runtime.set_backend(backend)
