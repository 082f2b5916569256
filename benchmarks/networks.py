"""A network in a peer's process: made ready, and checked against float64."""

import time
from collections.abc import Callable
from typing import Any

from benchmarks.jobs import Job, relative_error
from benchmarks.peers import peer


def start(library: str, **fields: Any) -> tuple[Callable[[], object], dict[str, Any]]:
    """The step of a job for a peer, and the error of its first run."""
    job = Job(**fields)
    run = getattr(peer(library), job.mode)(job)
    run.step()
    error = relative_error(run.results(), job.reference())
    timed = run.timed or run.step
    timed()
    return timed, {"error": error}


def first_call(library: str, job: Job, warm_up: Job) -> float:
    """Seconds that the first call takes longer than later ones.

    A smaller job has run before, so that everything is imported and started.
    """
    getattr(peer(library), warm_up.mode)(warm_up).step()
    run = getattr(peer(library), job.mode)(job)
    step = run.timed or run.step
    found = []
    for _ in range(4):
        started = time.perf_counter()
        step()
        found.append(time.perf_counter() - started)
    return found[0] - min(found[1:])
