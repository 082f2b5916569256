"""kgraph: Keras-style models in, one typed graph program out, compiled for this machine.

`import kgraph as keras` gives Keras 3's names. Every name is loaded when it is first used, so
that the import itself stays fast and pulls in no compiler, file or terminal library.
"""

from kgraph.lazy import lazy as _lazy

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

__getattr__, __dir__ = _lazy(__name__, {name: f"kgraph.{name}" for name in _SUBMODULES} | _HOMES)
