"""A call of a `keras.ops` function, for the comparison with Keras."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

_random = np.random.default_rng(7)


def floats(*shape: int, dtype: str = "float32", low: float = -2.0, high: float = 2.0) -> Any:
    return _random.uniform(low, high, shape).astype(dtype)


def ints(*shape: int, dtype: str = "int32", low: int = -5, high: int = 6) -> Any:
    return _random.integers(low, high, shape).astype(dtype)


def bools(*shape: int) -> Any:
    return _random.integers(0, 2, shape).astype(bool)


@dataclass(frozen=True)
class Case:
    name: str
    args: tuple[Any, ...]
    kwargs: dict[str, Any] = field(default_factory=dict)
    tolerance: float = 1e-6
    traced: bool = True

    def __str__(self) -> str:
        shown = [_shown(a) for a in self.args] + [
            f"{k}={_shown(v)}" for k, v in self.kwargs.items()
        ]
        return f"{self.name}({', '.join(shown)})"


def _shown(x: Any) -> str:
    if isinstance(x, np.ndarray):
        return f"{x.dtype}{list(x.shape)}".replace(" ", "")
    if isinstance(x, list | tuple):
        return f"[{','.join(map(_shown, x))}]"
    return str(x)
