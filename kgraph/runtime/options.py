"""Where options come from: the environment, once, and what the process set since."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping

from kgraph.codegen import BACKENDS, Options

# What stands for each of Keras's backends. TensorFlow's and PyTorch's place is taken by llvm.
_KERAS_BACKENDS = {"jax": "jax", "numpy": "reference", "tensorflow": "llvm", "torch": "llvm"}

_log = logging.getLogger("kgraph")
_chosen: str | None = None  # by set_backend
_noticed: set[str] = set()


def notice(message: str) -> None:
    """Says something once per process, through the logger `kgraph` (by default on stderr)."""
    if message not in _noticed:
        _noticed.add(message)
        _log.warning(message)


def backend_of_environment(environment: Mapping[str, str] = os.environ) -> str:
    """The backend that the environment asks for.

    `KGRAPH_BACKEND` wins. Else `KERAS_BACKEND`: `jax` is jax, `numpy` is reference, `tensorflow`
    and `torch` are llvm, after a notice. Else llvm.

    Raises:
        ValueError: a variable names no backend.
    """
    if wanted := environment.get("KGRAPH_BACKEND", "").strip():
        return _known(wanted, "KGRAPH_BACKEND", BACKENDS)
    if not (keras := environment.get("KERAS_BACKEND", "").strip()):
        return "llvm"
    if keras in BACKENDS:
        return keras
    found = _KERAS_BACKENDS[_known(keras, "KERAS_BACKEND", tuple(_KERAS_BACKENDS))]
    if keras in ("tensorflow", "torch"):
        notice(
            f"kgraph: KERAS_BACKEND={keras} names a library that kgraph does not use; "
            "the llvm backend takes its place"
        )
    return found


def backend() -> str:
    """The backend that programs are compiled for unless they ask for another."""
    return _chosen if _chosen is not None else backend_of_environment()


def set_backend(name: str | None) -> None:
    """Chooses the process's backend (None: the environment's again). `KGRAPH_BACKEND` still wins,
    with a notice.

    Raises:
        ValueError: there is no such backend.
    """
    global _chosen
    if name is not None:
        _known(name, "backend", BACKENDS)
        if (fixed := os.environ.get("KGRAPH_BACKEND", "").strip()) and fixed != name:
            notice(f"kgraph: KGRAPH_BACKEND={fixed} is set and wins over the backend {name}")
            name = None
    _chosen = name


def default_options(
    backend: str | None = None, environment: Mapping[str, str] = os.environ
) -> Options:
    """The options that the environment asks for.

    `KGRAPH_EXACT`, `KGRAPH_FAST_MATH`, `KGRAPH_TF32`, `KGRAPH_VERIFY`, `KGRAPH_POISON` and
    `KGRAPH_FIND_NAN` are switches (1 or 0), `KGRAPH_GUARD` is one too, or `start`, `KGRAPH_TARGET`
    names a CPU, `KGRAPH_DISABLE` lists passes to leave out.

    Args:
        backend: a backend to use in place of the process's; `KGRAPH_BACKEND` still wins.
        environment: the variables.

    Raises:
        ValueError: a variable has a value that it cannot have.
    """
    if backend is not None:
        _known(backend, "backend", BACKENDS)
    chosen = environment.get("KGRAPH_BACKEND", "").strip() or backend or _chosen
    disabled = environment.get("KGRAPH_DISABLE", "").replace(",", " ").split()
    return Options(
        backend=_known(chosen, "KGRAPH_BACKEND", BACKENDS)
        if chosen
        else backend_of_environment(environment),
        target=environment.get("KGRAPH_TARGET", "").strip(),
        exact=_switch(environment, "KGRAPH_EXACT"),
        fast_math=_switch(environment, "KGRAPH_FAST_MATH"),
        tf32=_switch(environment, "KGRAPH_TF32"),
        verify=_switch(environment, "KGRAPH_VERIFY"),
        poison=_switch(environment, "KGRAPH_POISON"),
        guard=_guard(environment),
        find_nan=_switch(environment, "KGRAPH_FIND_NAN"),
        disabled=tuple(sorted(disabled)),
    )


def _known(name: str, source: str, names: tuple[str, ...]) -> str:
    if name not in names:
        raise ValueError(f"{source}: expected one of {', '.join(names)}; got {name!r}")
    return name


def _guard(environment: Mapping[str, str]) -> str:
    if environment.get("KGRAPH_GUARD", "").strip() == "start":
        return "start"
    return "end" if _switch(environment, "KGRAPH_GUARD") else ""


def _switch(environment: Mapping[str, str], name: str) -> bool:
    value = environment.get(name, "").strip().lower()
    if value not in ("", "0", "1", "false", "true"):
        raise ValueError(f"{name}: expected 0 or 1; got {value!r}")
    return value in ("1", "true")
