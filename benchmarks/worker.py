"""A peer's process: reads requests, a line of JSON each, and answers so.

One that names a module of `benchmarks` makes that module's `start` give the step to be timed; the
others ask for times of it; an empty one lets go of it.

python -m benchmarks.worker PEER PROCESSORS
"""

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from importlib import import_module

from benchmarks.peers.peer import UnsupportedError


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
            if not request:
                step, answer = None, {}
            elif "subject" in request:
                subject = import_module(f"benchmarks.{request.pop('subject')}")
                step, answer = subject.start(sys.argv[1], **request)
            else:
                answer = {"times": times(step, **request)}
        except UnsupportedError as reason:
            answer = {"refused": str(reason)}
        except Exception as problem:
            answer = {"failed": f"{type(problem).__name__}: {problem}"}
        gc.collect()
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main()
