"""Networks on kgraph and its peers: one table of times, errors and ratios.

python -m benchmarks --rows convnet --modes infer --peers kgraph torch --threads 1
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import convolutions, models, peers, processes, report
from benchmarks.driver import Effort, Row, Workers, measure, measure_job
from benchmarks.jobs import Job, prepared

LATENCY = ("call", "convnet", "mlp", "lstm", "mobilenet")
COMPILED = ("convnet", "mlp", "lstm", "transformer", "mobilenet")
FITTED = ("convnet", "mlp")
QUICK = ("convnet", "mlp", "lstm", "transformer")
PLOTTED = ("infer", "train", "latency")
SIZES = [2**i for i in range(10)]
KERAS = ("kgraph", "keras")
TORCH = ("kgraph", "torch")

Found = list[dict[str, Any]]


def infer(asked: argparse.Namespace) -> Found:
    """Inference of the row's batch."""
    return networks(asked, asked.rows, "infer", asked.batch)


def train(asked: argparse.Namespace) -> Found:
    """A training step with Adam."""
    return networks(asked, asked.rows, "train", asked.batch)


def latency(asked: argparse.Namespace) -> Found:
    """Inference of a single sample; `call` is the smallest program there is."""
    names = LATENCY if asked.rows == models.NAMES else [n for n in LATENCY if n in asked.rows]
    return networks(asked, names, "infer", [1])


def batches(asked: argparse.Namespace) -> Found:
    """Inference of the convnet as the batch goes from 1 to 512."""
    return networks(asked, ["convnet"], "infer", asked.batch or SIZES)


def networks(asked: argparse.Namespace, names: Any, mode: str, sizes: Any) -> Found:
    def rows() -> Any:
        for name in names:
            for batch in sizes or [models.network(name).batch]:
                for threads in asked.threads:
                    job = prepared(Job(name, mode, batch, threads))
                    yield measure_job(asked.workers, job, asked.peers, asked.effort)

    return table(asked.peers, rows())


def table(columns: Any, rows: Any) -> Found:
    print(report.heading(columns))
    found: list[Row] = []
    for row in rows:
        found.append(row)
        print(report.line(row), flush=True)
    print(*report.notes(found), sep="\n")
    return [report.as_json(row) for row in found]


def convolve(asked: argparse.Namespace) -> Found:
    """Sixteen convolutions, forward and both gradients, beside PyTorch."""
    convolutions.prepared()

    def rows() -> Any:
        for case in convolutions.CASES.values():
            for mode in ("infer", "gradients"):
                for threads in asked.threads:
                    request = {"subject": "convolutions", "case": case.name, "mode": mode}
                    workers = {p: asked.workers.worker(p, threads) for p in TORCH}
                    found = measure(workers, request, asked.effort)
                    yield Row(case.name, mode, case.shape[0], threads, found)

    return table(TORCH, rows())


def fitting(asked: argparse.Namespace) -> Found:
    """Milliseconds of a step within `fit`, in fresh processes."""

    def measured() -> Any:
        for name in [name for name in FITTED if name in asked.rows]:
            for n in asked.threads:
                found = processes.fit_milliseconds(name, n, KERAS, asked.rounds)
                yield f"{name}, threads: {n}", found

    return report.pairs("step in fit, ms", KERAS, measured())


def compiling(asked: argparse.Namespace) -> Found:
    """Seconds of the first call beyond a steady one, in a fresh process, nothing cached."""
    names = COMPILED if asked.rows == models.NAMES else asked.rows
    work = [(name, "train") for name in names] + [("convnet", "infer")] * ("convnet" in names)
    measured = (
        (f"{name} {mode}", processes.compile_seconds(name, mode, KERAS, asked.rounds))
        for name, mode in work
    )
    return report.pairs("first call, s", KERAS, measured)


def start(asked: argparse.Namespace) -> Found:
    """Seconds from import to the first prediction of the convnet, beyond importing numpy."""
    measured = (("convnet infer", processes.first_result_seconds(KERAS, asked.rounds)) for _ in "1")
    return report.pairs("second process, s", KERAS, measured)


def memory(asked: argparse.Namespace) -> Found:
    """Megabytes of a training step, and the peak of its process."""
    names = [name for name in ("convnet", "resnet") if name in asked.rows]

    def measured() -> Any:
        for name in names:
            found = processes.memory(name, TORCH)
            for what in ("step", "process"):
                yield f"{name} {what}", {peer: found[peer][what] for peer in TORCH}

    return report.pairs("memory, MB", TORCH, measured())


MODES: dict[str, Callable[[argparse.Namespace], Found]] = {
    "infer": infer,
    "train": train,
    "latency": latency,
    "fit": fitting,
    "convolutions": convolve,
    "compile": compiling,
    "start": start,
    "memory": memory,
    "batches": batches,
}


def arguments() -> argparse.Namespace:
    modes = "\n".join(f"  {name:13} {function.__doc__}" for name, function in MODES.items())
    parser = argparse.ArgumentParser(
        "python -m benchmarks",
        description=__doc__.split("\n")[0],
        epilog=f"modes:\n{modes}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--rows", nargs="+", default=models.NAMES, choices=models.NAMES)
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--peers", nargs="+", default=peers.NAMES, choices=peers.NAMES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", nargs="+", type=int, help="instead of the rows' own")
    parser.add_argument("--turns", type=int, default=Effort.turns, help="of each peer")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="of a turn, or more")
    parser.add_argument("--rounds", type=int, default=3, help="processes for fit, compile, start")
    parser.add_argument("--quick", action="store_true", help="the main rows only, few turns")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument("--plot", type=Path, help="where to draw the ratios")
    asked = parser.parse_args()
    if asked.quick:
        asked.rows, asked.modes, asked.threads = QUICK, ("infer", "train"), [1]
        asked.turns, asked.seconds = 3, 0.2
    asked.effort = Effort(asked.turns, asked.seconds)
    if asked.plot and not any(mode in asked.modes for mode in PLOTTED):
        parser.error(f"--plot draws the ratios of {', '.join(PLOTTED)}; choose one of these modes")
    return asked


def main() -> None:
    asked = arguments()
    found = {}
    with Workers() as asked.workers:
        for mode in asked.modes:
            print(f"\n{mode}: {MODES[mode].__doc__}")
            found[mode] = MODES[mode](asked)
            if asked.json:
                report.write(asked.json, found)
    if asked.plot:
        from benchmarks.plot import draw

        draw({mode: found[mode] for mode in PLOTTED if found.get(mode)}, asked.plot)


if __name__ == "__main__":
    main()
