"""Measurements that need a fresh process each: first call, first result, memory.

python -m benchmarks.processes WHAT PEER JOB WARM_UP, for the processes themselves
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from importlib import import_module
from typing import Any

from benchmarks.jobs import ROOT, Job, prepared, processors
from benchmarks.models import network
from benchmarks.peers import environment


def child(what: str, peer: str, jobs: Sequence[Job], cache: str) -> Any:
    """What the function `what` of this module finds in a process of its own."""
    texts = [json.dumps(asdict(job)) for job in jobs]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.processes", what, peer, *texts],
        cwd=ROOT,
        env={**environment(jobs[0].threads), "KGRAPH_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compile_seconds(name: str, mode: str, peers: Sequence[str], rounds: int) -> dict[str, float]:
    """Of the first call, beyond a steady one; nothing is cached."""
    job = prepared(Job(name, mode, network(name).batch, 1))
    warm_up = prepared(Job("call", "infer", 1, 1))
    found: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            with tempfile.TemporaryDirectory() as cache:
                found[peer].append(child("first_call", peer, [job, warm_up], cache))
    return {peer: min(seconds) for peer, seconds in found.items()}


def first_result_seconds(peers: Sequence[str], rounds: int) -> dict[str, float]:
    """From import to the first prediction of the convnet, in processes after the first."""
    job = prepared(Job("convnet", "infer", 128, 1))
    found: dict[str, list[float]] = {peer: [] for peer in peers}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(rounds + 1):
            for peer in peers:
                found[peer].append(child("first_result", peer, [job], cache))
    return {peer: min(seconds[1:]) for peer, seconds in found.items()}


def memory(name: str, peers: Sequence[str]) -> dict[str, dict[str, float]]:
    """Megabytes of a training step, and of the whole process at its peak."""
    job = prepared(Job(name, "train", network(name).batch, 1))
    with tempfile.TemporaryDirectory() as cache:
        return {peer: child("peak", peer, [job], cache) for peer in peers}


def first_call(peer: str, job: Job, warm_up: Job) -> float:
    from benchmarks.networks import first_call

    return first_call(peer, job, warm_up)


def first_result(peer: str, job: Job) -> float:
    x = job.inputs()  # numpy is imported
    started = time.perf_counter()
    keras = import_module(peer)
    job.network.build(keras).predict_on_batch(x)
    return time.perf_counter() - started


def peak(name: str, job: Job) -> dict[str, float]:
    """The peak of the process, and of steps alone: beyond what importing the library took."""
    from benchmarks.peers import peer

    library = peer(name)
    imported = resident("VmRSS")
    run = library.train(job)
    step: Callable[[], object] = run.timed or run.step
    step()
    highest = resident("VmHWM")
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak starts anew
    step()
    step()
    return {"process": max(highest, resident("VmHWM")), "step": resident("VmHWM") - imported}


def resident(field: str) -> float:
    """Megabytes, by the kernel's account."""
    with open("/proc/self/status") as file:
        (kilobytes,) = (line.split()[1] for line in file if line.startswith(field))
    return int(kilobytes) / 1024


if __name__ == "__main__":
    os.sched_setaffinity(0, processors(1))
    made = [Job(**json.loads(text)) for text in sys.argv[3:]]
    print(json.dumps(globals()[sys.argv[1]](sys.argv[2], *made)))
