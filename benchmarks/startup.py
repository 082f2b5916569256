"""What a user waits for before the first step: import, tracing, passes, and a second process.

Seconds are those of the processor, which a busy machine stretches less; all of this is one thread.

python benchmarks/startup.py
"""

import json
import os
import subprocess
import sys
import tempfile
import time

from networks import NETWORKS

TIMED = "import time; t = time.process_time(); import kgraph; {}; print(time.process_time() - t)"
IMPORTS = {
    "import kgraph": "kgraph",
    "and the names of a program": "kgraph.layers, kgraph.models, kgraph.losses,"
    "kgraph.optimizers, kgraph.metrics, kgraph.callbacks, kgraph.datasets, kgraph.saving",
}
COMPILERS = ("llvmlite", "kgraph.codegen.llvm.assemble", "kgraph.passes.pipeline")


def child(*arguments, **environment):
    """The last line that a fresh process prints, as JSON."""
    done = subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "KGRAPH_BACKEND": "llvm", **environment},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def compile_times(network):
    """Seconds to trace a training step and to run all passes over it."""
    import kgraph
    from kgraph.cli.steps import trace_step
    from kgraph.passes.base import run_passes
    from kgraph.passes.pipeline import llvm_pipeline

    model, _ = NETWORKS[network](kgraph)
    started = time.process_time()
    fn = trace_step(model, "train").function
    traced = time.process_time()
    run_passes(fn, llvm_pipeline())
    ended = time.process_time()
    return {"ops": len(fn.ops), "trace": traced - started, "passes": ended - traced}


def first_step(network):
    """Seconds of the first training step of a process, and which compilers it loaded."""
    import numpy as np

    import kgraph

    model, shape = NETWORKS[network](kgraph)
    x, y = np.zeros((8, *shape), "float32"), np.zeros(8, "int64")
    started = time.process_time()
    model.train_on_batch(x, y)
    seconds = time.process_time() - started
    return {"seconds": seconds, "loaded": [name for name in COMPILERS if name in sys.modules]}


def main():
    for what, names in IMPORTS.items():
        print(f"{what}: {min(child('-c', TIMED.format(names)) for _ in range(3)):.3f} s")
    for network in ("convnet", "residual"):
        runs = [child(__file__, "compile_times", network) for _ in range(3)]
        best = min(runs, key=lambda run: run["trace"] + run["passes"])
        print(
            f"{network}, training step of {best['ops']} ops: "
            f"tracing {best['trace']:.3f} s, passes {best['passes']:.3f} s"
        )
    with tempfile.TemporaryDirectory() as folder:
        for process in ("first", "second"):
            run = child(__file__, "first_step", "convnet", KGRAPH_CACHE_DIR=folder)
            loaded = ", ".join(run["loaded"]) or "none"
            print(f"{process} process: first step {run['seconds']:.3f} s, compilers: {loaded}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(
            json.dumps(
                {"compile_times": compile_times, "first_step": first_step}[sys.argv[1]](sys.argv[2])
            )
        )
    else:
        main()
