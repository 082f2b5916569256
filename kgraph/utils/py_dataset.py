"""A dataset that makes its batches by index."""

import math
from typing import Any

from kgraph.registry import keras_export

__all__ = ["PyDataset"]


@keras_export(["keras.utils.PyDataset", "keras.utils.Sequence"])
class PyDataset:
    """Base of datasets written in Python: implement `__getitem__(index)`, a batch, and
    `num_batches` or `__len__`.

    A batch is `inputs`, `(inputs, targets)` or `(inputs, targets, sample_weights)`, as arrays or
    nested structures of
    arrays.

    Args:
        workers: batches are prepared ahead by so many threads; 1 prepares in the thread that
            trains.
        use_multiprocessing: kept for compatibility; batches are made by threads.
        max_queue_size: at most so many batches wait, with several workers.
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Returns the batch at `index`, from 0 to `num_batches - 1`."""
        raise NotImplementedError(
            f"{type(self).__name__} must implement `__getitem__(index)`, which returns a batch."
        )

    @property
    def num_batches(self) -> int | None:
        """The batches of an epoch; None: endless. The default is `len(self)`."""
        if type(self).__len__ is PyDataset.__len__:
            raise NotImplementedError(
                f"{type(self).__name__} must implement `num_batches` or `__len__`."
            )
        return len(self)

    def __len__(self) -> int:
        """The batches of an epoch."""
        count = self.num_batches
        if count is None or math.isinf(count):
            raise ValueError(f"{type(self).__name__} is endless; it has no length.")
        return int(count)

    def on_epoch_begin(self) -> None:
        """Called before each epoch."""

    def on_epoch_end(self) -> None:
        """Called after each epoch."""
