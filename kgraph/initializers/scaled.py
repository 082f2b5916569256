"""Initializers whose variance follows from the number of inputs and outputs of a weight."""

import math
from collections.abc import Sequence
from typing import Any

from kgraph import random
from kgraph.initializers.random import RandomInitializer
from kgraph.registry import keras_export

__all__ = [
    "GlorotNormal",
    "GlorotUniform",
    "HeNormal",
    "HeUniform",
    "LecunNormal",
    "LecunUniform",
    "VarianceScaling",
    "compute_fans",
]

# The standard deviation of a standard normal distribution cut off at -2 and 2.
_TRUNCATED_STDDEV = 0.87962566103423978


def compute_fans(
    shape: Sequence[int],
    input_axes: Sequence[int] | None = None,
    output_axes: Sequence[int] | None = None,
) -> tuple[int, int]:
    """Returns how many inputs and outputs a weight of `shape` connects.

    With both axes given, the sizes of those axes; else a matrix is (in, out), and a kernel of
    higher rank (..., in, out) counts its leading sizes on both sides.
    """
    shape = tuple(shape)
    if input_axes is not None and output_axes is not None:
        return (
            math.prod(shape[axis] for axis in input_axes),
            math.prod(shape[axis] for axis in output_axes),
        )
    if not shape:
        return 1, 1
    if len(shape) == 1:
        return int(shape[0]), int(shape[0])
    field = math.prod(shape[:-2])
    return int(shape[-2] * field), int(shape[-1] * field)


@keras_export(["keras.initializers.VarianceScaling", "keras.initializers.variance_scaling"])
class VarianceScaling(RandomInitializer):
    """Draws with variance `scale / n`, n the weight's inputs, outputs, or their mean.

    Args:
        scale: a positive number.
        mode: "fan_in", "fan_out" or "fan_avg".
        distribution: "truncated_normal" (also "normal"), "untruncated_normal" or "uniform".
        seed: an integer, None or a `SeedGenerator`.
        input_axes: the axes of the weight that count as inputs; None: the last but one.
        output_axes: those that count as outputs; None: the last.
    """

    def __init__(
        self,
        scale: float = 1.0,
        mode: str = "fan_in",
        distribution: str = "truncated_normal",
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        if scale <= 0.0:
            raise ValueError(f"`scale` must be a positive number; got {scale!r}.")
        modes = ("fan_in", "fan_out", "fan_avg")
        if mode not in modes:
            raise ValueError(f"`mode` must be one of {modes}; got {mode!r}.")
        distribution = distribution.lower()
        if distribution == "normal":
            distribution = "truncated_normal"
        distributions = ("uniform", "truncated_normal", "untruncated_normal")
        if distribution not in distributions:
            raise ValueError(
                f"`distribution` must be one of {distributions}; got {distribution!r}."
            )
        self.scale = scale
        self.mode = mode
        self.distribution = distribution
        self.input_axes = input_axes
        self.output_axes = output_axes
        super().__init__(seed=seed)

    def __call__(self, shape: Sequence[int], dtype: str | None = None) -> Any:
        fan_in, fan_out = compute_fans(shape, self.input_axes, self.output_axes)
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2.0}
        variance = self.scale / max(1.0, fans[self.mode])
        if self.distribution == "uniform":
            limit = math.sqrt(3.0 * variance)
            return random.uniform(shape, minval=-limit, maxval=limit, dtype=dtype, seed=self.seed)
        if self.distribution == "untruncated_normal":
            return random.normal(
                shape, mean=0.0, stddev=math.sqrt(variance), dtype=dtype, seed=self.seed
            )
        stddev = math.sqrt(variance) / _TRUNCATED_STDDEV
        return random.truncated_normal(shape, mean=0.0, stddev=stddev, dtype=dtype, seed=self.seed)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "scale": self.scale,
            "mode": self.mode,
            "distribution": self.distribution,
            "input_axes": self.input_axes,
            "output_axes": self.output_axes,
        }


class _FixedScaling(VarianceScaling):
    """A `VarianceScaling` whose scale, mode and distribution are the class's."""

    _scale: float
    _mode: str
    _distribution: str

    def __init__(
        self,
        seed: Any = None,
        input_axes: Sequence[int] | None = None,
        output_axes: Sequence[int] | None = None,
    ) -> None:
        super().__init__(self._scale, self._mode, self._distribution, seed, input_axes, output_axes)

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        return {key: config[key] for key in ("seed", "input_axes", "output_axes")}


@keras_export(["keras.initializers.GlorotUniform", "keras.initializers.glorot_uniform"])
class GlorotUniform(_FixedScaling):
    """Draws evenly, with variance 2 / (inputs + outputs); also called Xavier."""

    _scale, _mode, _distribution = 1.0, "fan_avg", "uniform"


@keras_export(["keras.initializers.GlorotNormal", "keras.initializers.glorot_normal"])
class GlorotNormal(_FixedScaling):
    """Draws from a truncated normal distribution with variance 2 / (inputs + outputs)."""

    _scale, _mode, _distribution = 1.0, "fan_avg", "truncated_normal"


@keras_export(["keras.initializers.LecunUniform", "keras.initializers.lecun_uniform"])
class LecunUniform(_FixedScaling):
    """Draws evenly, with variance 1 / inputs."""

    _scale, _mode, _distribution = 1.0, "fan_in", "uniform"


@keras_export(["keras.initializers.LecunNormal", "keras.initializers.lecun_normal"])
class LecunNormal(_FixedScaling):
    """Draws from a truncated normal distribution with variance 1 / inputs."""

    _scale, _mode, _distribution = 1.0, "fan_in", "truncated_normal"


@keras_export(["keras.initializers.HeUniform", "keras.initializers.he_uniform"])
class HeUniform(_FixedScaling):
    """Draws evenly, with variance 2 / inputs."""

    _scale, _mode, _distribution = 2.0, "fan_in", "uniform"


@keras_export(["keras.initializers.HeNormal", "keras.initializers.he_normal"])
class HeNormal(_FixedScaling):
    """Draws from a truncated normal distribution with variance 2 / inputs."""

    _scale, _mode, _distribution = 2.0, "fan_in", "truncated_normal"
