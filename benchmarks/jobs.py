"""What is measured: a network, a mode, a batch, threads; and its files, which all peers share."""

import hashlib
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.models import network
from benchmarks.models.network import Network
from benchmarks.weights import Weights

ROOT = Path(__file__).parents[1]
FILES = ROOT / "build" / "benchmarks"  # kept from one run to the next


@dataclass(frozen=True)
class Job:
    """One row for one number of threads.

    Attributes:
        name: of the network.
        mode: "infer" or "train".
        batch: the number of samples.
        threads: how many processors.
        folder: where its files lie.
    """

    name: str
    mode: str
    batch: int
    threads: int
    folder: str = ""

    @property
    def network(self) -> Network:
        return network(self.name)

    @property
    def path(self) -> Path:
        return Path(self.folder)

    def inputs(self) -> np.ndarray:
        return np.load(self.path / "x.npy")

    def targets(self) -> np.ndarray:
        return np.load(self.path / "y.npy")

    def weights(self) -> Weights:
        with np.load(self.path.parent / "weights.npz") as file:
            return dict(file)

    def reference(self) -> Weights:
        """The results of float64: the output, or the gradients by name."""
        with np.load(self.path / f"{self.mode}.npz") as file:
            return dict(file)


def prepared(job: Job) -> Job:
    """The job with its files, made by a process of its own unless an earlier run left them."""
    folder = FILES / f"{job.name}-{digest()}" / str(job.batch)
    if not (folder / f"{job.mode}.npz").exists():
        command = [sys.executable, "-m", "benchmarks.prepare", job.name, str(job.batch), job.mode]
        subprocess.run([*command, str(folder)], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    return Job(**{**asdict(job), "folder": str(folder)})


def digest() -> str:
    """Of what decides the files' contents."""
    here = Path(__file__).parent
    sources = [*here.glob("models/*.py"), *here.glob("twins/*.py")]
    sources += [here / "weights.py", here / "prepare.py"]
    text = b"".join(path.read_bytes() for path in sorted(sources))
    return hashlib.sha256(text).hexdigest()[:12]


def relative_error(found: Weights, wanted: Weights) -> float:
    """The largest difference over the largest value wanted; the worst array counts.

    An array whose values vanish beside the others' (the gradient of a bias before a batch norm is
    rounding alone) is measured by the others' size.
    """
    if found.keys() != wanted.keys():
        raise ValueError(f"results differ in {sorted(found.keys() ^ wanted.keys())}")
    size = {name: np.abs(array).max() for name, array in wanted.items()}
    least = 1e-4 * max(size.values())
    return max(
        float(np.abs(found[name] - wanted[name]).max() / max(size[name], least)) for name in wanted
    )


def processors(threads: int) -> list[int]:
    """Those that a process of so many threads is bound to: the last ones, the first is busier."""
    allowed = sorted(os.sched_getaffinity(0))
    if threads > len(allowed):
        raise SystemExit(f"{threads} threads were asked for; there are {len(allowed)} processors")
    return allowed[-threads:]
