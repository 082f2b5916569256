"""Measurements that need a fresh process each: first call, first result, `fit`, memory.

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

import numpy as np

from benchmarks.jobs import ROOT, Job, prepared, processors
from benchmarks.models import network
from benchmarks.peers import environment

STEPS = 32  # of an epoch of `fit`


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


def fit_milliseconds(
    name: str, threads: int, peers: Sequence[str], rounds: int
) -> dict[str, float]:
    """Of a step within `fit`, on arrays in memory; the first epoch does not count."""
    job = prepared(Job(name, "train", network(name).batch, threads))
    found: dict[str, list[float]] = {peer: [] for peer in peers}
    for _ in range(rounds):
        for peer in peers:
            with tempfile.TemporaryDirectory() as cache:
                found[peer].append(child("fitting", peer, [job], cache))
    return {peer: min(milliseconds) for peer, milliseconds in found.items()}


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


def fitting(peer: str, job: Job) -> float:
    from benchmarks.peers.keras_like import ready

    model = ready(import_module(peer), job)
    x, y = (np.concatenate([array] * STEPS) for array in (job.inputs(), job.targets()))
    found = []
    for _ in range(3):
        started = time.perf_counter()
        model.fit(x, y, batch_size=job.batch, epochs=1, verbose=0)
        found.append(time.perf_counter() - started)
    return 1e3 * min(found[1:]) / STEPS


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
    made = [Job(**json.loads(text)) for text in sys.argv[3:]]
    os.sched_setaffinity(0, processors(made[0].threads))
    print(json.dumps(globals()[sys.argv[1]](sys.argv[2], *made)))
