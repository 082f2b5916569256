"""A training step inside `fit`: kgraph on llvm beside Keras on JAX.

Each measurement is a process of its own, the two sides take turns, and the first epoch, in which
programs are compiled, does not count. A step's time is that of an epoch over its number of steps.

    python benchmarks/train_step.py --rounds 3 --json ratios.json
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib import import_module

from networks import NETWORKS

SIDES = {
    "kgraph": {"KGRAPH_BACKEND": "llvm"},
    "keras": {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"},
}


def measure(side, network, batch, steps, epochs):
    """Seconds per step, one number per epoch, in this process."""
    import numpy as np

    keras = import_module(side)
    model, shape = NETWORKS[network](keras)
    random = np.random.default_rng(0)
    x = random.random((batch * steps, *shape), dtype="float32")
    y = random.integers(0, 10, batch * steps)

    found = []

    class Watch(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.started = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            found.append((time.perf_counter() - self.started) / steps)

    model.fit(x, y, batch_size=batch, epochs=epochs + 1, verbose=0, callbacks=[Watch()])
    return found[1:]


def in_process(side, arguments, network):
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--side", side, "--networks", network]
    for name in ("batch", "steps", "epochs"):
        command += [f"--{name}", str(getattr(arguments, name))]
    done = subprocess.run(
        command, env={**os.environ, **SIDES[side]}, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def compare(network, arguments):
    """Least and median of both sides, and how many times longer Keras takes."""
    times = {side: [] for side in SIDES}
    for _ in range(arguments.rounds):
        for side in SIDES:
            times[side] += in_process(side, arguments, network)
    row = {"network": network}
    for name, pick in (("least", min), ("median", statistics.median)):
        ours, theirs = (1e3 * pick(times[side]) for side in SIDES)
        row[name] = {"kgraph_ms": ours, "keras_ms": theirs, "ratio": theirs / ours}
    return row


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=["convnet", "mlp"], choices=NETWORKS)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--steps", type=int, default=12, help="steps of an epoch")
    parser.add_argument("--epochs", type=int, default=3, help="epochs of a process that count")
    parser.add_argument("--rounds", type=int, default=3, help="processes per side")
    parser.add_argument("--json", help="where to write the numbers")
    parser.add_argument("--side", choices=SIDES, help="measure this side alone, in this process")
    arguments = parser.parse_args()
    if arguments.side:
        (network,) = arguments.networks
        sizes = (arguments.batch, arguments.steps, arguments.epochs)
        print(json.dumps(measure(arguments.side, network, *sizes)))
        return
    print(f"ms per step, batch {arguments.batch}; ratio: Keras on JAX / kgraph on llvm")
    print(f"{'':10}{'kgraph':>9}{'keras':>9}{'ratio':>7}   {'kgraph':>9}{'keras':>9}{'ratio':>7}")
    print(f"{'':10}{'least':>25}   {'median':>25}")
    rows = []
    for network in arguments.networks:
        row = compare(network, arguments)
        rows.append(row)
        columns = [
            f"{cell['kgraph_ms']:9.2f}{cell['keras_ms']:9.2f}{cell['ratio']:7.2f}"
            for cell in (row["least"], row["median"])
        ]
        print(f"{network:10}{columns[0]}   {columns[1]}", flush=True)
    if arguments.json:
        about = {"machine": platform.machine(), "cpus": len(os.sched_getaffinity(0))}
        with open(arguments.json, "w") as file:
            json.dump({**about, "batch": arguments.batch, "rows": rows}, file, indent=2)


if __name__ == "__main__":
    main()
