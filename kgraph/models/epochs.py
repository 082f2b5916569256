"""What `fit` and `evaluate` need besides the model: batches by epoch, and results in order."""

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from kgraph.utils.py_dataset import PyDataset

__all__ = ["BatchGroups", "check_counts", "check_split", "in_order", "plain", "validates"]


class BatchGroups:
    """The batches of epoch after epoch, in groups of as many as run between two calls of callbacks.

    Args:
        source: an ArraySource, GeneratorSource or PyDatasetSource.
        steps: the batches of an epoch; None: all of the source. With `steps`, an epoch goes on
            where the last one stopped; data that come to their end stop an epoch early and begin
            anew with the next.
    """

    def __init__(self, source: Any, steps: int | None) -> None:
        self._source, self._steps = source, steps
        self._running: Iterator[Any] | None = None
        self._seen = 0

    def epoch(self, group: int) -> Iterator[tuple[int, list[Any]]]:
        """The index of the first batch of each group, and its batches."""
        if self._running is None or self._steps is None:
            self._running, self._seen = self._source.epoch(), 0
        running = self._running
        done, waiting = 0, []
        while self._steps is None or done < self._steps:
            batch = next(running, None)
            if batch is None:
                self._running = None
                if self._steps is not None:
                    warnings.warn(
                        f"The data ran out after {done} of the {self._steps} steps of the epoch.",
                        stacklevel=4,
                    )
                break
            waiting.append(batch)
            done += 1
            if len(waiting) == group:
                yield done - group, waiting
                waiting = []
        if waiting:
            yield done - len(waiting), waiting
        self._seen += done
        if self._seen == self._source.num_batches:
            self._running = None


def check_counts(**counts: Any) -> None:
    """Raises TypeError unless all are ints."""
    for name, value in counts.items():
        if isinstance(value, bool) or not isinstance(value, int | np.integer):
            raise TypeError(f"`{name}` must be an int; got {value!r}.")


def check_split(x: Any, fraction: float) -> None:
    """Raises ValueError unless `validation_split` can be taken from `x`."""
    if not 0 < fraction < 1:
        raise ValueError(f"`validation_split` must lie between 0 and 1; got {fraction}.")
    if isinstance(x, PyDataset | Iterator):
        raise ValueError(
            f"`validation_split` needs arrays; got {type(x).__name__}. Give `validation_data`."
        )


def plain(results: dict[str, Any]) -> dict[str, Any]:
    """By name, and Python floats for scalars.

    Raises:
        TypeError: a step returned something else than a dict.
    """
    if not isinstance(results, dict):
        raise TypeError(
            "`train_step` and `test_step` must return a dict of numbers by their names; "
            f"got {results!r}."
        )
    return {
        name: float(value) if np.ndim(value) == 0 else np.asarray(value)
        for name, value in sorted(results.items())
    }


def in_order(results: dict[str, Any], names: list[str]) -> Any:
    """The results that `names` names, then the others by name; a number where there is one."""
    first = [name for name in dict.fromkeys(names) if name in results]
    values = [results[name] for name in [*first, *sorted(set(results) - set(first))]]
    return values[0] if len(values) == 1 else values


def validates(epoch: int, freq: Any) -> bool:
    """Is this epoch, counted from 0, one of those that end with a validation?"""
    if isinstance(freq, int):
        return (epoch + 1) % freq == 0
    if isinstance(freq, list | tuple | set):
        return epoch + 1 in freq
    raise ValueError(f"`validation_freq` must be an int or a list of epochs; got {freq!r}.")
