"""What a layer expects of its inputs."""

from typing import Any, Self

from kgraph.registry import keras_export
from kgraph.utils import tree

__all__ = ["InputSpec", "assert_input_compatibility"]


@keras_export(["keras.InputSpec", "keras.layers.InputSpec"])
class InputSpec:
    """The dtype, rank and sizes that an input must have.

    Args:
        dtype: None for any.
        shape: sizes; None for any.
        ndim, max_ndim, min_ndim: the rank, or its bounds.
        axes: sizes by axis.
        allow_last_axis_squeeze: a last axis of size 1 may be there or not.
        name: the key of the input in a dict.
        optional: the input may be None.
    """

    def __init__(
        self,
        dtype: Any = None,
        shape: Any = None,
        ndim: int | None = None,
        max_ndim: int | None = None,
        min_ndim: int | None = None,
        axes: dict[int, int | None] | None = None,
        allow_last_axis_squeeze: bool = False,
        name: str | None = None,
        optional: bool = False,
    ) -> None:
        self.dtype = dtype
        self.shape = None if shape is None else tuple(shape)
        self.ndim = len(self.shape) if self.shape is not None else ndim
        self.max_ndim, self.min_ndim = max_ndim, min_ndim
        self.axes = {int(k): axes[k] for k in axes} if axes else {}
        self.allow_last_axis_squeeze = allow_last_axis_squeeze
        self.name = name
        self.optional = optional
        if self.axes and (self.ndim or max_ndim):
            rank = (self.ndim or max_ndim or 0) - 1
            if max(self.axes) > rank:
                raise ValueError(
                    f"Axis {max(self.axes)} is greater than the greatest of the rank, {rank}."
                )

    def __repr__(self) -> str:
        parts = [f"{name}={value!r}" for name, value in self.get_config().items() if value]
        return f"InputSpec({', '.join(parts)})"

    def get_config(self) -> dict[str, Any]:
        """The constructor's arguments."""
        return {
            "dtype": self.dtype,
            "shape": self.shape,
            "ndim": self.ndim,
            "max_ndim": self.max_ndim,
            "min_ndim": self.min_ndim,
            "axes": self.axes,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The spec that `get_config` described."""
        return cls(**config)


def assert_input_compatibility(input_spec: Any, inputs: Any, layer_name: str) -> None:
    """Raises ValueError, which names the layer and the input, where an input does not fit."""
    if not input_spec:
        return
    specs = tree.flatten(input_spec)
    if isinstance(inputs, dict) and all(spec is not None and spec.name for spec in specs):
        missing = [spec.name for spec in specs if spec.name not in inputs and not spec.optional]
        if missing:
            raise ValueError(
                f'The layer "{layer_name}" expects the inputs {missing}, which were not given; got '
                f"{sorted(inputs)}."
            )
        values = [inputs.get(spec.name) for spec in specs]
    else:
        values = tree.flatten(inputs)
    if len(values) != len(specs):
        raise ValueError(
            f'The layer "{layer_name}" expects {len(specs)} input(s); got {len(values)}: '
            f"{[_described(v) for v in values]}."
        )
    for i, (spec, value) in enumerate(zip(specs, values, strict=True)):
        if spec is None or (value is None and spec.optional):
            continue
        problem = _problem(spec, value)
        if problem:
            raise ValueError(
                f'Input {i} of the layer "{layer_name}" does not fit: {problem}; got '
                f"{_described(value)}."
            )


def _problem(spec: InputSpec, value: Any) -> str:  # noqa: C901  # one test per field
    if value is None or not hasattr(value, "shape"):
        return "expected a tensor"
    shape = [d if isinstance(d, int) else None for d in value.shape]
    rank = len(shape)
    wanted = list(spec.shape) if spec.shape is not None else None
    if spec.ndim is not None and rank != spec.ndim and not spec.allow_last_axis_squeeze:
        return f"expected ndim={spec.ndim}, found ndim={rank}"
    if spec.max_ndim is not None and rank > spec.max_ndim:
        return f"expected max_ndim={spec.max_ndim}, found ndim={rank}"
    if spec.min_ndim is not None and rank < spec.min_ndim:
        return f"expected min_ndim={spec.min_ndim}, found ndim={rank}"
    if spec.dtype is not None and value.dtype != spec.dtype:
        return f"expected dtype={spec.dtype}, found dtype={value.dtype}"
    for axis, size in spec.axes.items():
        if size is not None and shape[axis] not in (size, None):
            found = shape[axis]
            return f"expected axis {axis} of the input shape to have the size {size}, found {found}"
    if wanted is None:
        return ""
    if spec.allow_last_axis_squeeze:
        if shape and shape[-1] == 1 and rank == len(wanted) + 1:
            shape = shape[:-1]
        elif wanted and wanted[-1] == 1 and rank == len(wanted) - 1:
            wanted = wanted[:-1]
    fits = len(shape) == len(wanted) and all(
        a is None or b is None or a == b for a, b in zip(shape, wanted, strict=True)
    )
    return "" if fits else f"expected shape={tuple(wanted)}"


def _described(value: Any) -> str:
    if not hasattr(value, "shape"):
        return f"{type(value).__name__} {value!r:.50}"
    shape = tuple(d if isinstance(d, int) else None for d in value.shape)
    return f"shape={shape}, dtype={value.dtype}"
