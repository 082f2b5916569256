"""The shapes: strided, dilated, grouped, depthwise, transposed; of one to three dims."""

import hashlib
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.jobs import FILES, ROOT
from benchmarks.weights import Weights


@dataclass(frozen=True)
class Case:
    """A convolution, channels last.

    Attributes:
        name: what it shows.
        shape: of the input: batch, sizes, channels.
        filters: the channels of the result.
        window: the kernel's sizes.
        strides, dilation, groups: as everywhere.
        same: zeros around, so that the size stays; else none.
        transposed: from a convolution's result to its input.
    """

    name: str
    shape: tuple[int, ...]
    filters: int
    window: tuple[int, ...]
    strides: int = 1
    dilation: int = 1
    groups: int = 1
    same: bool = False
    transposed: bool = False

    @property
    def padding(self) -> tuple[int, ...]:
        """Zeros on either side of each dim."""
        return tuple((k - 1) * self.dilation // 2 if self.same else 0 for k in self.window)

    @property
    def kernel_shape(self) -> tuple[int, ...]:
        """In Keras's layout."""
        channels = self.shape[-1]
        if self.transposed:
            return (*self.window, self.filters, channels)
        return (*self.window, channels // self.groups, self.filters)

    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Input and kernel."""
        random = np.random.default_rng(0)
        x = random.standard_normal(self.shape, dtype="float32")
        return x, random.standard_normal(self.kernel_shape, dtype="float32") * np.float32(0.1)

    def cotangent(self, shape: tuple[int, ...]) -> np.ndarray:
        """What the gradients are pulled back from."""
        return np.random.default_rng(1).standard_normal(shape, dtype="float32")

    def reference(self, mode: str) -> Weights:
        with np.load(folder() / f"{self.name}.npz") as file:
            names = ["output"] if mode == "infer" else ["input", "kernel"]
            return {name: file[name] for name in names}

    def output_shape(self) -> tuple[int, ...]:
        return self.reference("infer")["output"].shape


CASES = {
    case.name: case
    for case in (
        Case("1d-strided", (32, 1024, 64), 128, (5,), strides=2),
        Case("1d-dilated", (32, 512, 64), 64, (3,), dilation=8, same=True),
        Case("1d-grouped", (32, 512, 128), 128, (3,), groups=4, same=True),
        Case("1d-depthwise", (32, 512, 256), 256, (7,), groups=256, same=True),
        Case("1d-transposed", (32, 256, 128), 64, (4,), strides=2, transposed=True),
        Case("2d-strided", (16, 56, 56, 64), 128, (3, 3), strides=2),
        Case("2d-stem", (16, 112, 112, 3), 64, (7, 7), strides=2),
        Case("2d-dilated", (16, 28, 28, 128), 128, (3, 3), dilation=2, same=True),
        Case("2d-grouped", (16, 28, 28, 256), 256, (3, 3), groups=32, same=True),
        Case("2d-depthwise", (16, 56, 56, 128), 128, (3, 3), groups=128, same=True),
        Case("2d-depthwise-strided", (16, 56, 56, 128), 128, (5, 5), strides=2, groups=128),
        Case("2d-transposed", (16, 28, 28, 128), 64, (2, 2), strides=2, transposed=True),
        Case("2d-transposed-wide", (16, 16, 16, 128), 64, (4, 4), strides=2, transposed=True),
        Case("3d-same", (4, 16, 28, 28, 32), 32, (3, 3, 3), same=True),
        Case("3d-strided", (4, 16, 56, 56, 16), 32, (3, 3, 3), strides=2),
        Case("3d-transposed", (4, 8, 14, 14, 64), 32, (2, 2, 2), strides=2, transposed=True),
    )
}


def folder() -> Path:
    sources = b"".join((Path(__file__).parent / n).read_bytes() for n in ("cases.py", "theirs.py"))
    return FILES / f"convolutions-{hashlib.sha256(sources).hexdigest()[:12]}"


def prepared() -> None:
    """Has the results of float64 made, unless an earlier run left them."""
    if not (folder() / f"{list(CASES)[-1]}.npz").exists():
        folder().mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "benchmarks.convolutions.theirs"]
        subprocess.run(command, cwd=ROOT, check=True)
