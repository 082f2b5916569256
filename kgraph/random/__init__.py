"""Random numbers: Keras 3's `keras.random`, with the bits of JAX's partitionable Threefry."""

from kgraph.random.distributions import (
    categorical,
    dropout,
    normal,
    randint,
    shuffle,
    truncated_normal,
    uniform,
)
from kgraph.random.rejection import beta, binomial, gamma
from kgraph.random.seed import (
    SeedGenerator,
    draw_seed,
    global_seed_generator,
    make_default_seed,
)

__all__ = [
    "SeedGenerator",
    "beta",
    "binomial",
    "categorical",
    "draw_seed",
    "dropout",
    "gamma",
    "global_seed_generator",
    "make_default_seed",
    "normal",
    "randint",
    "shuffle",
    "truncated_normal",
    "uniform",
]
