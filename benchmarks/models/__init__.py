"""The networks that are measured. Each is one function of the module: kgraph, or keras.

Layers with weights have names: a twin in PyTorch calls the module with the same weights so, with
dots for underscores (`blocks.0.up` is `blocks_0_up`).
"""

from importlib import import_module
from types import ModuleType
from typing import Any

from benchmarks.models.network import Network

NAMES = ("convnet", "mlp", "lstm", "transformer", "mobilenet", "resnet", "unet", "conv1d")


def network(name: str) -> Network:
    found: Network = import_module(f"benchmarks.models.{name}").NETWORK
    return found


def compiled(keras: ModuleType, model: Any) -> Any:
    """The model with Adam, cross-entropy, and the accuracy."""
    model.compile(
        loss=keras.losses.SparseCategoricalCrossentropy(),
        optimizer=keras.optimizers.Adam(learning_rate=1e-3),
        metrics=[keras.metrics.SparseCategoricalAccuracy(name="acc")],
    )
    return model
