"""Every case of the op table as native code, with poisoned memory and several batches."""

from __future__ import annotations

import pytest

from kgraph.codegen.llvm.lower import missing
from kgraph.codegen.llvm.lower.table import LOWERINGS, is_loop
from kgraph.ir import evaluate
from kgraph.passes.decompose import Decompose
from kgraph.passes.pipeline import LLVM_KEEPS
from tests.codegen.llvm.lowered import native, run
from tests.ops.cases import params
from tests.ops.row import SIZES, Case


def test_every_op_has_a_lowering() -> None:
    assert missing() == []


@pytest.mark.parametrize("case", params())
def test_case(case: Case) -> None:
    fn = Decompose(keep=LLVM_KEEPS).run(case.function())
    unknown = {op.name for op in fn.ops if type(op) not in LOWERINGS and not is_loop(op)}
    if unknown:
        pytest.skip(f"no lowering for {', '.join(sorted(unknown))}")
    runner = native(fn)
    for batch in (SIZES["batch"], 1, 5, 0) if case.symbolic else (SIZES["batch"],):
        sizes = {**SIZES, "batch": batch}
        arrays = case.arrays(**sizes)
        try:
            want = evaluate(fn, arrays)
        except Exception:
            assert batch == 0  # numpy has no answer for some empty arrays
            continue
        case.assert_close(run(runner, fn, arrays), want)
