"""Seeds: where random numbers begin, and how each call gets new ones."""

from __future__ import annotations

import random as python_random
from typing import Any

import numpy as np

from kgraph import ops
from kgraph.registry import keras_export
from kgraph.utils.naming import auto_name
from kgraph.utils.seeding import ProcessSeed, process_seed

__all__ = [
    "SeedGenerator",
    "draw_seed",
    "global_seed_generator",
    "make_default_seed",
]

_INCREMENT = np.array([0, 1], np.uint32)
_global: list[tuple[ProcessSeed | None, SeedGenerator]] = []


@keras_export("keras.random.SeedGenerator")
class SeedGenerator:
    """Gives each call of a random function a key of its own.

    Its state, a Variable of two uint32 words (seed, counter), is part of the model that holds it:
    programs read it and put the next one in its place.

    Args:
        seed: an int; None: one drawn from Python's `random`.
        name: made up by default.

    Raises:
        ValueError: the seed is no int.
    """

    def __init__(self, seed: int | None = None, name: str | None = None, **kwargs: Any) -> None:
        kwargs.pop("backend", None)
        if kwargs:
            raise ValueError(f"Unrecognized keyword arguments: {kwargs}")
        self.name = auto_name(type(self).__name__) if name is None else name
        self._initial_seed = seed
        if seed is None:
            seed = make_default_seed()
        if not isinstance(seed, int):
            raise ValueError(f"Argument `seed` must be an integer. Received: seed={seed!r}")
        with ops.name_scope(self.name, caller=self):
            self.state = ops.Variable(
                np.array([seed % 2**32, 0], np.uint32),
                dtype="uint32",
                trainable=False,
                aggregation="none",
                name="seed_generator_state",
            )

    def next(self, ordered: bool = True) -> Any:
        """The key of this call; the next call gets another.

        Args:
            ordered: counts the second word up; False jumps about.
        """
        key = self.state.value
        if ordered:
            self.state.assign(ops.add(key, _INCREMENT))
        else:
            self.state.assign(ops.mod(ops.multiply(ops.add(key, 1), 5387), 933199))
        return key

    def get_config(self) -> dict[str, Any]:
        """The arguments of the constructor."""
        return {"seed": self._initial_seed, "name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> SeedGenerator:
        """The generator that `get_config` described."""
        return cls(**config)


def make_default_seed() -> int:
    """A seed from Python's `random`."""
    return python_random.randint(1, int(1e9))


def global_seed_generator() -> SeedGenerator:
    """What gives keys to calls without a seed; `set_random_seed` makes it anew."""
    wanted = process_seed()
    if not _global or _global[0][0] is not wanted:
        _global[:] = [(wanted, SeedGenerator())]
    return _global[0][1]


def draw_seed(seed: Any) -> Any:
    """A key: two uint32 words.

    Args:
        seed: an int (the same key each time), a SeedGenerator (its next key), None (the global
            generator's next), or a key.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(seed, SeedGenerator):
        return seed.next()
    if seed is None:
        return global_seed_generator().next(ordered=False)
    if isinstance(seed, int):
        return np.array([seed % 2**32, 0], np.uint32)
    shape = tuple(getattr(seed, "shape", ()))
    if len(shape) == 1 and (shape[0] == 2 or not isinstance(shape[0], int)):
        return ops.assume_shape(seed, (2,))
    raise ValueError(
        "Argument `seed` must be either an integer or an instance of `SeedGenerator`. "
        f"Received: seed={seed!r} (of type {type(seed).__name__})"
    )
