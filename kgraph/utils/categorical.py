"""Class numbers as one-hot rows."""

from typing import Any

import numpy as np

from kgraph import config
from kgraph.registry import keras_export

__all__ = ["to_categorical"]


@keras_export("keras.utils.to_categorical")
def to_categorical(x: Any, num_classes: int | None = None) -> np.ndarray:
    """One-hot rows of `floatx` for an array of class numbers.

    Args:
        x: ints, of any shape; a last dimension of 1 is dropped.
        num_classes: the length of a row; by default the largest class and one.

    Raises:
        ValueError: a class is negative, or not below `num_classes`.
    """
    classes = np.asarray(x, "int64")
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    count = num_classes or int(classes.max(initial=-1)) + 1
    if classes.size and not 0 <= classes.min() <= classes.max() < count:
        raise ValueError(
            f"to_categorical: expected classes from 0 to {count - 1}; "
            f"got classes from {classes.min()} to {classes.max()}."
        )
    return np.eye(count, dtype=config.floatx())[classes]
