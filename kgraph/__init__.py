"""kgraph: Keras-style models in, one typed graph program out, compiled for this machine.

`import kgraph as keras` gives Keras 3's names. Every name is loaded when it is first used, so
that the import itself stays fast and pulls in no compiler, file or terminal library.
"""

import sys
from importlib import import_module
from typing import Any

# `kgraph.version` is Keras's function; the submodule of that name remains importable.
from kgraph.version import __version__, version

_SUBMODULES = frozenset(
    """
    activations callbacks config constraints datasets initializers layers losses metrics models
    ops optimizers random regularizers saving utils
    codegen ir passes runtime
    """.split()
)

_HOMES = {
    "DTypePolicy": "kgraph.utils.dtype_policy",
    "Initializer": "kgraph.initializers",
    "Input": "kgraph.layers",
    "InputSpec": "kgraph.layers",
    "KerasTensor": "kgraph.ops",
    "Layer": "kgraph.layers",
    "Loss": "kgraph.losses",
    "Metric": "kgraph.metrics",
    "Model": "kgraph.models",
    "Optimizer": "kgraph.optimizers",
    "Regularizer": "kgraph.regularizers",
    "Sequential": "kgraph.models",
    "Variable": "kgraph.ops",
    "grad": "kgraph.ops.transform",
    "jit": "kgraph.ops.transform",
    "trace": "kgraph.ops.transform",
    "value_and_grad": "kgraph.ops.transform",
}

__all__ = ["__version__", "version", *sorted(_SUBMODULES), *sorted(_HOMES)]  # noqa: PLE0604


def __getattr__(name: str) -> Any:
    """Loads a public name on its first use (PEP 562)."""
    if name in _SUBMODULES:
        return import_module(f"kgraph.{name}")
    if name in _HOMES:
        value = getattr(import_module(_HOMES[name]), name)
        globals()[name] = value
        return value
    # `name` and `obj` let Python suggest the name that a misspelt one was meant to be.
    message = f"module 'kgraph' has no attribute '{name}'"
    raise AttributeError(message, name=name, obj=sys.modules[__name__])


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
