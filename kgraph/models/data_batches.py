"""Batches for fit, evaluate and predict: from arrays, generators and PyDatasets.

Each source gives batches `(x, y, sample_weight)` and says how many an epoch has, where that is
known.
"""

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from kgraph import config
from kgraph.ir import numpy_dtype
from kgraph.utils import tree
from kgraph.utils.py_dataset import PyDataset

__all__ = [
    "ArraySource",
    "GeneratorSource",
    "PyDatasetSource",
    "make_source",
    "train_validation_split",
    "unpack",
]

Batch = tuple[Any, Any, Any]


class ArraySource:
    """Slices of arrays in memory.

    Args:
        arrays: `(x, y, sample_weight)`, nested structures of arrays of one length; the last two
            may be None.
        samples: that length.
        batch_size: samples of a batch; the last of an epoch may have fewer.
        shuffle: True draws a new order of samples for each epoch, "batch" of batches, False keeps
            the order.
    """

    def __init__(self, arrays: Batch, samples: int, batch_size: int, shuffle: bool | str) -> None:
        self.arrays = arrays
        self.samples = samples
        self.batch_size = batch_size
        self.shuffle = shuffle

    @property
    def num_batches(self) -> int | None:
        """The batches of an epoch."""
        return -(-self.samples // self.batch_size)

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch."""
        leaves = tree.flatten(self.arrays)
        order = self._order()
        for start in range(0, self.samples, self.batch_size):
            rows: Any = (
                slice(start, start + self.batch_size)
                if order is None
                else order[start : start + self.batch_size]
            )
            yield tree.pack_sequence_as(
                self.arrays, [None if a is None else a[rows] for a in leaves]
            )

    def end(self) -> None:
        """Nothing to release."""

    def _order(self) -> Any:
        # numpy's global generator is the one that `utils.set_random_seed` seeds
        if self.shuffle == "batch":
            whole = self.samples // self.batch_size
            first = np.random.permutation(whole)[:, None] * self.batch_size  # noqa: NPY002
            blocks = first + np.arange(self.batch_size)
            return np.concatenate(
                [blocks.ravel(), np.arange(whole * self.batch_size, self.samples)]
            )
        return np.random.permutation(self.samples) if self.shuffle else None  # noqa: NPY002


class GeneratorSource:
    """The batches of a Python generator or another iterable.

    A generator goes on where the last epoch stopped.
    """

    def __init__(self, batches: Iterable[Any]) -> None:
        self._batches = batches
        self._iterator = iter(batches)

    @property
    def num_batches(self) -> int | None:
        """Not known before the end."""
        return None

    def epoch(self) -> Iterator[Batch]:
        """The batches up to the end of the iterable."""
        if not isinstance(self._batches, Iterator):
            self._iterator = iter(self._batches)
        for batch in self._iterator:
            yield tree.map_structure(as_array, unpack(batch))

    def end(self) -> None:
        """Nothing to release."""


class PyDatasetSource:
    """The batches of a PyDataset, prepared ahead by its workers."""

    def __init__(
        self, dataset: PyDataset, shuffle: bool | str, class_weight: Mapping[int, float] | None
    ) -> None:
        self._dataset, self._shuffle, self._class_weight = dataset, bool(shuffle), class_weight

    @property
    def num_batches(self) -> int | None:
        """The dataset's own count."""
        return self._dataset.num_batches

    def epoch(self) -> Iterator[Batch]:
        """The batches of one epoch, shuffled as a whole where that was asked for."""
        count = self.num_batches
        self._dataset.on_epoch_begin()
        indices: Iterable[int] = _endless() if count is None else range(count)
        if self._shuffle and count is not None:
            indices = np.random.permutation(count).tolist()  # noqa: NPY002  # as in ArraySource
        for batch in self._batches(indices):
            x, y, weight = tree.map_structure(as_array, unpack(batch))
            yield x, y, weights_of_classes(y, weight, self._class_weight)

    def end(self) -> None:
        """Tells the dataset that the epoch is over."""
        self._dataset.on_epoch_end()

    def _batches(self, indices: Iterable[int]) -> Iterator[Any]:
        if self._dataset.workers <= 1:
            return (self._dataset[i] for i in indices)
        return _prepared(self._dataset, indices)


def make_source(
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    steps: int | None = None,
    shuffle: bool | str = False,
    class_weight: Mapping[int, float] | None = None,
) -> ArraySource | GeneratorSource | PyDatasetSource:
    """The source for what `fit`, `evaluate` and `predict` accept as `x`.

    Without a `batch_size`, arrays come in batches of 32, or in as many equal ones as `steps` says.
    """
    if isinstance(x, PyDataset | Iterator) or _is_iterable_of_batches(x):
        for name, value in (("y", y), ("sample_weight", sample_weight)):
            if value is not None:
                raise ValueError(
                    f"`{name}` must be None when `x` is a {type(x).__name__}, which gives it with "
                    "each batch."
                )
        if batch_size is not None and isinstance(x, PyDataset):
            raise ValueError(
                "`batch_size` must be None when `x` is a PyDataset, which makes its own batches."
            )
        if isinstance(x, PyDataset):
            return PyDatasetSource(x, shuffle, class_weight)
        if class_weight is not None:
            raise ValueError(
                "`class_weight` is not supported for Python generators; give sample weights in the "
                "batches."
            )
        return GeneratorSource(x)
    weight = weights_of_classes(
        None if y is None else tree.map_structure(as_array, y), sample_weight, class_weight
    )
    if batch_size is not None and (not isinstance(batch_size, int | np.integer) or batch_size < 1):
        raise ValueError(f"`batch_size` must be an int of at least 1; got {batch_size!r}.")
    arrays = tree.map_structure(as_array, (x, y, weight))
    samples = common_length(arrays)
    size = (-(-samples // steps) if steps else 32) if batch_size is None else int(batch_size)
    return ArraySource(arrays, samples, max(size, 1), shuffle)


def unpack(batch: Any) -> Batch:
    """`(x, y, sample_weight)` of a batch as a generator gives it; lists count as `x` alone."""
    if not isinstance(batch, tuple):
        return batch, None, None
    if not 1 <= len(batch) <= 3:
        raise ValueError(
            f"A batch must be x, (x, y) or (x, y, sample_weight); got a tuple of {len(batch)} "
            "items."
        )
    return (*batch, None, None)[:3]  # type: ignore[return-value]  # three items


def as_array(value: Any) -> Any:
    """A numpy array of a dtype that models take: floats of another width become `floatx`."""
    if value is None:
        return None
    if type(value) is np.ndarray and value.dtype == numpy_dtype(config.floatx()):
        return value  # as it mostly is, between two calls of a short program
    if type(value).__module__.split(".")[0] == "pandas":
        value = value.to_numpy()
    array = np.asarray(value)
    if array.dtype == object or (array.dtype.kind in "USV" and array.dtype.name != "bfloat16"):
        raise ValueError(
            f"Expected arrays of numbers; got an array of dtype {array.dtype} and shape "
            f"{array.shape}."
        )
    return (
        array.astype(config.floatx())
        if array.dtype.kind == "f" and array.dtype.name != config.floatx()
        else array
    )


def common_length(arrays: Any) -> int:
    """The one length of dim 0.

    Raises ValueError that lists the shapes where there are several, or a scalar.
    """
    leaves = [a for a in tree.flatten(arrays) if a is not None]
    if not leaves:
        raise ValueError("Expected at least one array; got none.")
    for a in leaves:
        if a.ndim == 0:
            raise ValueError(f"Expected arrays with a batch dimension; got a scalar, {a!r}.")
    lengths = {len(a) for a in leaves}
    if len(lengths) > 1:
        shapes = [[a.shape for a in tree.flatten(part) if a is not None] for part in arrays]
        named = ", ".join(
            f"{name}: {found}"
            for name, found in zip(("x", "y", "sample_weight"), shapes, strict=False)
            if found
        )
        raise ValueError(f"All arrays must have one number of samples; got the shapes {named}.")
    return lengths.pop()


def train_validation_split(arrays: Any, fraction: float) -> tuple[Any, Any]:
    """The first samples of each array, and the last `fraction` of them."""
    arrays = tree.map_structure(as_array, arrays)
    samples = common_length(arrays)
    split = int(np.floor(samples * (1.0 - fraction)))
    if split in (0, samples):
        raise ValueError(
            f"{samples} samples cannot be split with `validation_split={fraction}`: one side would "
            "be empty."
        )
    first = tree.map_structure(lambda a: None if a is None else a[:split], arrays)
    return first, tree.map_structure(lambda a: None if a is None else a[split:], arrays)


def weights_of_classes(y: Any, sample_weight: Any, class_weight: Mapping[int, float] | None) -> Any:
    """The weight of each sample's class; a class that is not named weighs 1."""
    if class_weight is None:
        return sample_weight
    if not isinstance(class_weight, Mapping):
        raise ValueError(
            "`class_weight` must be a dict of the weights of class numbers, such as "
            f"{{0: 1.0, 1: 2.5}}; got {class_weight!r}."
        )
    if sample_weight is not None:
        raise ValueError("Give `class_weight` or `sample_weight`, not both.")
    if y is None or tree.is_nested(y):
        raise ValueError("`class_weight` needs one array of targets `y`.")
    classes = (
        np.argmax(y, -1)
        if y.ndim > 1 and y.shape[-1] > 1
        else np.round(y).astype("int64").reshape(len(y))
    )
    table = np.ones(max(int(classes.max(initial=0)), *class_weight) + 1, config.floatx())
    for cls, weight in class_weight.items():
        table[cls] = weight
    return table[classes]


def _is_iterable_of_batches(x: Any) -> bool:
    return (
        isinstance(x, Iterable)
        and not tree.is_nested(x)
        and not hasattr(x, "__array__")
        and not hasattr(x, "shape")
    )


def _endless() -> Iterator[int]:
    n = 0
    while True:
        yield n
        n += 1


def _prepared(  # noqa: C901  # the threads share what surrounds them
    dataset: PyDataset, indices: Iterable[int]
) -> Iterator[Any]:
    """The batches in order, made by the dataset's workers, at most `max_queue_size` ahead."""
    waiting: queue.Queue[tuple[threading.Event, list[Any]] | None] = queue.Queue(
        dataset.max_queue_size
    )
    tasks: queue.Queue[tuple[int, threading.Event, list[Any]] | None] = queue.Queue()
    stopped = threading.Event()

    def work() -> None:
        while (task := tasks.get()) is not None:
            index, done, box = task
            try:
                box.append(dataset[index])
            except BaseException as e:  # it is raised again where the batch is read
                box.append(_Failure(e))
            done.set()

    def feed() -> None:
        for index in indices:
            done, box = threading.Event(), []  # type: ignore[var-annotated]
            while not stopped.is_set():
                try:
                    waiting.put((done, box), timeout=0.1)
                    break
                except queue.Full:
                    continue
            if stopped.is_set():
                return
            tasks.put((index, done, box))
        waiting.put(None)

    threads = [threading.Thread(target=work, daemon=True) for _ in range(dataset.workers)]
    threads.append(threading.Thread(target=feed, daemon=True))
    for thread in threads:
        thread.start()
    try:
        while (item := waiting.get()) is not None:
            done, box = item
            done.wait()
            if isinstance(box[0], _Failure):
                raise box[0].error
            yield box[0]
    finally:
        stopped.set()
        for _ in threads:
            tasks.put(None)


class _Failure:
    """An error in a worker, on its way to the reader."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
