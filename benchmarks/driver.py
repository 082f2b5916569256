"""Measures a job: a process per peer, and turns in which only one of them runs."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

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
    """A job and what each peer needed for it."""

    job: Job
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
        self.process.stdin.close()
        self.process.wait()


def measure(job: Job, peers: Sequence[str], effort: Effort) -> Row:
    """Runs a job whose files are there."""
    workers = {name: Worker(name, job.threads) for name in peers}
    try:
        started = {name: worker.ask(asdict(job)) for name, worker in workers.items()}
        times: dict[str, list[float]] = {name: [] for name in peers}
        able = [name for name in peers if "error" in started[name]]
        for _ in range(effort.turns):
            for name in able:
                answer = workers[name].ask({"seconds": effort.seconds, "least": effort.least})
                times[name] += answer["times"]
    finally:
        for worker in workers.values():
            worker.end()
    found = {
        name: Measured(
            times[name],
            started[name].get("error"),
            started[name].get("refused") or started[name].get("failed") or "",
        )
        for name in peers
    }
    return Row(job, found)
