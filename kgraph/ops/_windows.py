"""Windows for signals."""

from __future__ import annotations

from typing import Any

import numpy as np

from kgraph import config
from kgraph.ir import Array, numpy_dtype
from kgraph.ops._core import convert_to_numpy
from kgraph.ops._dispatch import op

__all__ = ["bartlett", "blackman", "hamming", "hanning", "kaiser"]


def _made(window: Array) -> Array:
    return window.astype(numpy_dtype(config.floatx()))


@op()
def bartlett(x: Any) -> Any:
    """The Bartlett window of x points: a triangle that ends in zeros."""
    return _made(np.bartlett(int(convert_to_numpy(x))))


@op()
def blackman(x: Any) -> Any:
    """The Blackman window of x points."""
    return _made(np.blackman(int(convert_to_numpy(x))))


@op()
def hamming(x: Any) -> Any:
    """The Hamming window of x points."""
    return _made(np.hamming(int(convert_to_numpy(x))))


@op()
def hanning(x: Any) -> Any:
    """The Hann window of x points."""
    return _made(np.hanning(int(convert_to_numpy(x))))


@op()
def kaiser(x: Any, beta: float) -> Any:
    """The Kaiser window of x points."""
    return _made(np.kaiser(int(convert_to_numpy(x)), float(convert_to_numpy(beta))))
