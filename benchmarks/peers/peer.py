"""What a peer is asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from benchmarks.jobs import Job
from benchmarks.weights import Weights


class UnsupportedError(Exception):
    """The peer cannot run this row; the message says why."""


@dataclass(frozen=True)
class Run:
    """A network ready to run.

    Attributes:
        step: runs it once, and returns when the results are there.
        results: of the first step: the output, or the gradients by name.
        timed: the step to be measured, where it is another (with dropout).
    """

    step: Callable[[], object]
    results: Callable[[], Weights]
    timed: Callable[[], object] | None = None


class Peer(Protocol):
    """A library that runs networks."""

    def infer(self, job: Job) -> Run: ...

    def train(self, job: Job) -> Run: ...
