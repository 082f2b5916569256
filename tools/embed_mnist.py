"""Makes kgraph/datasets/mnist_embedded.npz: `python tools/embed_mnist.py path/to/mnist.npz`."""

import argparse
from pathlib import Path

import numpy as np

from kgraph.datasets import mnist

TARGET = Path(__file__).parents[1] / "kgraph" / "datasets" / "mnist_embedded.npz"
TRAIN_PER_DIGIT = 600
TEST_PER_DIGIT = 100


def balanced(labels: np.ndarray, per_digit: int) -> np.ndarray:
    """Indices of the first `per_digit` images of each digit, so that 0 to 9 come in turns.

    In turns, because a validation split takes the last images and should be balanced as well.
    """
    columns = [np.flatnonzero(labels == digit)[:per_digit] for digit in range(10)]
    return np.stack(columns, axis=1).ravel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("source", type=Path, help="the complete mnist.npz")
    parser.add_argument("--target", type=Path, default=TARGET, help="default: %(default)s")
    arguments = parser.parse_args()
    if not arguments.source.is_file():
        parser.error(f"no such file: {arguments.source}")

    (x_train, y_train), (x_test, y_test) = mnist.load_data(str(arguments.source.resolve()))
    train, test = balanced(y_train, TRAIN_PER_DIGIT), balanced(y_test, TEST_PER_DIGIT)
    np.savez_compressed(
        arguments.target,
        x_train=x_train[train],
        y_train=y_train[train],
        x_test=x_test[test],
        y_test=y_test[test],
    )
    print(f"{arguments.target}: {arguments.target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
