"""Sixteen convolutions by themselves, forward and both gradients, beside PyTorch's."""

from collections.abc import Callable
from importlib import import_module
from typing import Any

from benchmarks.convolutions.cases import CASES, Case, prepared
from benchmarks.jobs import relative_error

__all__ = ["CASES", "Case", "prepared", "start"]

MODULES = {"kgraph": "ours", "torch": "theirs"}


def start(name: str, case: str, mode: str) -> tuple[Callable[[], object], dict[str, Any]]:
    """The step of a case for the peer `name`, and the error of its first run."""
    found = CASES[case]
    module = import_module(f"benchmarks.convolutions.{MODULES[name]}")
    step, results = module.start(found, mode)
    step()
    wanted = found.reference(mode)
    return step, {"error": relative_error(dict(zip(wanted, results(), strict=True)), wanted)}
