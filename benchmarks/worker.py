"""A peer's process: reads requests, a line of JSON each, and answers so.

python -m benchmarks.worker PEER PROCESSORS
"""

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.jobs import Job, relative_error
from benchmarks.peers import peer
from benchmarks.peers.peer import UnsupportedError


def start(name: str, job: Job) -> tuple[Callable[[], object], dict[str, Any]]:
    """The step to be timed, and the error of the first one against float64."""
    run = getattr(peer(name), job.mode)(job)
    run.step()
    error = relative_error(run.results(), job.reference())
    timed = run.timed or run.step
    timed()
    return timed, {"error": error}


def times(step: Callable[[], object], seconds: float, least: int) -> list[float]:
    """Seconds of each of at least so many runs; of one where that takes longer than `seconds`.

    Another run comes first: it finds the caches cold, and is not counted.
    """
    began = time.perf_counter()
    step()
    least = 1 if time.perf_counter() - began > seconds else least
    found: list[float] = []
    began = time.perf_counter()
    while len(found) < least or time.perf_counter() - began < seconds:
        started = time.perf_counter()
        step()
        found.append(time.perf_counter() - started)
    return found


def main() -> None:
    # before the peer's library is imported: it starts as many threads as it finds processors
    os.sched_setaffinity(0, {int(number) for number in sys.argv[2].split(",")})
    # libraries print what they like: to stderr
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    step: Callable[[], object] | None = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if step is None:
                step, answer = start(sys.argv[1], Job(**request))
            else:
                answer = {"times": times(step, **request)}
        except UnsupportedError as reason:
            answer = {"refused": str(reason)}
        except Exception as problem:
            answer = {"failed": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
