"""Channels behind the spatial dims, as Keras has them, and before, as PyTorch and ONNX do."""

import numpy as np

from benchmarks.models.network import Network


def to_channels_first(x: np.ndarray, network: Network) -> np.ndarray:
    return np.ascontiguousarray(np.moveaxis(x, -1, 1)) if network.channels else x


def from_channels_first(output: np.ndarray, network: Network) -> np.ndarray:
    """An output with a class per pixel too."""
    return np.moveaxis(output, 1, -1) if network.channels else output
