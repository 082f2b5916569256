"""MNIST: 70,000 handwritten digits of 28 by 28 pixels."""

import hashlib
import zipfile
import zlib
from importlib import resources
from pathlib import Path

import numpy as np

from kgraph.datasets._files import datasets_folder, fetch

__all__ = ["load_data", "load_embedded"]

Arrays = tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]

_URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"

# What zipfile, zlib and numpy raise on bytes that are not what they should be.
_DAMAGED = (zipfile.BadZipFile, zlib.error, EOFError, MemoryError, RuntimeError, ValueError)

# Shape, and sha256 of the bytes in C order. The arrays are what must be right: the same arrays
# come in containers that differ by their compression and time stamps. All are uint8.
_COMPLETE = {
    "x_train": (
        (60000, 28, 28),
        "741c988805d008ac6e4c904b69001ba184c24b2c540a4ef403f4c71b676cf757",
    ),
    "y_train": (
        (60000,),
        "1feba77c54802fa5339a11837ea4b2866434b83314ec45192930f1df69120c13",
    ),
    "x_test": (
        (10000, 28, 28),
        "6d87418db22cc8025d05968bec9bd5c3932904b23485740db143a061a2c9d161",
    ),
    "y_test": (
        (10000,),
        "ddeff807876a9661a1110d45c266c86239a3a1b7d37da0c3716a7a683c852ff5",
    ),
}


def load_data(path: str = "mnist.npz") -> Arrays:
    """Loads the complete data set and downloads it first where it is missing.

    Args:
        path: name of the file in the folder `datasets` of `$KGRAPH_HOME`, else of `$KERAS_HOME`,
            else of `~/.keras`; or an absolute path.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all uint8: images of shapes (60000, 28, 28) and
        (10000, 28, 28) with pixels from 0 (background) to 255, labels of shapes (60000,) and
        (10000,) from 0 to 9.

    Raises:
        ConnectionError: the file is missing and cannot be downloaded.
        OSError: the file cannot be read, or its folder not be written.
        ValueError: the file does not hold MNIST.
    """
    file = datasets_folder() / path
    fetch(_URL, file, check=_load_complete)
    try:
        return _load_complete(file)
    except ValueError as error:
        raise ValueError(
            f"{error}; delete {file} and load again to download a fresh copy"
        ) from error


def load_embedded() -> Arrays:
    """Loads the subset of MNIST that comes with kgraph; needs no file and no network.

    Returns:
        `(x_train, y_train), (x_test, y_test)`, all uint8: 600 training and 100 test images of each
        digit, real ones, as images of shapes (6000, 28, 28) and (1000, 28, 28) with labels of
        shapes (6000,) and (1000,). Ten images in sequence show each digit once.
    """
    source = resources.files("kgraph.datasets") / "mnist_embedded.npz"
    with source.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
        return _pairs({name: arrays[name] for name in _COMPLETE})


def _load_complete(path: Path) -> Arrays:
    """Reads `path`; ValueError unless it holds exactly the arrays of `_COMPLETE`."""
    arrays = {}
    for name, array in _read(path).items():
        shape, digest = _COMPLETE[name]
        if array.dtype != np.uint8 or array.shape != shape:
            raise ValueError(
                f"{path} is not MNIST: expected {name} to be uint8 of shape {shape}, "
                f"got {array.dtype} of shape {array.shape}"
            )
        contiguous = np.ascontiguousarray(array)
        if (got := hashlib.sha256(contiguous.data).hexdigest()) != digest:
            raise ValueError(f"{path} is damaged: expected sha256 {digest} for {name}, got {got}")
        arrays[name] = contiguous
    return _pairs(arrays)


def _read(path: Path) -> dict[str, np.ndarray]:
    try:
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            return {name: _read_member(archive, name) for name in _COMPLETE}
    except KeyError as error:
        raise ValueError(f"{path} is not MNIST: {error.args[0]}") from error
    # What zipfile, zlib and numpy raise on bytes that are not what they should be.
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        MemoryError,
        RuntimeError,
        ValueError,
    ) as error:
        raise ValueError(f"{path} is damaged or no .npz file: {error}") from error


def _read_member(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as file:
        return np.lib.format.read_array(file, allow_pickle=False)


def _pairs(arrays: dict[str, np.ndarray]) -> Arrays:
    return (arrays["x_train"], arrays["y_train"]), (arrays["x_test"], arrays["y_test"])
