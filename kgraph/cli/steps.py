"""The programs of a model's steps, traced on stand-ins for data."""

from typing import Any

import numpy as np

from kgraph.ir import numpy_dtype
from kgraph.ops import KerasTensor
from kgraph.ops._traced import Traced
from kgraph.utils import tree

KINDS = ("train", "evaluate", "predict")
_STAND_IN = 8  # for sizes that only data would tell


def trace_step(model: Any, kind: str | None) -> Traced:
    """The program of the model's `train`, `evaluate` or `predict` step; None: train if it is
    compiled, else predict.

    Raises:
        ValueError: the model is not built, or is not compiled and the step needs a loss.
    """
    kind = kind or ("train" if model.compiled and model.loss is not None else "predict")
    if kind not in KINDS:
        raise ValueError(f"expected a step of {', '.join(KINDS)}; got {kind!r}")
    if not hasattr(model, "inputs"):
        raise ValueError(
            f"the model {model.name!r} is no Sequential or Functional model: its inputs are not "
            "known"
        )
    if kind != "predict" and (not model.compiled or model.loss is None):
        raise ValueError(
            f"the model {model.name!r} is not compiled with a loss: only --step predict can be "
            "shown"
        )
    specs = [model.input] if kind == "predict" else [model.input, _targets(model)]
    lengths = {
        (i, k): "length"
        for i, spec in enumerate(tree.flatten(specs))
        for k, size in enumerate(spec.shape)
        if k > 0 and size is None
    }
    x, *y = tree.map_structure(_stand_in, specs)
    step = model._step_program({"evaluate": "test"}.get(kind, kind))
    return step.trace(x, y[0] if y else None, None, lengths=lengths)  # type: ignore[no-any-return]


def _stand_in(spec: Any) -> Any:
    sizes = [_STAND_IN if d is None else d for d in spec.shape[1:]]
    return np.zeros([2, *sizes], numpy_dtype(spec.dtype))


def _targets(model: Any) -> Any:
    outputs = model.output
    names = getattr(model, "output_names", [model.layers[-1].name])
    leaves = tree.flatten(outputs)
    losses = model.loss
    per_output = (
        [losses.get(n) for n in names]
        if isinstance(losses, dict)
        else losses
        if isinstance(losses, list | tuple)
        else [losses] * len(leaves)
    )
    found = [_target(t, loss) for t, loss in zip(leaves, per_output, strict=True)]
    return tree.pack_sequence_as(outputs, found)


def _target(output: Any, loss: Any) -> Any:
    name = loss if isinstance(loss, str) else getattr(loss, "name", getattr(loss, "__name__", ""))
    if "sparse" in str(name).lower():
        return KerasTensor(output.shape[:-1], "int32")
    return KerasTensor(output.shape, "float32")
