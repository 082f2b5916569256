"""Makes the files of a job: weights, data, the results of float64, the network as ONNX.

python -m benchmarks.prepare NETWORK BATCH MODE FOLDER
"""

import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional

import kgraph
from benchmarks import weights as keras_weights
from benchmarks.models import network
from benchmarks.models.network import Network
from benchmarks.twins import weights as twin_weights
from benchmarks.twins.layout import from_channels_first, to_channels_first


def data(network: Network, batch: int) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    if network.vocabulary:
        x = random.integers(0, network.vocabulary, (batch, *network.shape), dtype="int32")
    else:
        x = random.standard_normal((batch, *network.shape), dtype="float32")
    return x, random.integers(0, network.classes, (batch, *network.targets))


def twin_of(network: Network, weights: keras_weights.Weights) -> torch.nn.Module:
    twin = import_module(f"benchmarks.twins.{network.name}").Twin()
    twin_weights.load(twin, weights)
    return twin


def export(twin: torch.nn.Module, x: torch.Tensor, path: Path) -> None:
    """As ONNX, of this batch."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            twin.eval(), (x,), str(path), dynamo=True, verbose=False, input_names=["x"]
        )


def main() -> None:
    found, batch, mode = network(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    folder = Path(sys.argv[4])
    folder.mkdir(parents=True, exist_ok=True)
    weights = keras_weights.drawn(found.build(kgraph))
    np.savez(folder.parent / "weights.npz", **weights)
    x, y = data(found, batch)
    np.save(folder / "x.npy", x)
    np.save(folder / "y.npy", y)
    twin = twin_of(found, weights)
    x = torch.from_numpy(to_channels_first(x, found))
    if mode == "infer":
        export(twin, x, folder / "model.onnx")
    twin = twin.double()
    x = x if found.vocabulary else x.double()
    if mode == "infer":
        with torch.inference_mode():
            output = twin.eval()(x).numpy()
        np.savez(folder / "infer.npz", output=from_channels_first(output, found))
    else:
        if found.dropout:
            getattr(twin, found.dropout).p = 0.0
        functional.cross_entropy(twin.train()(x), torch.from_numpy(y)).backward()
        np.savez(folder / "train.npz", **twin_weights.gradients(twin, weights))


if __name__ == "__main__":
    main()
