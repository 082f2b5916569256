"""Networks on kgraph and its peers: one table of times, errors and ratios.

python -m benchmarks --rows convnet --modes infer --peers kgraph torch --threads 1
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks import models, peers, report
from benchmarks.driver import Effort, measure
from benchmarks.jobs import Job, prepared

MODES = ("infer", "train", "latency")  # latency: inference of a single sample
LATENCY = ("convnet", "mlp", "lstm", "mobilenet")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser("python -m benchmarks", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", nargs="+", default=models.NAMES, choices=models.NAMES)
    parser.add_argument("--modes", nargs="+", default=MODES, choices=MODES)
    parser.add_argument("--peers", nargs="+", default=peers.NAMES, choices=peers.NAMES)
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--batch", type=int, help="instead of the rows' own")
    parser.add_argument("--turns", type=int, default=Effort.turns, help="of each peer")
    parser.add_argument("--seconds", type=float, default=Effort.seconds, help="of a turn, or more")
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    return parser.parse_args()


def jobs(asked: argparse.Namespace) -> Iterator[Job]:
    for mode in asked.modes:
        for name in asked.rows:
            if mode == "latency" and name not in LATENCY:
                continue
            batch = 1 if mode == "latency" else asked.batch or models.network(name).batch
            for threads in asked.threads:
                yield Job(name, "infer" if mode == "latency" else mode, batch, threads)


def main() -> None:
    asked = arguments()
    effort = Effort(asked.turns, asked.seconds)
    print(report.heading(asked.peers))
    rows = []
    for job in jobs(asked):
        rows.append(measure(prepared(job), asked.peers, effort))
        print(report.line(rows[-1]), flush=True)
    print("\n".join(report.notes(rows)))
    if asked.json:
        report.write(asked.json, {"rows": [report.as_json(row) for row in rows]})


if __name__ == "__main__":
    main()
