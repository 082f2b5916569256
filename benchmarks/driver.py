"""Measures a job: a process per peer, and turns in which only one of them runs."""

import contextlib
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Self

from benchmarks.jobs import ROOT, Job, processors
from benchmarks.peers import environment

REST = 0.03  # seconds: the threads of the one that ran spin for a while before they sleep


@dataclass(frozen=True)
class Effort:
    """How long to measure: turns, and of each at least so many seconds and runs."""

    turns: int = 6
    seconds: float = 0.3
    least: int = 2


@dataclass(frozen=True)
class Measured:
    """Of one peer: seconds of all runs and the error against float64, or why there are none."""

    times: list[float] = field(default_factory=list)
    error: float | None = None
    reason: str = ""

    @property
    def least(self) -> float:
        return min(self.times)

    @property
    def median(self) -> float:
        return statistics.median(self.times)


@dataclass(frozen=True)
class Row:
    """What each peer needed for the same work."""

    name: str
    mode: str
    batch: int
    threads: int
    peers: dict[str, Measured]

    def best(self) -> str | None:
        """The fastest besides kgraph."""
        rivals = [n for n, m in self.peers.items() if n != "kgraph" and m.times]
        return min(rivals, key=lambda name: self.peers[name].least) if rivals else None

    def ratio(self, statistic: str = "least") -> float | None:
        """kgraph's time over that of the best peer; below 1, kgraph is faster."""
        ours = self.peers.get("kgraph")
        rivals = [m for n, m in self.peers.items() if n != "kgraph" and m.times]
        if ours is None or not ours.times or not rivals:
            return None
        return getattr(ours, statistic) / min(getattr(m, statistic) for m in rivals)


class Worker:
    """A peer's process."""

    def __init__(self, peer: str, threads: int) -> None:
        bound = ",".join(str(number) for number in processors(threads))
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.worker", peer, bound],
            cwd=ROOT,
            env=environment(threads),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            self.process.stdin.write(json.dumps(request) + "\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"failed": f"the process ended with {self.process.wait()}"}
        time.sleep(REST)
        return dict(json.loads(line))

    def end(self) -> None:
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.close()
        self.process.wait()


class Workers:
    """The processes of a run: one per peer and number of threads, kept from row to row."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], Worker] = {}

    def worker(self, peer: str, threads: int) -> Worker:
        found = self.found.get((peer, threads))
        if found is None or found.process.poll() is not None:
            found = self.found[peer, threads] = Worker(peer, threads)
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.found.values():
            worker.end()


def measure_job(workers: Workers, job: Job, peers: Sequence[str], effort: Effort) -> Row:
    """Runs a network whose files are there."""
    request = {"subject": "networks", **asdict(job)}
    found = measure({peer: workers.worker(peer, job.threads) for peer in peers}, request, effort)
    return Row(job.name, job.mode, job.batch, job.threads, found)


def measure(
    workers: dict[str, Worker], request: dict[str, Any], effort: Effort
) -> dict[str, Measured]:
    """Asks every peer for the same, in turns."""
    started = {name: worker.ask(request) for name, worker in workers.items()}
    times: dict[str, list[float]] = {name: [] for name in workers}
    for _ in range(effort.turns):
        for name in [name for name in workers if "error" in started[name]]:
            answer = workers[name].ask({"seconds": effort.seconds, "least": effort.least})
            times[name] += answer.get("times", [])
            started[name] = {**started[name], **answer}
    for worker in workers.values():
        worker.ask({})
    return {
        name: Measured(
            [] if "failed" in answer else times[name],
            answer.get("error"),
            answer.get("refused") or answer.get("failed") or "",
        )
        for name, answer in started.items()
    }
