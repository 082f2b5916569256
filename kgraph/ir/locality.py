"""How an op relates to the samples of a batch: what outlining asks of each op."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Rows:
    """The result's dim `dim` carries the samples, each one a contiguous run of rows."""

    dim: int


@dataclass(frozen=True, slots=True)
class Combine:
    """The result for the batch is combined from the results for its blocks.

    `kind` is `sum`, `max`, `min`, `product`, `and`, `or`, or `moments` for a mean and variance that
    combine together.
    """

    kind: str


@dataclass(frozen=True, slots=True)
class All:
    """The result does not depend on the samples: the same for every block."""


Locality: TypeAlias = "Rows | Combine | All"
