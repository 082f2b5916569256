"""Comparing a package of ours with Keras's: names, arguments, configs, numbers."""

import inspect
from types import ModuleType
from typing import Any

import numpy as np

__all__ = ["assert_close", "assert_same_arguments", "numbers", "public_callables"]


def numbers(x: Any) -> np.ndarray:
    """The values of an array, tensor or variable of either library."""
    return np.asarray(x.numpy() if hasattr(x, "numpy") else x)


def assert_close(ours: Any, theirs: Any, rtol: float = 2e-6, atol: float = 1e-6) -> None:
    """Same shape, same values to rounding; NaN and inf at the same places."""
    ours, theirs = numbers(ours), numbers(theirs)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(
        ours.astype("float64"), theirs.astype("float64"), rtol=rtol, atol=atol
    )


def public_callables(module: ModuleType) -> list[str]:
    """The names of a module's functions and classes."""
    return [
        name
        for name in dir(module)
        if not name.startswith("_")
        and callable(getattr(module, name))
        and not inspect.ismodule(getattr(module, name))
    ]


def arguments(function: Any) -> list[tuple[str, Any, Any]]:
    """Name, default and kind of every argument."""
    return [(p.name, p.default, p.kind) for p in inspect.signature(function).parameters.values()]


def assert_same_arguments(ours: ModuleType, theirs: ModuleType, name: str) -> None:
    """`name` takes the same arguments in both modules: names, defaults, order and kind."""
    mine, oracle = getattr(ours, name), getattr(theirs, name)
    assert inspect.isclass(mine) == inspect.isclass(oracle)
    assert arguments(mine) == arguments(oracle)
