"""Runs cases of the op table on guarded memory: a process of its own, which an access outside of a
buffer ends.

    python -m tests.codegen.llvm.guarded [every n-th case: 1 is all]

It prints the name of each case before it runs, so that the last line tells which one it was.
"""

from __future__ import annotations

import sys

from kgraph.ir import evaluate
from kgraph.passes.decompose import Decompose
from kgraph.passes.pipeline import LLVM_KEEPS
from kgraph.runtime.guard import GuardedRunner
from tests.codegen.llvm.lowered import image, run
from tests.ops.cases import CASES
from tests.ops.row import SIZES, Case

BATCHES = (SIZES["batch"], 1, 37, 0)  # 37: full vectors and a rest


def check(case: Case) -> None:
    """Every batch with memory that ends and that begins at a protected page."""
    fn = Decompose(keep=LLVM_KEEPS).run(case.function())
    code = image(fn)
    for at_start in (False, True):
        runner = GuardedRunner(code, {}, poisoned=True, at_start=at_start)
        for batch in BATCHES if case.symbolic else BATCHES[:1]:
            arrays = case.arrays(**{**SIZES, "batch": batch})
            try:
                want = evaluate(fn, arrays)
            except Exception:
                assert batch == 0  # numpy has no answer for some empty arrays
                continue
            case.assert_close(run(runner, fn, arrays), want)


def main() -> None:
    step = int(sys.argv[1]) if len(sys.argv) > 1 else 1
    for case in CASES[::step]:
        print(case, flush=True)
        check(case)
    print("done", flush=True)


if __name__ == "__main__":
    main()
