"""Every case of the op table as native code, with poisoned memory and several batches."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from kgraph.codegen import NativeImage
from kgraph.codegen.llvm.lower import missing
from kgraph.codegen.llvm.lower.table import LOWERINGS, is_loop
from kgraph.codegen.llvm.target import host
from kgraph.ir import Array, Function, evaluate
from kgraph.passes.decompose import Decompose
from kgraph.passes.pipeline import LLVM_KEEPS
from kgraph.runtime.native import NativeRunner
from tests.codegen.llvm.lowered import Shifted, image, run
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
    code = image(fn)
    runner = NativeRunner(code, {}, poisoned=True)
    for batch in (SIZES["batch"], 1, 37, 0) if case.symbolic else (SIZES["batch"],):
        sizes = {**SIZES, "batch": batch}
        arrays = case.arrays(**sizes)
        try:
            want = evaluate(fn, arrays)
        except Exception:
            assert batch == 0  # numpy has no answer for some empty arrays
            continue
        case.assert_close(run(runner, fn, arrays), want)
    check_alignments(code, fn, case.arrays())


def check_alignments(code: NativeImage, fn: Function, arrays: Sequence[Array]) -> None:
    """The same bits wherever the buffers begin, from one element to a vector behind its place."""
    runner = Shifted(code, {}, poisoned=True)
    want: list[bytes] = []
    for shift in range(host().lanes(4) + 1):
        runner.shift = shift
        found = [r.tobytes() for r in run(runner, fn, arrays)]
        want = want or found
        assert found == want, f"shifted by {shift} elements"
